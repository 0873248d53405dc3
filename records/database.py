"""Connecting to MongoDB, with what the promises need set in one place."""

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

# With less free on MongoDB's disk it soon ends; with few, somebody should look.
LEAST_BYTES, FEW_BYTES = GIBIBYTE, 5 * GIBIBYTE

# TransactionTooLargeForCache, TransactionExceededLifetimeLimitSeconds, NoSuchTransaction
_TOO_LARGE, _TOO_LONG, _ENDED = 388, 290, 251
FULL = "No space left on device"

Written = TypeVar("Written")
Stored = TypeVar("Stored", bound=Mapping[str, Any])


def connect(settings: Settings, wait_seconds: float | None = None) -> MongoClient[Any]:
    """Return a client of this process's own.

    Make it after the fork: its threads and sockets do not survive one.

    Its calls wait so long for a primary; by default as long as for a server that does not answer.
    Raises ServerUnreachable where MONGO_URL cannot be used.
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
        raise ServerUnreachable(
            f"MONGO_URL {hide_credentials(settings.mongo_url)} cannot be used: {error}"
        ) from error


def open_database(settings: Settings, wait_seconds: float | None = None) -> Db:
    """Return the service's database over a new client; see `connect`."""
    return connect(settings, wait_seconds)[settings.mongo_database]


def get_server_time(database: Db) -> datetime:
    """Return MongoDB's time, which is everybody's: the clocks of hosts differ."""
    now: datetime = database.command("hello")["localTime"]
    return now.replace(tzinfo=UTC)


def find_free_bytes(database: Db) -> int | None:
    """Return how much is free on the disk that MongoDB stores on, None where it does not say."""
    said = database.command("dbStats")
    if "fsTotalSize" not in said:
        return None
    return int(said["fsTotalSize"] - said["fsUsedSize"])


def in_transaction(database: Db, write: Callable[[ClientSession], Written]) -> Written:
    """Commit all that `write` does in the session it is given, or nothing; return what it returned.

    MongoDB may ask for it to be repeated, so `write` is to do the same at each call. What it raises
    ends the transaction.
    """
    with database.client.start_session() as session:
        return session.with_transaction(write)


def put_documents(
    collection: Collection[Stored], documents: Sequence[Stored], session: ClientSession
) -> None:
    """Store documents inside a transaction, in place of those of the same `_id`.

    Most are new, and those are inserted at once: to have each looked for by itself takes longer.
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
    """Return the query of the documents with these values; a field that is None may have any."""
    return {name: value for name, value in fields.items() if value is not None}


def between(start: datetime | float | None, end: datetime | float | None) -> Query | None:
    """Return the condition of a value from `start` to `end`, both inclusive and None without bound;
    None where it is none.
    """
    return match(**{"$gte": start, "$lte": end}) or None


def older_than(field: str, seconds: float) -> Query:
    """Return the expression of a time that lies further back than this, by the server's clock; one
    that is null does.
    """
    return {"$lt": [f"${field}", {"$subtract": ["$$NOW", int(seconds * 1000)]}]}


def among(values: Iterable[object] | None) -> Query | None:
    """Return the condition of a value that is one of these; None where any may be."""
    return None if values is None else {"$in": list(values)}


class _TakenBack(Exception):
    """Ends a transaction that was only to be tried."""


def try_transaction(database: Db, write: Callable[[ClientSession], Written]) -> Written:
    """Do what `in_transaction` does, take it back, and return what `write` returned."""
    written: list[Written] = []

    def take_back(session: ClientSession) -> NoReturn:
        written[:] = [write(session)]
        raise _TakenBack

    with suppress(_TakenBack):
        in_transaction(database, take_back)
    return written[0]


def is_too_large(error: OperationFailure) -> bool:
    """Whether a transaction failed since MongoDB's cache cannot hold what it writes."""
    # A read within such a transaction has no code of its own.
    return _TOO_LARGE in _find_codes(error) or "-31800" in str(error)


def _find_codes(error: OperationFailure) -> set[int | None]:
    return {error.code} | {
        each.get("code") for each in (error.details or {}).get("writeErrors", ())
    }


def is_too_much(error: Exception) -> bool:
    """Whether fewer writes at once may be stored where these could not."""
    return (
        isinstance(error, TooMuchAtOnce)
        # What took too long it ended amid a command, which the driver does not try again.
        or (
            isinstance(error, OperationFailure)
            and (is_too_large(error) or _TOO_LONG in _find_codes(error))
        )
        # As MongoDB has it where others fill the cache, too; the driver has tried for two minutes.
        or (isinstance(error, PyMongoError) and "Cache full" in str(error))
    )


def has_taken_too_long(error: Exception) -> bool:
    """Whether MongoDB ended a transaction amid a command, or each time that the driver tried it,
    for two minutes: one may take a minute, or 20 s where the service brings MongoDB.
    """
    is_amid = isinstance(error, OperationFailure) and _TOO_LONG in _find_codes(error)
    cause = error.__cause__
    return is_amid or (isinstance(cause, OperationFailure) and cause.code == _ENDED)


@contextmanager
def explain_unreachable(settings: Settings) -> Iterator[None]:
    """Turn a MongoDB that does not answer into `ServerUnreachable`,
    which names its URL without credentials.
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
        # The driver goes on to describe its settings and its view of the servers, which helps
        # nobody here.
        found = str(error).partition(" (configured timeouts")[0][:200]
        raise ServerUnreachable(
            f"MongoDB at {url} did not answer within {settings.server_timeout_seconds:g} s or"
            f" refused us: {found}. Start it (`make up` brings one) or set MONGO_URL."
        ) from error


def hide_credentials(url: str) -> str:
    """Return `url` with user and password replaced, fit for a message or a log line."""
    scheme, separator, rest = url.partition("://")
    hosts = rest.split("/", 1)[0]
    if not separator or "@" not in hosts:
        return url
    return f"{scheme}://***@{rest[hosts.rindex('@') + 1 :]}"
