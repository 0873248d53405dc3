"""The fourth step: turns a model's scores into anomaly documents, and into an outcome of each
series with its warnings.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain, pairwise
from typing import Any

import numpy as np

from core.arrays import Bools, Int64
from core.naming import count_of
from core.words import AnomalyKind
from detection.features.compute import Features
from detection.features.market_move import LEAST_TICKERS
from detection.models.manager import LoadedModel
from detection.pipeline.anomaly_documents import Describer, find_rows
from detection.pipeline.job import Job, Outcome, VersionScores
from detection.pipeline.load import Load
from detection.pipeline.plan import Outcomes
from detection.pipeline.score import Scores, Shown
from detection.scoring.faults import Fault, find_faults
from market.bars.panel import BarPanel
from records.findings.documents import AnomalyDocument

# A ticker gets a warning where more of its bars are flagged than MOST_TIMES_FLAGGED times the share
# of the training bars that are, if at least JUDGED_ROWS of its bars were scored. Chance and crises
# hardly ever flag so many. A ticker unlike those that the model learned from, such as a thinly
# traded one among large ones, does.
JUDGED_ROWS = 250
MOST_TIMES_FLAGGED = 4


def describe(
    said: Scores,
    outcomes: Outcomes,
    job: Job,
    now: datetime,
    *,
    kinds: Mapping[str, AnomalyKind] | None = None,
) -> dict[str, Outcome]:
    """Return the outcomes of a load's tickers after its model has scored their stretches.

    Args:
        said: the model's scores, and the load that they are of.
        outcomes: the tickers' outcomes until now; a walk forward scores each ticker by several
            models, one after another.
        job: the job that the load is of.
        now: the time at which the anomalies count as found.
        kinds: the kinds of stored anomalies, by id. Where a bar may be an event or a fault, its
            stored kind decides, not whether its score passes today's threshold.
    """
    load, seen, scores = said.load, said.seen, said.scores
    panel, model = load.panel, load.model
    features, rows, shown = seen.features, seen.rows, seen.shown
    passed = scores < model.threshold
    events = _settle_events(panel, rows[passed], kinds or {})
    faults, returned = _find_faults(load, seen.marked, features, seen.errors, events)
    described = passed.copy()
    described[said.asked] = True
    told = np.zeros(panel.times.size, dtype=np.bool_)
    told[[*faults, *returned]] = True
    described &= ~told[rows]
    found: dict[str, list[AnomalyDocument]] = {}
    picked = shown.want(shown.wanted[described])
    describer = Describer(load, features, job, now)
    strange = describer.describe_events(picked, scores[described])
    for anomaly in chain(strange, describer.describe_faults(list(faults.values()))):
        found.setdefault(anomaly["Ticker"], []).append(anomaly)
    for own in found.values():
        own.sort(key=lambda anomaly: anomaly["Datetime"])
    lost = f"lost its stored {panel.interval} bars; import them again"
    gone = load.stretches.keys() - set(panel.tickers)
    done = {ticker: outcomes[ticker].fail("no_bars", f"{ticker} {lost}") for ticker in gone}
    kept = _split_scores(said) if job.keep_scores else {}
    added = _add_to(outcomes, load, seen, found, kept)
    return done | {outcome.ticker: outcome for outcome in added}


def _settle_events(panel: BarPanel, passed: Int64, kinds: Mapping[str, AnomalyKind]) -> set[int]:
    """Return the rows that count as events: those that `passed` the threshold, but for rows whose
    kind is known.
    """
    known = {
        kind: set(find_rows(panel, [each for each, own in kinds.items() if own == kind]).tolist())
        for kind in ("event", "fault")
    }
    return {*passed.tolist(), *known["event"]} - known["fault"]


def _find_faults(
    load: Load,
    wanted: Bools,
    features: Features,
    errors: Mapping[str, str],
    events: set[int],
) -> tuple[dict[int, Fault], Iterable[int]]:
    """Return by row the faults among the `wanted` rows, and the rows that only return from a fault.

    Series with `errors` are left out. So is a fault that is not certain where its row is among the
    `events`.
    """
    panel = load.panel
    if errors:
        wanted = wanted.copy()
        for s, ticker in enumerate(panel.tickers):
            if ticker in errors:
                wanted[panel.series(s)] = False
    judged = find_faults(panel, wanted, features, load.market)
    faults = {
        row: fault for row, fault in judged.faults.items() if fault.is_certain or row not in events
    }
    return faults, judged.returned


def _add_to(
    outcomes: Outcomes,
    load: Load,
    seen: Shown,
    found: Mapping[str, Sequence[AnomalyDocument]],
    kept: Mapping[str, VersionScores],
) -> Iterator[Outcome]:
    """Yield the outcome of each series of the panel, with what this load adds to it."""
    panel, model = load.panel, load.model
    facts = (
        np.diff(panel.offsets),
        panel.count_rows(seen.rows),
        seen.warm_up,
        seen.still,
    )
    warnings = _warn_of_interval(model, panel) + _warn_of_market(load, seen.rows)
    warnings += (model.threshold_problem,) if model.threshold_problem else ()
    # Whole columns become lists at once, as in `Describer`.
    listed = zip(panel.tickers, seen.spans, *(values.tolist() for values in facts), strict=True)
    for ticker, rows, rows_loaded, rows_scored, warm_up_rows, still_rows in listed:
        before = outcomes[ticker]
        set_aside = {
            "warm_up_rows": before.warm_up_rows + warm_up_rows,
            "still_rows": before.still_rows + still_rows,
        }
        if ticker in seen.errors:
            yield before._replace(**set_aside).fail("bad_bars", seen.errors[ticker])
            continue
        own = tuple(
            (_time(panel.times[start]), _time(panel.times[stop - 1])) for start, stop in rows
        )
        all_spans = before.spans + own
        anomalies = found.get(ticker, ())
        for anomaly in anomalies:
            anomaly["bars_revision"] = before.bars_revision
        own_warnings = _warn_of_share(model, ticker, panel.interval, rows_scored, anomalies)
        yield before._replace(
            **set_aside,
            model=model,
            rows_loaded=before.rows_loaded + rows_loaded,
            rows_processed=before.rows_processed + rows_scored,
            spans=all_spans,
            first_scored=all_spans[0][0] if all_spans else None,
            warnings=before.warnings + warnings + own_warnings,
            market_revision=load.market.revision if load.market else None,
            found=(*before.found, *anomalies),
            scores=(*before.scores, kept[ticker]) if ticker in kept else before.scores,
            **_find_shortage(model.warm_up_bars + 1, before.bars_stored),
        )


def _split_scores(said: Scores) -> dict[str, VersionScores]:
    """Return the scores by ticker, for a job that keeps the score of every bar."""
    panel, rows = said.load.panel, said.seen.rows
    bounds = np.searchsorted(rows, panel.offsets).tolist()
    return {
        ticker: VersionScores(
            said.load.model.version,
            panel.times[rows[start:stop]].astype("<i8").tobytes(),
            said.scores[start:stop].astype("<f8").tobytes(),
        )
        for ticker, (start, stop) in zip(panel.tickers, pairwise(bounds), strict=True)
        if start < stop
    }


def _warn_of_interval(model: LoadedModel, panel: BarPanel) -> tuple[str, ...]:
    if model.interval == panel.interval:
        return ()
    return (f"{model.version} was trained on {model.interval} bars, not {panel.interval}",)


def _warn_of_market(load: Load, rows: Int64) -> tuple[str, ...]:
    """Return a warning where the market's move is not known on the days of some of the `rows`."""
    market, interval = load.market, load.panel.interval
    if market is None:
        return ()
    if not market.is_known:
        most = int(market.counts.max(initial=0))
        warning = (
            f"market {market.market} has {interval} returns of {count_of(most, 'ticker')} on"
            f" a day at the most, and its own move is the median of at least {LEAST_TICKERS}:"
            " scores do without it"
        )
        return (warning,)
    unknown = market.times[np.isnan(market.moves)]
    if not unknown.size:  # Almost always; looking up the day of every bar takes long.
        return ()
    lacking = unknown[np.isin(unknown, load.panel.times[rows])].tolist()
    if not lacking:
        return ()
    first, last = f"{_time(lacking[0]):%Y-%m-%d}", f"{_time(lacking[-1]):%Y-%m-%d}"
    when = f"on {first}" if first == last else f"on {len(lacking):,} days from {first} to {last}"
    warning = (
        f"market {market.market}: its own move is not known {when}, where fewer than"
        f" {LEAST_TICKERS} tickers have a return: {interval} scores do without it there, until"
        " the bars that lack are imported"
    )
    return (warning,)


def _warn_of_share(
    model: LoadedModel, ticker: str, interval: str, rows: int, found: Sequence[AnomalyDocument]
) -> tuple[str, ...]:
    """Return a warning where a far larger share of a ticker's bars was flagged than of the training
    bars.
    """
    # A quick way out for almost all of the thousands of tickers of a scan.
    if rows < JUDGED_ROWS or len(found) * 100 < rows:
        return ()
    events = sum(anomaly["kind"] == "event" for anomaly in found)
    usual = model.grades.count_below(model.threshold) / model.grades.rows
    if events <= MOST_TIMES_FLAGGED * usual * rows:
        return ()
    warning = (
        f"{ticker}: {events / rows:.1%} of {rows:,} {interval} bars are flagged, and"
        f" {usual:.1%} of those that {model.version} learned from: it knows few like them. Train a"
        f" model with them, or set a threshold for {ticker}: `flask models threshold --ticker"
        f" {ticker} --grade 75`"
    )
    return (warning,)


def _find_shortage(needed: int, present: int) -> dict[str, Any]:
    if present >= needed:
        return {}
    return {"reason": "not_enough_bars", "bars_needed": needed, "bars_present": present}


@lru_cache(1_000)
def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)
