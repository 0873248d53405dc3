"""The API and the command line ask for evaluations of model versions here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from celery import Celery

from core.errors import BadInput
from core.naming import count_of, name_some
from core.words import Trigger
from market.intervals import DAY_SECONDS, INTERVALS
from market.markets import load_markets
from records.database import Db
from records.market.series import find_sizes
from records.models.champions import ALL_MARKETS
from records.models.documents import EvaluationDocument, LabelFields
from records.models.evaluations import add_evaluation
from records.models.models import get_model_record
from records.work.documents import RunDocument
from records.work.requests import NOT_ONCE, Once, RunRequest
from tasks.engine.accept import accept_run

MOST_LABELS = 20_000
NAMED = 5


@dataclass(frozen=True, slots=True)
class EvaluationRequest:
    """What is to be judged.

    Attributes:
        versions: one version, or two to compare, of one market and interval.
        tickers: the tickers whose bars are used. If empty: the tickers of the labels, or all of the
            market.
        start, end: first and last time of a bar. With labels, the default is their first and last
            time, beginning with the day of the first label's bar.
        labels: what people said about single bars.
        keep_scores: whether the score of every bar is stored.
    """

    versions: tuple[str, ...]
    tickers: tuple[str, ...] = ()
    start: datetime | None = None
    end: datetime | None = None
    labels: Sequence[LabelFields] = ()
    keep_scores: bool = False


def request_evaluation(
    database: Db,
    celery: Celery,
    asked: EvaluationRequest,
    *,
    now: datetime,
    once: Once = NOT_ONCE,
) -> RunDocument:
    """Accept an evaluation and return its run, whose options name it (`evaluation`).

    Raises:
        NotFound: there is no such version.
        BadInput: the versions are not one or two of one market and interval, the stretch ends
            before it starts, no ticker that is named has bars, or the labels are all of one class,
            of another market or interval, or too many.
    """
    market, interval = _check_versions(database, asked.versions)
    known = load_markets(database)

    def complete(ticker: str) -> str:
        return ticker if market == ALL_MARKETS else known.complete(ticker, known.choose(market))

    labels: list[LabelFields] = [
        {**label, "ticker": complete(label["ticker"])} for label in asked.labels
    ]
    tickers = tuple(complete(ticker) for ticker in asked.tickers)
    if labels:
        check_labels(labels)
        _check_interval(labels, interval)
        tickers = tickers or tuple(sorted({label["ticker"] for label in labels}))
    stretch = _choose_stretch(asked, labels, INTERVALS[interval])
    if tickers and not find_sizes(database, tickers=tickers, interval=interval):
        raise BadInput(
            f"no {interval} bars of {name_some(tickers, NAMED)} are stored; `flask bars list` shows"
            " what is",
            reason="no_bars",
        )
    evaluation = add_evaluation(
        database,
        market=market,
        interval=interval,
        versions=asked.versions,
        stretch=stretch,
        tickers=tickers,
        labels=labels,
        keep_scores=asked.keep_scores,
        now=now,
    )
    return accept_evaluation(database, celery, evaluation, "manual", once, now)


def accept_evaluation(
    database: Db,
    celery: Celery,
    evaluation: EvaluationDocument,
    trigger: Trigger,
    once: Once,
    now: datetime,
) -> RunDocument:
    """Accept the run of an evaluation that was written, and return it."""
    request = RunRequest(
        "evaluate",
        trigger,
        interval=evaluation["interval"],
        market=evaluation["market"],
        options={"evaluation": evaluation["_id"], "versions": evaluation["versions"]},
        once=once,
    )
    return accept_run(database, celery, request, now=now)


def _choose_stretch(
    asked: EvaluationRequest, labels: Sequence[LabelFields], bar_seconds: int
) -> tuple[datetime | None, datetime | None]:
    """Return the first and last time of a bar that is judged; None where there is no bound.

    Raises BadInput where the stretch ends before it starts.
    """
    start, end = asked.start, asked.end
    if labels:
        start = start or _find_first_day(labels, bar_seconds)
        end = end or max(label["time"] for label in labels)
    if start and end and start > end:
        told = f"the stretch ends ({end:%Y-%m-%d}) before it starts ({start:%Y-%m-%d})"
        if labels and not (asked.start and asked.end):
            told += (
                "; labels are of bars within it, and by default it is from the first to the last"
            )
        raise BadInput(told)
    return start, end


def _find_first_day(labels: Sequence[LabelFields], bar_seconds: int) -> datetime:
    """Return the midnight of the day on which the first labelled bar may have begun: a label names
    it by any time within.
    """
    day = min(label["time"] for label in labels).replace(hour=0, minute=0, second=0, microsecond=0)
    return day - timedelta(days=max(0, bar_seconds // DAY_SECONDS - 1))


def check_labels(labels: Sequence[LabelFields]) -> None:
    """Raise BadInput where labels cannot judge a model."""
    if len(labels) > MOST_LABELS:
        raise BadInput(f"{len(labels):,} labels were given; {MOST_LABELS:,} at the most are read")
    classes = {label["is_anomaly"] for label in labels}
    if len(classes) == 1:
        (only,) = classes
        said = "anomalies" if only else "no anomalies"
        raise BadInput(
            f"all {len(labels):,} labels say of their bars that they are {said}: a precision takes"
            " both; label some bars of the other class too",
            reason="labels_of_one_class",
        )


def _check_interval(labels: Sequence[LabelFields], interval: str) -> None:
    """Raise BadInput where labels are of bars of another interval, whose times lie within bars of
    this one, too.
    """
    others = [label for label in labels if label.get("interval", interval) != interval]
    if others:
        raise BadInput(
            f"{count_of(len(others), 'label')} of {len(labels):,} are of other than {interval} bars"
            f" (the first of {others[0].get('interval')}): leave these out, or judge a version of"
            " their interval",
            reason="labels_of_another_interval",
        )


def _check_versions(database: Db, versions: Sequence[str]) -> tuple[str, str]:
    """Return market and interval of the versions."""
    if not 1 <= len(versions) <= 2 or len(set(versions)) < len(versions):
        raise BadInput(f"name one version, or two different ones to compare, not {len(versions)}")
    records = [get_model_record(database, version) for version in versions]
    of = {(record["market"], record["interval"]) for record in records}
    # A model of all markets can be compared with one of a market, on that market's bars.
    markets = {market for market, _ in of} - {ALL_MARKETS} or {ALL_MARKETS}
    intervals = {interval for _, interval in of}
    if len(markets) > 1 or len(intervals) > 1:
        named = " and ".join(f"{market} {interval}" for market, interval in sorted(of))
        raise BadInput(f"{' and '.join(versions)} are of {named} bars, and cannot be compared")
    return markets.pop(), intervals.pop()
