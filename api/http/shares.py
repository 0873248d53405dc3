"""Limits on requests that hold a thread for long: how many at once in this process, and how many of
one key or address.
"""

from collections import Counter
from threading import Lock

from flask import request

from api.http.auth import get_client

Owners = tuple[str, str]


class Shares:
    """A number of places, of which one key and one address can each have only a part."""

    def __init__(self, total: int, *, each: int) -> None:
        self.total = total
        self.each = each
        self._taken: Counter[str] = Counter()
        self._lock = Lock()

    def take(self) -> Owners | None:
        """Take a place for the request that is being answered; None where there is none for it.

        The caller must give it back.
        """
        owners = (f"key {get_client()}", f"address {request.remote_addr}")
        with self._lock:
            if self._taken.total() // len(owners) >= self.total:
                return None
            # All clients behind a proxy have its address, so the limit for an address is higher
            # than for a key.
            if (
                self._taken[owners[0]] >= self.each
                or self._taken[owners[1]] >= (self.each + self.total) // 2
            ):
                return None
            self._taken.update(owners)
            return owners

    def give_back(self, owners: Owners) -> None:
        """Give a place back."""
        with self._lock:
            self._taken.subtract(owners)
            self._taken = +self._taken
