"""API keys, by which clients are admitted.

Only a hash is stored; the key itself is shown once, when it is made.

The hash is one round of SHA-256. Slow hashes such as bcrypt protect secrets that people choose,
which can be guessed; a key here is 256 random bits, which cannot, and it is checked on every
request.
"""

import secrets
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import NotRequired, TypedDict, get_args
from uuid import uuid4

from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError

from core.errors import BadInput, Conflict, NotFound
from core.words import KeyScope
from records.database import Db

SCOPES: tuple[KeyScope, ...] = get_args(KeyScope)
KEY_BYTES = 32
KEY_PREFIX = "tw_"
MAX_NAME_LENGTH = 64


class KnownKey(TypedDict):
    """An API key without its hash. A key without a tenant is the default tenant's."""

    _id: str
    name: str
    tenant: NotRequired[str]
    scopes: list[KeyScope]
    created_at: datetime
    revoked_at: datetime | None


class KeyDocument(KnownKey):
    """An API key."""

    sha256: str


def keys_in(database: Db) -> Collection[KeyDocument]:
    """Return the collection of API keys."""
    return database.api_keys


def add_key(
    database: Db,
    name: str,
    scopes: Sequence[KeyScope],
    now: datetime,
    session: ClientSession | None = None,
) -> str:
    """Make a key for the tenant of `database` and return it; it cannot be shown again.

    Raises BadInput, and Conflict on a name in use.
    """
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise BadInput(
            f"scopes {', '.join(unknown) or '(none)'} cannot be given; the choices are"
            f" {', '.join(SCOPES)}"
        )
    if not 0 < len(name) <= MAX_NAME_LENGTH or not name.isprintable():
        raise BadInput(
            f"a key's name has 1 to {MAX_NAME_LENGTH} printable characters; this one is {name!r}"
        )
    key = KEY_PREFIX + secrets.token_urlsafe(KEY_BYTES)
    document: KeyDocument = {
        "_id": str(uuid4()),
        "name": name,
        "sha256": _hash(key),
        "scopes": sorted(set(scopes)),
        "created_at": now,
        "revoked_at": None,
    }
    try:
        keys_in(database).insert_one(document, session=session)
    except DuplicateKeyError as error:
        raise Conflict(
            f"there is a key named {name!r}; revoke it first, or choose another name"
        ) from error
    return key


def find_key(database: Db, key: str) -> KnownKey | None:
    """Return the document of a valid key, or None."""
    return keys_in(database).find_one({"sha256": _hash(key), "revoked_at": None}, {"sha256": 0})


def is_admitted(database: Db, key_id: str | None) -> bool:
    """Return whether a key, given by its id, is still valid; None is open access, which ends with
    the first key.
    """
    if key_id is None:
        return not has_keys(database)
    return keys_in(database).find_one({"_id": key_id, "revoked_at": None}, {"_id": 1}) is not None


def find_keys(database: Db) -> list[KnownKey]:
    """Return all keys, the newest first, without their hashes."""
    return [*keys_in(database).find({}, {"sha256": 0}).sort("created_at", -1)]


def has_keys(database: Db) -> bool:
    """Return whether a key was ever made. Revoking the last one does not open access again."""
    return keys_in(database).find_one({}, {"_id": 1}) is not None


def revoke_key(
    database: Db, name: str, now: datetime, session: ClientSession | None = None
) -> None:
    """Revoke a key at once. Raises NotFound where no valid key has this name."""
    ended = keys_in(database).update_one(
        {"name": name, "revoked_at": None}, {"$set": {"revoked_at": now}}, session=session
    )
    if ended.matched_count == 0:
        known = [key["name"] for key in find_keys(database) if key["revoked_at"] is None]
        raise NotFound(
            f"no key named {name!r} is in force; those that are: {', '.join(known) or '(none)'}"
        )


def _hash(key: str) -> str:
    return sha256(key.encode()).hexdigest()
