"""What each market did on each of its days: computed from its bars, stored beside them.

A score depends on them; so they are kept as they were when it was made, and have revisions as bars
have.
"""

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from pymongo.client_session import ClientSession
from pymongo.cursor import Cursor
from pymongo.errors import DuplicateKeyError

from records.database import Db
from records.market.documents import (
    MarketDaysDocument,
    PanelSeries,
    SeriesInputs,
    market_days_in,
    series_in,
)

# Of more runs at once, some would look at the bars of their market anew.
KEPT_RUNS = 50

_INPUTS = dict.fromkeys(SeriesInputs.__annotations__, 1)


def build_days_id(market: str, interval: str) -> str:
    """Return the `_id` of a market's days: `US::1d`."""
    return f"{market}::{interval}"


def find_days(
    database: Db, market: str, interval: str, session: ClientSession | None = None
) -> MarketDaysDocument | None:
    """Return a market's days as they are stored, without the ends of its series, or None."""
    own = {"_id": build_days_id(market, interval)}
    return market_days_in(database).find_one(own, {"ends": 0}, session=session)


def find_whole_days(database: Db, market: str, interval: str) -> MarketDaysDocument | None:
    """Return a market's days as they are stored, with the ends of its series, or None."""
    return market_days_in(database).find_one({"_id": build_days_id(market, interval)})


def pack_ends(series: Mapping[str, PanelSeries]) -> bytes:
    """Return revision and last bar of each series in few bytes."""
    ends = {t: (one["revision"], int(one["last_bar"].timestamp())) for t, one in series.items()}
    return zlib.compress(json.dumps(ends).encode(), level=1)


def unpack_ends(days: MarketDaysDocument) -> dict[str, tuple[int, int]]:
    """Return revision and last bar (UTC seconds) of each series of a market, by ticker, as they
    were when its days were computed; nothing where that cannot be relied on.
    """
    packed = days.get("ends")
    return json.loads(zlib.decompress(packed)) if packed else {}


def were_checked(database: Db, market: str, interval: str, run_id: str) -> bool:
    """Whether a run has found, or made, a market's days as its bars have them."""
    own = {"_id": build_days_id(market, interval), "checked_by": run_id}
    return market_days_in(database).find_one(own, {"_id": 1}) is not None


def note_checked(
    database: Db, days: MarketDaysDocument, run_ids: Sequence[str], changes_seen: int
) -> None:
    """Note that runs have found these days as the market's bars have them,
    when series had been written so often.
    """
    noted = {"$each": list(run_ids), "$slice": -KEPT_RUNS}
    own = {"_id": days["_id"], "inputs": days["inputs"]}
    changes = {"$push": {"checked_by": noted}, "$max": {"changes_seen": changes_seen}}
    market_days_in(database).update_one(own, changes)


def find_changed_days(days: MarketDaysDocument, since_revision: int) -> tuple[int, int] | None:
    """Return the first and last day (UTC seconds) that changed after a revision;
    None if none did.
    """
    later = [change for change in days["changes"] if change["revision"] > since_revision]
    if not later:
        return None
    return min(change["first"] for change in later), max(change["last"] for change in later)


def hash_inputs(database: Db, market: str, interval: str, session: ClientSession) -> str:
    """Return a hash of all bars of a market, as its series tell their own."""
    own = {"market": market, "interval": interval}
    found = series_in(database).find(
        own, {"ticker": 1, "fingerprint": 1}, batch_size=10_000, session=session
    )
    return _hash(f"{series['ticker']} {series['fingerprint']}" for series in found)


def find_inputs(
    database: Db, market: str, interval: str, session: ClientSession
) -> list[SeriesInputs]:
    """Return what of each series of a market its days are a function of."""
    own = {"market": market, "interval": interval}
    found = series_in(database).find(own, _INPUTS, batch_size=10_000, session=session)
    return [*cast("Cursor[SeriesInputs]", found)]


def hash_years(inputs: Iterable[SeriesInputs]) -> dict[str, str]:
    """Return by year a hash of the bars that its days are computed of:
    those of the year and of the year before.
    """
    lines: dict[str, list[str]] = {}
    for series in inputs:
        splits = ";".join(f"{s['session']:%Y-%m-%d}/{s['factor']!r}" for s in series["splits"])
        for year, digest in series["digests"].items():
            before = series["digests"].get(str(int(year) - 1), "")
            lines.setdefault(year, []).append(f"{series['ticker']} {before} {digest} {splits}")
    return {year: _hash(own) for year, own in sorted(lines.items())}


def replace_days(database: Db, document: MarketDaysDocument, before: int | None) -> bool:
    """Store a market's days in place of those of the revision `before`, None where there were none.

    Return False where somebody else did so meanwhile.
    """
    if before is None:
        try:
            market_days_in(database).insert_one(document)
        except DuplicateKeyError:
            return False
        return True
    own = {"_id": document["_id"], "revision": before}
    return market_days_in(database).replace_one(own, document).matched_count == 1


def _hash(lines: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for line in sorted(lines):
        digest.update(f"{line}\n".encode())
    return f"sha256:{digest.hexdigest()}"
