"""Sets: one document for the correlations of each set of tickers that a user asked for."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

from pymongo.client_session import ClientSession

from records.analytics.documents import SetDocument, sets_in
from records.database import Db
from records.market.documents import SeriesState


def build_set_id(tickers: Sequence[str], interval: str, as_of: datetime | None) -> str:
    """Return the `_id` of a set, which does not depend on the order of its tickers."""
    named = ",".join(sorted(tickers)) + f"::{interval}"
    if as_of is not None:
        named += f"::{as_of:%Y-%m-%dT%H:%M:%SZ}"
    return sha256(named.encode()).hexdigest()


def build_bars_key(series: Sequence[SeriesState], definitions: str) -> str:
    """Return a hash of `definitions` and of each series' revision and last bar, which changes with
    any bar of the set.
    """
    parts = sorted(f"{s['ticker']}:{s['revision']}:{s['last_bar'].isoformat()}" for s in series)
    return sha256("\n".join([definitions, *parts]).encode()).hexdigest()


def write_set(database: Db, document: SetDocument, session: ClientSession) -> None:
    """Store a set inside the transaction of its batch."""
    sets_in(database).replace_one({"_id": document["_id"]}, document, upsert=True, session=session)


def find_set(database: Db, set_id: str) -> SetDocument | None:
    """Return a set, or None."""
    return sets_in(database).find_one({"_id": set_id})
