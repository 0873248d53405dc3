"""The next step that `make up` names: the first thing that is missing."""

from core.settings import Settings
from detection.models.plan import TrainingPlan
from detection.models.training import train_model
from records.database import Db
from records.models.champions import ALL_MARKETS
from runner.next_step import describe_next_step
from tests.integration.conftest import Live
from tests.integration.detecting import NOW, make_bars, store, train
from tests.integration.modelling import add_model


def test_each_step_done_leads_to_the_next(live: Live) -> None:
    def say() -> str:
        return describe_next_step(live.settings)

    foreign = live.settings.model_copy(update={"host": "192.0.2.7"})
    assert "flask keys create NAME --scope admin" in describe_next_step(foreign)
    assert "flask bars import" in say()
    assert "flask bars demo" in say()
    store(live.database, "AAA", make_bars(800, shocks=(400, 520)))
    assert "flask models train --market US" in say()
    train(live.database)
    other = live.settings.model_copy(update={"artefact_keys": "of-another-service-" + "0" * 32})
    lost = describe_next_step(other)
    assert "US_model-0.1.0 is signed by no key of this service" in lost
    assert "`.venv/bin/flask models train --market US --interval 1d --promote` puts" in lost
    short = live.settings.model_copy(update={"artefact_keys": "short"})
    assert "what detects here fails: ARTEFACT_KEYS" in describe_next_step(short)
    assert "flask backfill run --market US" in say()
    assert live.post("/py/anomalies/backfill", json={"market": "US"}).json["status"] == "complete"
    assert "watchlist" in say()
    made = live.client.post("/py/watchlists", json={"name": "mine", "tickers": ["AAA"]})
    assert made.status_code == 201
    assert say() == f"See http://127.0.0.1:{live.settings.port}/"


def test_a_champion_whose_columns_no_longer_exist_is_named(
    database: Db, settings: Settings
) -> None:
    version = add_model(database)
    database.models.update_one({"_id": version}, {"$set": {"feature_set": "family/2"}})
    said = describe_next_step(settings)
    assert f"fails: model {version} looks at the columns of family/2, which are no more" in said
    assert "--promote" in said


def test_a_model_of_all_markets_counts_as_the_model_of_each(
    database: Db, settings: Settings
) -> None:
    store(database, "AAA", make_bars(800))
    assert "flask models train --market US" in describe_next_step(settings)
    train_model(database, TrainingPlan(ALL_MARKETS), now=NOW)
    assert "flask backfill run --market US" in describe_next_step(settings)
