"""The first step: chooses which bars of each series a job scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

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
        series: the stored record of each ticker's series.
        stretches: the bars to score of each ticker; the outcome of a ticker without any says why.
        outcomes: the outcome of each ticker of the job so far.
        market: the market's days; None where they were not computed or not asked for.
        looked_at_days: whether an earlier detection of a ticker looked at the market's days; if so,
            a change of the days may have moved its scores.
    """

    job: Job
    series: Mapping[str, PanelSeries]
    stretches: Stretches
    outcomes: Outcomes
    market: MarketDaysDocument | None
    looked_at_days: bool = False

    def cut(self, tickers: Sequence[str]) -> Self:
        """Return the plan of some of its job's tickers; `series` and `stretches` are shared."""
        job = replace(self.job, tickers=tuple(tickers))
        outcomes = {ticker: self.outcomes[ticker] for ticker in tickers}
        return replace(self, job=job, outcomes=outcomes)

    def pick(self, stretches: Stretches) -> Stretches:
        """Return those of some `stretches` that are of its job's tickers."""
        return {ticker: stretches[ticker] for ticker in self.job.tickers if ticker in stretches}


def make_plan(database: Db, job: Job, session: ClientSession, *, with_days: bool) -> Plan:
    """Return the plan of a job, of its series in a session's snapshot.

    The plan takes changed market days into account only `with_days`.
    """
    series = find_panel_series(database, job.tickers, job.interval, session)
    watermarks: Mapping[str, DetectedRange] = {}
    is_incremental = job.task == "incremental"
    if is_incremental or (job.is_stored and (job.period or "max") != "max"):
        watermarks = find_detected_ranges(database, job.tickers, job.interval)
    outcomes = _begin(job, series, watermarks if is_incremental else {})
    days = find_days(database, job.market, job.interval, session) if with_days else None
    stretches: dict[str, tuple[Stretch, ...]] = {}
    for ticker, stored in series.items():
        wanted = _choose_stretches(database, job, stored, watermarks.get(ticker), days)
        if wanted:
            stretches[ticker] = wanted
        else:
            outcomes[ticker] = outcomes[ticker]._replace(reason="already_detected")
    looked_at_days = any(mark.get("market_revision") is not None for mark in watermarks.values())
    return Plan(job, series, stretches, outcomes, days, looked_at_days)


def plan_stretches(database: Db, job: Job, stretches: Stretches, session: ClientSession) -> Plan:
    """Return a plan with the given `stretches`, of the job's series in a session's snapshot."""
    series = find_panel_series(database, job.tickers, job.interval, session)
    days = find_days(database, job.market, job.interval, session)
    return Plan(job, series, stretches, _begin(job, series, {}), days)


def _begin(
    job: Job, series: Mapping[str, PanelSeries], watermarks: Mapping[str, DetectedRange]
) -> dict[str, Outcome]:
    """Return the first outcome of each of a job's tickers; a ticker without bars has failed."""
    outcomes = {}
    for ticker in job.tickers:
        stored, watermark = series.get(ticker), watermarks.get(ticker)
        if stored is None:
            error = (
                f"{ticker} has no stored {job.interval} bars; import some (`flask bars import"
                " FILE`)"
            )
            outcomes[ticker] = Outcome(ticker).fail("no_bars", error)
        else:
            outcomes[ticker] = Outcome(
                ticker,
                watermark=watermark["last_detected_timestamp"] if watermark else None,
                bars_revision=stored["revision"],
                bars_stored=stored["bars"],
                last_bar=stored["last_bar"],
            )
    return outcomes


def _choose_stretches(
    database: Db,
    job: Job,
    series: PanelSeries,
    watermark: DetectedRange | None,
    days: MarketDaysDocument | None,
) -> tuple[Stretch, ...]:
    asked: tuple[Stretch, ...] = ()
    if job.task == "backfill":
        asked = plan_backfill(series, job.period or "max")
        if watermark is None:
            return asked
    # The watermark that a backfill of a period writes says that all bars up to the last one are
    # done. So the backfill also scores what was due before its period.
    change = moved = None
    if watermark is not None and watermark["bars_revision"] != series["revision"]:
        change = find_changes(database, series["ticker"], job.interval, watermark["bars_revision"])
    seen = watermark.get("market_revision") if watermark is not None else None
    if days is not None and seen is not None:
        moved = find_changed_days(days, seen)
    return (*plan_incremental(series, watermark, change, moved), *asked)
