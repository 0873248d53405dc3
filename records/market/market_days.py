"""The stored market days: what each market did on each day, computed from its bars.

Scores depend on market days. So a changed day gets a new revision, as a changed bar does.
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

# How many runs are remembered that have checked the days. Of more runs at once, some would read the
# series of their market once more.
KEPT_RUNS = 50

_INPUTS = dict.fromkeys(SeriesInputs.__annotations__, 1)


def build_days_id(market: str, interval: str) -> str:
    """Return the `_id` of a market's days: `US::1d`."""
    return f"{market}::{interval}"


def find_days(
    database: Db, market: str, interval: str, session: ClientSession | None = None
) -> MarketDaysDocument | None:
    """Return a market's stored days without the field `ends`, or None."""
    own = {"_id": build_days_id(market, interval)}
    return market_days_in(database).find_one(own, {"ends": 0}, session=session)


def find_whole_days(
    database: Db, market: str, interval: str, session: ClientSession
) -> MarketDaysDocument | None:
    """Return a market's stored days with all fields, or None."""
    own = {"_id": build_days_id(market, interval)}
    return market_days_in(database).find_one(own, session=session)


def pack_ends(series: Mapping[str, PanelSeries]) -> bytes:
    """Return the revision and the last bar of each series as compressed JSON, for `ends`."""
    ends = {t: (one["revision"], int(one["last_bar"].timestamp())) for t, one in series.items()}
    return zlib.compress(json.dumps(ends).encode(), level=1)


def unpack_ends(days: MarketDaysDocument) -> dict[str, tuple[int, int]]:
    """Return by ticker the revision and the last bar (UTC seconds) of each series of a market when
    its days were computed; empty where a bar was unsound then, or `ends` was not stored.
    """
    packed = days.get("ends")
    return json.loads(zlib.decompress(packed)) if packed else {}


def were_checked(database: Db, market: str, interval: str, run_id: str) -> bool:
    """Return whether a run has already checked that a market's days are up to date."""
    own = {"_id": build_days_id(market, interval), "checked_by": run_id}
    return market_days_in(database).find_one(own, {"_id": 1}) is not None


def note_checked(
    database: Db, days: MarketDaysDocument, run_ids: Sequence[str], changes_seen: int
) -> None:
    """Store that runs have found these days up to date, when `changes_seen` writes of series had
    been counted.
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
    """Return a hash of all bars of a market, made of the fingerprints of its series."""
    own = {"market": market, "interval": interval}
    found = series_in(database).find(
        own, {"ticker": 1, "fingerprint": 1}, batch_size=10_000, session=session
    )
    return _hash(f"{series['ticker']} {series['fingerprint']}" for series in found)


def find_inputs(
    database: Db, market: str, interval: str, session: ClientSession
) -> list[SeriesInputs]:
    """Return the fields of each series of a market from which `hash_years` is computed."""
    own = {"market": market, "interval": interval}
    found = series_in(database).find(own, _INPUTS, batch_size=10_000, session=session)
    return [*cast("Cursor[SeriesInputs]", found)]


def hash_years(inputs: Iterable[SeriesInputs]) -> dict[str, str]:
    """Return by year a hash of the bars that the days of the year are computed from: the bars of
    the year and of the year before.
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

    Return False, with nothing stored, where another process has replaced them meanwhile.
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
