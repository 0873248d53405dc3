"""Model versions and champions: training, promotion, rollback and retirement."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from pymongo.client_session import ClientSession

from core.errors import BadInput, Conflict, LeaseLost, NoModel, NotFound
from detection.models import registry
from detection.models.plan import ThresholdPolicy
from detection.models.sealed import compute_sha256
from detection.models.training import save_model
from records.database import Db, Document
from records.models import champions, models
from records.models.artefacts import BUCKET, store_artefact
from records.models.champions import Champion, Scope
from records.work.counters import PROMOTIONS_REFUSED, read_counts
from tests.integration.modelling import NOW, add_model, make_fit
from tests.integration.stored import add_list, add_series

US = Scope("market", "US")


def get_states(database: Db) -> dict[str, str]:
    return {record["version"]: record["state"] for record in models.find_models(database)}


def at_once(*actions: Callable[[], object]) -> list[object]:
    """Run the actions in threads that start together, and return what each returned or raised."""
    barrier = threading.Barrier(len(actions))

    def run(action: Callable[[], object]) -> object:
        barrier.wait()
        try:
            return action()
        except (Conflict, NotFound) as error:
            return error

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(run, actions))


def read_artefact(database: Db, version: str) -> bytes:
    chunks = database[f"{BUCKET}.chunks"].find({"files_id": version}).sort("n", 1)
    return b"".join(chunk["data"] for chunk in chunks)


def test_the_first_model_of_a_market_is_promoted_and_a_retrain_is_a_candidate(database: Db) -> None:
    assert [add_model(database), add_model(database)] == ["US_model-0.1.0", "US_model-0.1.1"]
    assert add_model(database, market="JP") == "JP_model-0.1.0"
    assert get_states(database) == {
        "US_model-0.1.0": "champion",
        "US_model-0.1.1": "candidate",
        "JP_model-0.1.0": "champion",
    }


def test_a_training_can_ask_for_promotion_or_for_none(database: Db) -> None:
    first, second = add_model(database, promote=False), add_model(database, promote=True)
    assert get_states(database) == {first: "candidate", second: "champion"}


def test_promotion_changes_the_champion_and_the_versions_states(database: Db) -> None:
    first, second = add_model(database), add_model(database)
    registry.promote(database, second, NOW)
    assert get_states(database) == {first: "candidate", second: "champion"}
    assert registry.get_champion(database, "US", "1d").version == second
    assert models.get_model_record(database, second)["champion_of"] == ["champion::US::1d"]
    assert database.champions.count_documents({}) == 1


def test_promoting_the_champion_again_changes_nothing(database: Db) -> None:
    version = add_model(database)
    before = champions.find_pointer(database, US, "1d")
    registry.promote(database, version, NOW)
    assert champions.find_pointer(database, US, "1d") == before


def test_rollback_goes_back_one_promotion_at_a_time(database: Db) -> None:
    first, second, third = (add_model(database) for _ in range(3))
    registry.promote(database, second, NOW)
    registry.promote(database, third, NOW)
    went_back = [registry.rollback(database, US, "1d", NOW)["version"] for _ in range(2)]
    assert went_back == [second, first]
    with pytest.raises(Conflict, match=f"before {first}"):
        registry.rollback(database, US, "1d", NOW)
    pointer = champions.find_pointer(database, US, "1d")
    assert pointer is not None
    assert [(move["action"], move["version"]) for move in pointer["history"]] == [
        ("promoted", first),
        ("promoted", second),
        ("promoted", third),
        ("rolled_back", second),
        ("rolled_back", first),
    ]


def test_a_promotion_after_a_rollback_is_rolled_back_to_where_it_came_from(database: Db) -> None:
    first, second, third = (add_model(database) for _ in range(3))
    registry.promote(database, second, NOW)
    registry.rollback(database, US, "1d", NOW)
    registry.promote(database, third, NOW)
    assert registry.rollback(database, US, "1d", NOW)["version"] == first


def test_rollback_skips_retired_versions(database: Db) -> None:
    first, second, third = (add_model(database) for _ in range(3))
    registry.promote(database, second, NOW)
    registry.promote(database, third, NOW)
    registry.retire(database, second, NOW)
    assert registry.rollback(database, US, "1d", NOW)["version"] == first


def test_retiring_a_champion_is_refused_and_names_who_uses_it(database: Db) -> None:
    version = add_model(database)
    with pytest.raises(Conflict, match="champion::US::1d") as refusal:
        registry.retire(database, version, NOW)
    assert refusal.value.reason == "model_in_use"
    assert get_states(database) == {version: "champion"}


def test_a_retired_version_keeps_its_artefact_and_cannot_be_promoted(database: Db) -> None:
    first, second = add_model(database), add_model(database)
    assert registry.retire(database, second, NOW)["state"] == "retired"
    assert read_artefact(database, second)
    with pytest.raises(Conflict, match=f"{second} is retired"):
        registry.promote(database, second, NOW)
    assert get_states(database) == {first: "champion", second: "retired"}


def test_a_ticker_and_a_watchlist_may_have_a_champion_in_place_of_the_markets(database: Db) -> None:
    market, own, listed = (add_model(database) for _ in range(3))
    add_series(database, "AAPL")
    add_list(database, "tech", "AAPL", "MSFT")
    registry.promote(database, own, NOW, scope=Scope("ticker", "AAPL"))
    registry.promote(database, listed, NOW, scope=Scope("watchlist", "tech"))

    def find(watchlist: str | None = None) -> dict[str, str]:
        found = champions.find_champions(
            database, "US", "1d", ["AAPL", "MSFT"], watchlist=watchlist
        )
        return {ticker: champion.version for ticker, champion in found.items()}

    assert find() == {"AAPL": own, "MSFT": market}
    assert find("tech") == {"AAPL": own, "MSFT": listed}
    assert find("other") == {"AAPL": own, "MSFT": market}
    with pytest.raises(Conflict, match="champion::ticker::AAPL::1d"):
        registry.retire(database, own, NOW)


def test_a_ticker_rolled_back_past_its_first_champion_uses_its_markets(database: Db) -> None:
    market, own = add_model(database), add_model(database)
    add_series(database, "AAPL")
    scope = Scope("ticker", "AAPL")
    registry.promote(database, own, NOW, scope=scope)
    assert registry.rollback(database, scope, "1d", NOW)["version"] is None
    assert champions.find_champions(database, "US", "1d", ["AAPL"])["AAPL"].version == market
    assert get_states(database)[own] == "candidate"


def test_a_watchlists_champion_is_not_used_for_another_market(database: Db) -> None:
    add_model(database)
    japanese = add_model(database, market="JP")
    add_list(database, "tokyo", "7203.T")
    registry.promote(database, japanese, NOW, scope=Scope("watchlist", "tokyo"))
    found = champions.find_champions(database, "US", "1d", ["AAPL"], watchlist="tokyo")
    assert found["AAPL"].version == "US_model-0.1.0"


@pytest.mark.parametrize(
    "scope", [Scope("market", "JP"), Scope("ticker", "7203.T"), Scope("watchlist", "tokyo")]
)
def test_a_model_of_another_market_is_refused(database: Db, scope: Scope) -> None:
    version = add_model(database)
    add_list(database, "tokyo", "7203.T")
    with pytest.raises(BadInput, match="of market US"):
        registry.promote(database, version, NOW, scope=scope)
    assert champions.find_pointer(database, scope, "1d") is None


@pytest.mark.parametrize("scope", [Scope("ticker", "AAPL"), Scope("watchlist", "tech")])
def test_an_unknown_scope_gets_no_champion(database: Db, scope: Scope) -> None:
    version = add_model(database)
    with pytest.raises(NotFound):
        registry.promote(database, version, NOW, scope=scope)
    assert champions.find_pointer(database, scope, "1d") is None


def test_a_market_without_a_champion_names_the_command_that_trains_one(database: Db) -> None:
    with pytest.raises(NoModel, match="flask models train --market TH"):
        registry.get_champion(database, "TH", "1d")


def test_an_unknown_version_is_named(database: Db) -> None:
    for act in (registry.promote, registry.retire):
        with pytest.raises(NotFound, match=r"US_model-9\.9\.9"):
            act(database, "US_model-9.9.9", NOW)
    with pytest.raises(Conflict, match="market US has no champion"):
        registry.rollback(database, US, "1d", NOW)


def test_simultaneous_trainings_get_a_version_each_and_one_champion(database: Db) -> None:
    fits = [make_fit(7) for _ in range(6)]
    at_once(*(lambda fit=fit: save_model(database, fit, now=NOW) for fit in fits))  # type: ignore[misc]  # bound now
    versions = sorted(record["version"] for record in models.find_models(database))
    assert versions == [f"US_model-0.1.{n}" for n in range(6)]
    for version in versions:
        record = models.get_model_record(database, version)
        assert compute_sha256(read_artefact(database, version)) == record["sha256"]
    assert list(get_states(database).values()).count("champion") == 1
    pointer = champions.find_pointer(database, US, "1d")
    assert pointer is not None
    assert len(pointer["history"]) == 1


def test_a_training_that_died_before_its_record_leaves_no_trace_and_blocks_nothing(
    database: Db,
) -> None:
    store_artefact(database, "US_model-0.1.0", b"left behind", {})
    assert models.find_models(database) == []
    assert add_model(database) == "US_model-0.1.1"


def test_a_training_that_lost_its_lease_leaves_nothing(database: Db) -> None:
    def lose(_session: ClientSession, _record: Document) -> None:
        raise LeaseLost("somebody else has it")

    with pytest.raises(LeaseLost):
        save_model(database, make_fit(), now=NOW, finish=lose)
    assert models.find_models(database) == []
    assert database.champions.count_documents({}) == 0
    assert database[f"{BUCKET}.files"].count_documents({}) == 0
    assert database[f"{BUCKET}.chunks"].count_documents({}) == 0


def test_simultaneous_promotion_and_retirement_never_leave_a_retired_champion(database: Db) -> None:
    add_model(database)
    for _ in range(10):
        version = add_model(database)
        outcomes = at_once(
            lambda version=version: registry.promote(database, version, NOW),  # type: ignore[misc]  # bound now
            lambda version=version: registry.retire(database, version, NOW),  # type: ignore[misc]  # bound now
        )
        assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 1
        is_champion = champions.find_champion(database, US, "1d") == Champion(
            version, models.get_model_record(database, version)["sha256"]
        )
        assert is_champion is (models.get_model_record(database, version)["retired_at"] is None)


def test_lists_leave_out_the_tickers_and_a_single_version_shows_them(database: Db) -> None:
    version = add_model(database)
    (listed,) = models.find_models(database, market="US", state="champion")
    assert "tickers" not in listed
    assert models.get_model_record(database, version)["tickers"] == [
        {"ticker": "AAPL", "rows": 400}
    ]
    assert (
        models.find_models(database, state="candidate")
        == models.find_models(database, market="JP")
        == []
    )


def test_a_record_has_all_that_is_needed_to_repeat_the_training(database: Db) -> None:
    record = models.get_model_record(database, add_model(database))
    needed = {
        "sha256",
        "feature_set",
        "window_start",
        "window_end",
        "rows",
        "tickers",
        "parameters",
        "seed",
    }
    assert (
        needed | {"library_versions", "threshold", "score_quantiles", "interval", "market"}
        <= record.keys()
    )
    assert set(record["library_versions"]) == {"python", "numpy", "scikit-learn", "numba", "joblib"}


def test_a_version_that_flags_nothing_is_not_promoted_and_is_counted(database: Db) -> None:
    sound = add_model(database)
    silent = add_model(database, threshold=ThresholdPolicy("score", -0.99), promote=False)
    database.models.update_one({"_id": silent}, {"$set": {"threshold": -0.99}})
    with pytest.raises(Conflict, match="silent"):
        registry.promote(database, silent, NOW)
    assert registry.get_champion(database, "US", "1d").version == sound
    assert read_counts(database)[PROMOTIONS_REFUSED] == {"US": 1}


def test_a_score_with_which_the_champion_would_flag_nothing_is_refused(database: Db) -> None:
    add_model(database)
    add_series(database, "AAPL")
    for value in (-1.0, 0.0):
        with pytest.raises(Conflict):
            registry.set_threshold(
                database, Scope("ticker", "AAPL"), ThresholdPolicy("score", value), NOW
            )
    assert database.thresholds.count_documents({}) == 0
    registry.set_threshold(database, Scope("ticker", "AAPL"), ThresholdPolicy("grade", 60.0), NOW)
    assert database.thresholds.count_documents({}) == 1


def refuse_score(database: Db, scope: Scope, value: float = -0.99) -> None:
    with pytest.raises(Conflict) as refusal:
        registry.set_threshold(database, scope, ThresholdPolicy("score", value), NOW)
    assert refusal.value.reason == "implausible_threshold"
    assert database.thresholds.count_documents({}) == 0


def find_fitting_score(database: Db, version: str) -> ThresholdPolicy:
    """Return a score below which a twentieth of a version's training bars lie."""
    tail = models.get_model_record(database, version)["score_quantiles"]
    twentieth = next(
        score
        for rank, score in zip(tail["ranks"], tail["scores"], strict=True)
        if rank >= tail["rows"] / 20
    )
    return ThresholdPolicy("score", twentieth)


def test_a_score_is_checked_against_the_champions_of_all_intervals(database: Db) -> None:
    daily, hourly = add_model(database), add_model(database, interval="1h")
    add_series(database, "AAPL")
    fitting, apple = find_fitting_score(database, daily), Scope("ticker", "AAPL")
    registry.promote(database, daily, NOW, scope=apple)
    # No score of the hourly champion is so low, so none of its bars would pass.
    scores = {"score_quantiles.scores": [fitting.value / 2, 0.0], "score_quantiles.ranks": [4, 400]}
    database.models.update_one({"_id": hourly}, {"$set": scores})
    refuse_score(database, US, fitting.value)
    registry.set_threshold(database, apple, fitting, NOW)
    registry.thresholds.clear_threshold(database, apple, NOW)
    add_series(database, "AAPL", interval="1h")
    refuse_score(database, apple, fitting.value)


def test_a_score_for_all_markets_is_checked_against_each_market_s_own_champion(
    database: Db,
) -> None:
    add_model(database, market="JP")
    refuse_score(database, Scope("market", champions.ALL_MARKETS))
    registry.set_threshold(database, Scope("market", "JP"), ThresholdPolicy("grade", 60.0), NOW)
    every = Scope("market", champions.ALL_MARKETS)
    registry.set_threshold(database, every, ThresholdPolicy("score", -0.99), NOW)


def test_a_version_that_would_flag_nothing_with_the_set_threshold_is_not_promoted(
    database: Db,
) -> None:
    """A market's first model is promoted by its training; then detections warn instead."""
    add_series(database, "AAPL")
    apple, every = Scope("ticker", "AAPL"), Scope("market", champions.ALL_MARKETS)
    for scope in (apple, US, every):
        registry.set_threshold(database, scope, ThresholdPolicy("score", -0.99), NOW)
    first, second = add_model(database), add_model(database)
    assert registry.promote(database, first, NOW)["version"] == first, "it is in use already"
    for scope in (apple, US, every):
        for promoted_for in (apple, US):
            if promoted_for == apple or scope != apple:
                said = f"flask models threshold --{scope.kind} {scope.name} --reset"
                with pytest.raises(Conflict, match="silent") as refusal:
                    registry.promote(database, second, NOW, scope=promoted_for)
                assert refusal.value.reason == "implausible_threshold"
                assert said in refusal.value.message
        registry.thresholds.clear_threshold(database, scope, NOW)
    assert registry.get_champion(database, "US", "1d").version == first
    assert registry.promote(database, second, NOW)["version"] == second


def test_a_threshold_of_a_ticker_without_bars_is_refused(database: Db) -> None:
    add_series(database, "AAPL")
    with pytest.raises(NotFound, match="no 1d bars of AAPPL are stored; did you mean AAPL"):
        registry.set_threshold(
            database, Scope("ticker", "AAPPL"), ThresholdPolicy("grade", 60.0), NOW
        )
    assert database.thresholds.count_documents({}) == 0
