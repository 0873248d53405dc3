"""A cache of keys that were valid a moment ago, so that not every read looks its key up."""

from hashlib import sha256
from time import monotonic

from records.database import Db
from records.keys import KnownKey, find_key

# A revoked key may read for this long; requests that change something look their key up each time.
KEPT_SECONDS = 1.0
MOST_KEPT = 1_000


class KnownKeys:
    """The keys that this process has found lately, by their hash."""

    def __init__(self) -> None:
        self._found: dict[bytes, tuple[float, KnownKey]] = {}

    def find(self, database: Db, key: str, *, is_read: bool) -> KnownKey | None:
        """Return the document of a valid key, or None; for a request that does not only read, the
        present one.
        """
        name, now = sha256(key.encode()).digest(), monotonic()
        looked, known = self._found.get(name, (0.0, None))
        if is_read and known is not None and now - looked < KEPT_SECONDS:
            return known
        known = find_key(database, key)
        if known is not None:
            if len(self._found) >= MOST_KEPT:
                self._found = {}
            self._found[name] = (now, known)
        else:
            self._found.pop(name, None)
        return known
