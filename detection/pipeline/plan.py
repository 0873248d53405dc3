"""The first step: which bars of each series a job scores,
and which series it has nothing to do for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pymongo.client_session import ClientSession

from detection.pipeline.job import Job, Outcome
from detection.pipeline.stretches import Stretch, plan_backfill, plan_incremental
from records.database import Db
from records.findings.documents import DetectedRange
from records.findings.watermarks import find_detected_ranges
from records.market.documents import MarketDaysDocument, PanelSeries
from records.market.market_days import find_changed_days, find_days
from records.market.revisions import find_changes
from records.market.series import find_panel_series

Stretches = Mapping[str, tuple[Stretch, ...]]
Outcomes = Mapping[str, Outcome]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be scored.

    Attributes:
        job: what was asked.
        series: what is stored of each ticker's series.
        stretches: the bars to score of each ticker; of one that is left out its outcome says why.
        outcomes: what came of each ticker of the job so far.
        market: what the market did on each day; None where nobody computed it.
    """

    job: Job
    series: Mapping[str, PanelSeries]
    stretches: Stretches
    outcomes: Outcomes
    market: MarketDaysDocument | None


def make_plan(database: Db, job: Job, session: ClientSession) -> Plan:
    """Return what a job scores of its series as they are in a session's snapshot."""
    series, outcomes = _find_series(database, job, session)
    watermarks = {}
    if job.task == "incremental":
        watermarks = find_detected_ranges(database, job.tickers, job.interval)
    days = find_days(database, job.market, job.interval, session)
    stretches: dict[str, tuple[Stretch, ...]] = {}
    for ticker, stored in series.items():
        watermark = watermarks.get(ticker)
        if watermark is not None:
            outcomes[ticker] = replace(
                outcomes[ticker], watermark=watermark["last_detected_timestamp"]
            )
        wanted = _choose_stretches(database, job, stored, watermark, days)
        if wanted:
            stretches[ticker] = wanted
        else:
            outcomes[ticker] = replace(outcomes[ticker], reason="already_detected")
    return Plan(job, series, stretches, outcomes, days)


def plan_stretches(database: Db, job: Job, stretches: Stretches, session: ClientSession) -> Plan:
    """Return a plan of stretches that are given,
    of the job's series as they are in a session's snapshot.
    """
    series, outcomes = _find_series(database, job, session)
    days = find_days(database, job.market, job.interval, session)
    return Plan(job, series, stretches, outcomes, days)


def _find_series(
    database: Db, job: Job, session: ClientSession
) -> tuple[dict[str, PanelSeries], dict[str, Outcome]]:
    """Return the job's series by ticker, and an outcome to begin with for each of its tickers."""
    series = find_panel_series(database, job.tickers, job.interval, session)
    outcomes = {}
    for ticker in job.tickers:
        stored = series.get(ticker)
        if stored is None:
            error = (
                f"{ticker} has no stored {job.interval} bars; import some (`flask bars import"
                " FILE`)"
            )
            outcomes[ticker] = Outcome(ticker).fail("no_bars", error)
        else:
            outcomes[ticker] = Outcome(
                ticker,
                bars_revision=stored["revision"],
                bars_stored=stored["bars"],
                last_bar=stored["last_bar"],
            )
    return series, outcomes


def _choose_stretches(
    database: Db,
    job: Job,
    series: PanelSeries,
    watermark: DetectedRange | None,
    days: MarketDaysDocument | None,
) -> tuple[Stretch, ...]:
    if job.task == "backfill":
        return plan_backfill(series, job.period or "max")
    change = moved = None
    if watermark is not None and watermark["bars_revision"] != series["revision"]:
        change = find_changes(database, series["ticker"], job.interval, watermark["bars_revision"])
    seen = watermark.get("market_revision") if watermark is not None else None
    if days is not None and seen is not None:
        moved = find_changed_days(days, seen)
    return plan_incremental(series, watermark, change, moved)
