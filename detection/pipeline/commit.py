"""The fifth step: writes everything that was found in one transaction, or nothing."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from itertools import count

from pymongo.client_session import ClientSession
from pymongo.errors import OperationFailure

from core.errors import SeriesError, TapewatchError, Transient
from detection.pipeline.job import (
    Job,
    Outcome,
    TickerResult,
    build_audits,
    build_result,
    build_watermark,
    count_outcomes,
)
from records.database import Db, in_transaction, is_too_large
from records.findings import anomalies
from records.findings.watermarks import write_watermarks
from records.market.revisions import find_shortened
from records.models.bar_scores import build_bar_scores, write_bar_scores
from records.models.documents import BarScores
from records.tenancy import of_tenant
from records.work.audits import write_audits
from records.work.documents import AuditDocument, BatchResult

# Anomalies are written part by part. A watermark and an audit are small: for a small part, the
# command would cost more than the write. So those of this many tickers are written at once.
NOTED_AT_ONCE = 250
# MongoDB's smallest cache holds twice as many anomalies. Where fewer do not fit, other transactions
# have filled the cache, and trying again helps once it has emptied.
FIT_IN_ANY_CACHE = 10_000
# MongoDB may abort a transaction that fills the cache with an error that asks for another try. A
# transaction of more than FIT_IN_ANY_CACHE anomalies is given up after so many such errors. Write
# conflicts with another transaction do not count.
MOST_TRIES = 3
WRITE_CONFLICT = 112

Finish = Callable[[ClientSession, BatchResult], None]
Detecting = Callable[[], AbstractContextManager[Iterable[Sequence[Outcome]]]]


def commit(
    database: Db, job: Job, detecting: Detecting, finish: Finish
) -> tuple[list[Outcome], list[TickerResult]]:
    """Write anomalies, watermarks and audits in one transaction; return an outcome, without its
    anomalies, and a result for each ticker.

    Each part that `detecting()` yields is written as soon as it is there, and its anomalies are not
    kept. So where MongoDB asks for the transaction to be repeated, all parts are detected again,
    and the transaction begins once all of them are there.
    `finish(session, counts)` closes the batch in the same transaction and raises LeaseLost where
    another process holds the batch by now. Raises SeriesError where one series has more anomalies
    than MongoDB can hold in a transaction, and Transient where several series have, or where bars
    were removed since they were read: anomalies of bars that are gone would stand as new ones.
    """
    ended = rows = found = 0
    tries = count()

    def write(session: ClientSession) -> tuple[list[Outcome], list[TickerResult]]:
        nonlocal ended, rows, found
        if ended >= MOST_TRIES and found > FIT_IN_ANY_CACHE:
            raise _build_too_many(job, rows, found)
        rows = found = 0
        try:
            return write_all(session, is_repeat=next(tries) > 0)
        except OperationFailure as error:
            ended += error.code != WRITE_CONFLICT
            raise

    def write_all(
        session: ClientSession, *, is_repeat: bool
    ) -> tuple[list[Outcome], list[TickerResult]]:
        nonlocal rows, found
        outcomes: list[Outcome] = []
        audits: list[AuditDocument] = []
        with_found: set[str] = set()
        noted, now = 0, None
        with detecting() as parts:
            # The transaction begins with the first write, when the first part is there. Detecting
            # the other parts may take so long that MongoDB ends the transaction, or that the lease
            # has to be renewed. So that this does not happen at each try, a repeated transaction
            # begins when all parts are there.
            for part in list(parts) if is_repeat else parts:
                now = now or datetime.now(UTC)
                rows += sum(outcome.rows_processed for outcome in part)
                found += sum(len(outcome.found) for outcome in part)
                with_found |= {outcome.ticker for outcome in part if outcome.found}
                new = _write_found(database, job, part, now, session)
                audits += build_audits(job, part, new, now)
                outcomes += map(_let_go, part)
                del part  # so that it is freed while the next one is waited for
                if len(audits) - noted >= NOTED_AT_ONCE:
                    _write_notes(database, job, outcomes[noted:], audits[noted:], session)
                    noted = len(audits)
        _write_notes(database, job, outcomes[noted:], audits[noted:], session)
        _refuse_shortened(database, job, outcomes, with_found)
        finish(session, count_outcomes(outcomes, audits))
        return outcomes, [build_result(audit) for audit in audits]

    try:
        return in_transaction(database, write)
    except OperationFailure as error:
        if found <= FIT_IN_ANY_CACHE or not is_too_large(error):
            raise
        raise _build_too_many(job, rows, found) from error


def _let_go(outcome: Outcome) -> Outcome:
    """Return an outcome without its anomalies and scores, which are written by now."""
    return outcome._replace(found=(), scores=()) if outcome.found or outcome.scores else outcome


def _build_too_many(job: Job, rows: int, found: int) -> TapewatchError:
    flagged = f"{found:,} of {rows:,} {job.interval} bars"
    if len(job.tickers) > 1:
        # The worker splits a batch that ends with this error into batches of one ticker each.
        return Transient(f"{flagged} are flagged, more than MongoDB's cache can hold at once")
    ticker = job.tickers[0]
    return SeriesError(
        f"{flagged} of {ticker} are flagged, more than MongoDB's cache can hold in one transaction:"
        " train a model with bars like these, set a threshold that fewer of them pass (`flask"
        f" models threshold --ticker {ticker} --grade 90`), or give MongoDB a larger cache"
        " (--wiredTigerCacheSizeGB)",
        reason="too_many_anomalies",
    )


def _refuse_shortened(
    database: Db, job: Job, outcomes: Sequence[Outcome], with_found: Collection[str]
) -> None:
    """Raise Transient where bars of a ticker with anomalies were removed since they were read.

    It is looked up outside the transaction, whose snapshot is older.
    """
    revisions = {o.ticker: o.bars_revision for o in outcomes if o.ticker in with_found}
    gone = find_shortened(database, job.interval, revisions)
    if gone:
        raise Transient(
            f"bars of {', '.join(gone[:5])} were removed while they were detected; they are"
            " detected again"
        )


def _write_found(
    database: Db, job: Job, outcomes: Sequence[Outcome], now: datetime, session: ClientSession
) -> Counter[str]:
    """Write anomalies and bar scores; return by ticker how many of its anomalies are new."""
    spans = {outcome.ticker: outcome.spans for outcome in outcomes}
    stored = anomalies.find_stored(database, job.interval, spans, session)
    existing = {anomaly["_id"]: anomaly for anomaly in stored}
    found = [anomaly for outcome in outcomes for anomaly in outcome.found]
    new, changes = anomalies.plan_writes(found, existing, job.run_id, now)
    anomalies.write_anomalies(database, new, changes, session)
    write_bar_scores(database, _list_scores(job, outcomes, now), session)
    return Counter(anomaly["Ticker"] for anomaly in new)


def _write_notes(
    database: Db,
    job: Job,
    outcomes: Sequence[Outcome],
    audits: Sequence[AuditDocument],
    session: ClientSession,
) -> None:
    """Write the watermarks and the audits of some tickers."""
    looked_at = [
        build_watermark(job, o, audit, o.model, o.last_bar)
        for o, audit in zip(outcomes, audits, strict=True)
        if o.model and o.last_bar
    ]
    are_stored = all(o.watermark for o in outcomes if o.model)
    write_watermarks(database, looked_at, session, are_stored=are_stored)
    write_audits(of_tenant(database, job.tenant), audits, session)


def _list_scores(job: Job, outcomes: Sequence[Outcome], now: datetime) -> Iterator[BarScores]:
    for outcome in outcomes:
        for version, times, scores in outcome.scores:
            yield from build_bar_scores(
                job.run_id,
                version,
                outcome.ticker,
                job.interval,
                times=times,
                scores=scores,
                now=now,
            )
