"""The scores of all bars of runs that were asked to keep them; kept as long as finished runs."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby

from pymongo import ReplaceOne
from pymongo.client_session import ClientSession

from core.errors import NotFound
from records.database import Db, among, match
from records.models.documents import BarScores, bar_scores_in

# A document of at most 16 MiB has at most so many scores: with its time, each takes 16 bytes.
MOST_SCORES = 500_000
SCORE_BYTES = 8


def build_bar_scores(
    run_id: str,
    version: str,
    ticker: str,
    interval: str,
    *,
    times: bytes,
    scores: bytes,
    now: datetime,
) -> Iterator[BarScores]:
    """Yield the documents of a ticker's scores by one version.

    `times` (UTC seconds, 64-bit integers) and `scores` (64-bit floats) are little-endian.
    """
    size = MOST_SCORES * SCORE_BYTES
    for number, start in enumerate(range(0, len(times), size)):
        part = times[start : start + size]
        yield {
            "_id": f"{run_id}::{version}::{ticker}::{interval}::{number:04d}",
            "run_id": run_id,
            "version": version,
            "ticker": ticker,
            "interval": interval,
            "first": int.from_bytes(part[:SCORE_BYTES], "little", signed=True),
            "count": len(part) // SCORE_BYTES,
            "times": part,
            "scores": scores[start : start + size],
            "created_at": now,
        }


def write_bar_scores(database: Db, documents: Iterable[BarScores], session: ClientSession) -> None:
    """Write scores inside the transaction of their batch.

    One call writes them all, as a market has ten thousand documents and MongoDB ends a transaction
    that takes too long.
    """
    writes = [ReplaceOne({"_id": one["_id"]}, one, upsert=True) for one in documents]
    if writes:
        bar_scores_in(database).bulk_write(writes, ordered=False, session=session)


def find_bar_scores(
    database: Db, run_id: str | None, version: str, ticker: str
) -> tuple[Sequence[int], Sequence[float]]:
    """Return the times (UTC seconds, ascending) and scores that a version gave a ticker's bars.

    Raises NotFound where the run kept none.
    """
    query = {"run_id": run_id, "ticker": ticker, "version": version}
    found = list(bar_scores_in(database).find(query).sort("first", 1))
    if not found:
        raise NotFound(
            f"run {str(run_id)[:64]} has kept no scores of {ticker} by {version}; ask for them with"
            " keep_scores, and for a ticker that the run scores",
            reason="no_scores",
        )
    times, scores = array("q"), array("d")
    for document in found:
        times.frombytes(document["times"])
        scores.frombytes(document["scores"])
    return times, scores


def choose_bar_scores(
    database: Db, tickers: Sequence[str], interval: str, run_id: str | None
) -> dict[str, list[BarScores]]:
    """Return by ticker, ascending, the documents of its scores without `times` and `scores`: of
    `run_id` or, where it is None, of the latest run that kept scores of the ticker.
    """
    query = match(ticker=among(tickers), interval=interval, run_id=run_id)
    order = [("ticker", 1), ("created_at", -1), ("run_id", 1), ("first", 1)]
    found = bar_scores_in(database).find(query, {"times": 0, "scores": 0}).sort(order)
    chosen = {}
    for ticker, documents in groupby(found, lambda document: document["ticker"]):
        run, own = next(groupby(documents, lambda document: document["run_id"]))
        chosen[ticker] = [one for one in own if one["run_id"] == run]
    return chosen


def get_bar_scores(database: Db, scores_id: str) -> BarScores | None:
    """Return a document of scores in full; None where it was deleted meanwhile."""
    return bar_scores_in(database).find_one({"_id": scores_id})
