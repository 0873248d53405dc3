"""Connects to MongoDB, with the settings that the promises need in one place."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar

from pymongo import MongoClient, ReplaceOne
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import (
    ConfigurationError,
    ConnectionFailure,
    InvalidURI,
    OperationFailure,
    PyMongoError,
)

from core.errors import ServerUnreachable, TooMuchAtOnce
from core.memory import GIBIBYTE
from core.settings import Settings

Document = dict[str, Any]
"""What is put together of documents, such as an answer. What is stored has types of its own."""
Query = Mapping[str, Any]
"""What is asked for, as MongoDB takes it."""
Db = Database[Any]

# With less than LEAST_BYTES free on its disk, MongoDB soon ends; below FEW_BYTES somebody should
# look.
LEAST_BYTES, FEW_BYTES = GIBIBYTE, 5 * GIBIBYTE

# TransactionTooLargeForCache, TransactionExceededLifetimeLimitSeconds, NoSuchTransaction
_TOO_LARGE, _TOO_LONG, _ENDED = 388, 290, 251
FULL = "No space left on device"
# Options of a server's URL that are no secrets; a wrong one is often why a server refuses.
_SHOWN_OPTIONS = {"replicaset", "authsource", "directconnection", "tls", "db"}
# MongoDB's options may be separated by a semicolon, too.
_OPTION = re.compile(r"[^&;]+")

Written = TypeVar("Written")
Stored = TypeVar("Stored", bound=Mapping[str, Any])


def connect(settings: Settings, wait_seconds: float | None = None) -> MongoClient[Any]:
    """Return a new client for this process.

    It must be made after a fork, which its threads and sockets do not survive.

    Its calls wait `wait_seconds` for a primary, by default as long as for a server that does not
    answer. Raises ServerUnreachable where MONGO_URL cannot be used.
    """
    timeout_ms = int(settings.server_timeout_seconds * 1000)
    try:
        return MongoClient(
            settings.mongo_url,
            tz_aware=True,
            w="majority",
            readConcernLevel="majority",
            retryWrites=True,
            serverSelectionTimeoutMS=(
                timeout_ms if wait_seconds is None else int(wait_seconds * 1000)
            ),
            connectTimeoutMS=timeout_ms,
            appname="tapewatch",
        )
    except (InvalidURI, ConfigurationError, ValueError) as error:
        # What is quoted as a database's name may be what follows a slash in a password.
        said = str(error).partition(' "')[0]
        raise ServerUnreachable(
            f"MONGO_URL {hide_credentials(settings.mongo_url)} cannot be used: {said}"
        ) from error


def open_database(settings: Settings, wait_seconds: float | None = None) -> Db:
    """Return the service's database over a new client; see `connect`."""
    return connect(settings, wait_seconds)[settings.mongo_database]


def get_server_time(database: Db) -> datetime:
    """Return MongoDB's time, which all processes share, as the clocks of hosts differ."""
    now: datetime = database.command("hello")["localTime"]
    return now.replace(tzinfo=UTC)


def find_free_bytes(database: Db) -> int | None:
    """Return how many bytes are free on MongoDB's disk, None where MongoDB does not tell."""
    said = database.command("dbStats")
    if "fsTotalSize" not in said:
        return None
    return int(said["fsTotalSize"] - said["fsUsedSize"])


def in_transaction(database: Db, write: Callable[[ClientSession], Written]) -> Written:
    """Commit everything that `write` does in its session, or nothing; return what `write` returned.

    MongoDB may ask for the transaction to be repeated, so `write` must do the same at each call. An
    exception from `write` aborts the transaction.
    """
    with database.client.start_session() as session:
        return session.with_transaction(write)


def put_documents(
    collection: Collection[Stored], documents: Sequence[Stored], session: ClientSession
) -> None:
    """Store documents inside a transaction, in place of those with the same `_id`.

    New documents, which most are, are inserted together: an upsert of each would take longer.
    """
    ids = [document["_id"] for document in documents]
    found = collection.find({"_id": {"$in": ids}}, {"_id": 1}, session=session) if ids else ()
    stored = {document["_id"] for document in found}
    new = [document for document in documents if document["_id"] not in stored]
    if new:
        collection.insert_many(new, ordered=False, session=session)
    if stored:
        replaced = [ReplaceOne({"_id": d["_id"]}, d) for d in documents if d["_id"] in stored]
        collection.bulk_write(replaced, ordered=False, session=session)


def match(**fields: object) -> Query:
    """Return the query of documents with these values; a field that is None may have any value."""
    return {name: value for name, value in fields.items() if value is not None}


def between(start: datetime | float | None, end: datetime | float | None) -> Query | None:
    """Return the condition that a value is from `start` to `end`, both inclusive (None: no bound);
    None where there is no bound.
    """
    return match(**{"$gte": start, "$lte": end}) or None


def older_than(field: str, seconds: float) -> Query:
    """Return the expression that a field's time is more than `seconds` ago, by the server's clock;
    it holds for null, too.
    """
    return {"$lt": [f"${field}", {"$subtract": ["$$NOW", int(seconds * 1000)]}]}


def among(values: Iterable[object] | None) -> Query | None:
    """Return the condition that a value is one of `values`; None where any value may be."""
    return None if values is None else {"$in": list(values)}


class _TakenBack(Exception):
    """Aborts a transaction of `try_transaction`."""


def try_transaction(database: Db, write: Callable[[ClientSession], Written]) -> Written:
    """Do what `in_transaction` does, but abort the transaction; return what `write` returned."""
    written: list[Written] = []

    def take_back(session: ClientSession) -> NoReturn:
        written[:] = [write(session)]
        raise _TakenBack

    with suppress(_TakenBack):
        in_transaction(database, take_back)
    return written[0]


def is_too_large(error: OperationFailure) -> bool:
    """Return whether a transaction failed because MongoDB's cache cannot hold its writes."""
    # A read in such a transaction fails without an own error code.
    return _TOO_LARGE in _find_codes(error) or "-31800" in str(error)


def _find_codes(error: OperationFailure) -> set[int | None]:
    return {error.code} | {
        each.get("code") for each in (error.details or {}).get("writeErrors", ())
    }


def is_too_much(error: Exception) -> bool:
    """Return whether a transaction failed that may succeed with fewer writes."""
    return (
        isinstance(error, TooMuchAtOnce)
        # MongoDB ended a transaction that took too long during a command, which the driver does not
        # repeat.
        or (
            isinstance(error, OperationFailure)
            and (is_too_large(error) or _TOO_LONG in _find_codes(error))
        )
        # MongoDB's error also where other transactions fill the cache; the driver has tried for two
        # minutes.
        or (isinstance(error, PyMongoError) and "Cache full" in str(error))
    )


def has_taken_too_long(error: Exception) -> bool:
    """Return whether MongoDB ended a transaction because it took too long: during a command, or
    each time that the driver tried it, for two minutes. A transaction may take a minute, or 20 s
    where the service starts MongoDB itself.
    """
    is_amid = isinstance(error, OperationFailure) and _TOO_LONG in _find_codes(error)
    cause = error.__cause__
    return is_amid or (isinstance(cause, OperationFailure) and cause.code == _ENDED)


@contextmanager
def explain_unreachable(settings: Settings) -> Iterator[None]:
    """Raise `ServerUnreachable`, which names the URL without credentials, where MongoDB does not
    answer.
    """
    try:
        yield
    except (ConnectionFailure, OperationFailure) as error:
        url = hide_credentials(settings.mongo_url)
        if FULL in str(error):
            raise ServerUnreachable(
                f"MongoDB at {url} cannot write: its disk is full. Make room there, then try again."
            ) from error
        if isinstance(error, OperationFailure) and error.code not in {13, 18} and not error.timeout:
            raise
        # The driver's message goes on with its settings and its view of the servers, which does not
        # help the reader.
        found = str(error).partition(" (configured timeouts")[0][:200]
        raise ServerUnreachable(
            f"MongoDB at {url} did not answer within {settings.server_timeout_seconds:g} s or"
            f" refused us: {found}. Start it (`make up` brings one) or set MONGO_URL."
        ) from error


def hide_credentials(url: str) -> str:
    """Return `url` with user and password replaced, and the values of options that may be passwords
    too: fit for a message or a log line.

    A password may have characters that should have been escaped, such as a slash, and the scheme
    may be missing.
    """
    before, separator, after = url.partition("://")
    scheme, rest = (before, after) if separator else ("", url)
    credentials, at, place = rest.rpartition("@")
    host, mark, options = place.partition("?")
    hidden = f"***{at}" if credentials else ""
    shown = _OPTION.sub(_hide_option, options)
    return f"{scheme}{separator}{hidden}{host}{mark}{shown}"


def _hide_option(option: re.Match[str]) -> str:
    name, equals, _ = option[0].partition("=")
    return f"{name}=***" if equals and name.lower() not in _SHOWN_OPTIONS else option[0]
