"""The second step: reads the bars that each model is to score, with the bars before them that its
features need.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pymongo.client_session import ClientSession

from detection.features.market_move import MarketDays
from detection.market_days import unpack_days
from detection.models.manager import LoadedModel, ModelManager
from detection.pipeline.plan import Plan, Stretches
from detection.pipeline.stretches import cut, find_first, find_last
from market.bars.panel import BarPanel
from market.bars.store import read_panel
from records.database import Db


@dataclass(frozen=True, slots=True)
class Load:
    """The bars of series that share a model, and the stretches of them to score.

    `market` has the days of their market, None where the model does not look at them.
    """

    panel: BarPanel
    model: LoadedModel
    stretches: Stretches
    market: MarketDays | None = None


def choose_models(models: ModelManager, plan: Plan) -> Sequence[tuple[LoadedModel, Stretches]]:
    """Return each model with the stretches that it scores: champions, or in a walk forward the
    models that had not seen the bars, or the market's latest model of the job's detector.

    Raises NoModel, ModelIntegrity.
    """
    job = plan.job
    if not plan.stretches:
        return []
    if job.detector is not None:
        return [(models.find_of_detector(job.market, job.interval, job.detector), plan.stretches)]
    if not job.walk_forward:
        groups = models.group_by_model(
            job.market, job.interval, tuple(plan.stretches), watchlist=job.watchlist
        )
        return [
            (model, {ticker: plan.stretches[ticker] for ticker in tickers})
            for model, tickers in groups
        ]
    chosen = []
    for model, last in models.list_walk_forward(job.market, job.interval):
        after = int(model.window_end.timestamp())
        end = None if last is None else int(last.timestamp())
        chosen.append(
            (model, {t: cut(stretches, after, end) for t, stretches in plan.stretches.items()})
        )
    return chosen


def load(
    database: Db, plan: Plan, model: LoadedModel, stretches: Stretches, session: ClientSession
) -> Load:
    """Return the bars that a model needs to score some stretches.

    They are read in the session's snapshot, in which the plan was made.
    """
    wanted = {
        ticker: (find_first(own), find_last(own, model.history_bars))
        for ticker, own in stretches.items()
    }
    return Load(
        read_panel(database, plan.job.interval, plan.series, wanted, session, model.reach),
        model,
        stretches,
        unpack_days(plan.market) if plan.market and model.feature_set.sees_market else None,
    )
