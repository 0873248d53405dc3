"""Imports: which bars each import stored, so that a whole import can be undone for some months.

A document is about one series of one import. How the import changed bars that were stored before is
in the revisions that have the document's `revision`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import cast

from pymongo.client_session import ClientSession

from records.database import Db, Document
from records.market.documents import BarImportDocument, ImportSummary, bar_imports_in


def add_imports(
    database: Db, documents: Sequence[BarImportDocument], session: ClientSession
) -> None:
    """Store the documents of imports, inside the transaction that wrote their bars."""
    if documents:
        bar_imports_in(database).insert_many(documents, ordered=False, session=session)


def find_import(database: Db, import_id: str) -> list[BarImportDocument]:
    """Return the documents of an import, one for each series and file, the latest first."""
    return list(
        bar_imports_in(database)
        .find({"import_id": import_id})
        .sort([("at", -1), ("revision", -1), ("_id", -1)])
    )


def has_import_since(database: Db, ticker: str, interval: str, since: datetime) -> bool:
    """Return whether an import has stored new bars of a series after `since`."""
    query = {"ticker": ticker, "interval": interval, "at": {"$gt": since}, "new": {"$gt": 0}}
    return bar_imports_in(database).find_one(query, {"_id": 1}) is not None


def find_revisers(
    database: Db, ticker: str, interval: str, revisions: Sequence[int], session: ClientSession
) -> list[str]:
    """Return the imports that made these revisions of a series, the latest first."""
    query = {
        "ticker": ticker,
        "interval": interval,
        "revision": {"$in": list(revisions)},
        "revised": True,
    }
    found = bar_imports_in(database).find(query, {"import_id": 1}, session=session)
    return list(dict.fromkeys(document["import_id"] for document in found.sort([("revision", -1)])))


def list_imports(database: Db, *, ticker: str | None, limit: int) -> list[ImportSummary]:
    """Return {import_id, source, at, new, changed, tickers} of the latest imports, the newest
    first.
    """
    matched: Document = {} if ticker is None else {"ticker": ticker}
    latest: dict[str, None] = {}
    # The index gives the latest imports directly. To group all imports of some months would take
    # seconds.
    with bar_imports_in(database).find(matched, {"import_id": 1}).sort("at", -1) as found:
        for document in found:
            latest[document["import_id"]] = None
            if len(latest) == limit:
                break
    stages: Sequence[Document] = [
        {"$match": matched | {"import_id": {"$in": list(latest)}}},
        {
            "$group": {
                "_id": "$import_id",
                "source": {"$first": "$source"},
                "at": {"$max": "$at"},
                "tickers": {"$addToSet": "$ticker"},
                "new": {"$sum": "$new"},
                "changed": {"$sum": "$changed"},
            }
        },
        {"$sort": {"at": -1, "_id": 1}},
    ]
    return [
        cast("ImportSummary", found | {"import_id": found["_id"]})
        for found in bar_imports_in(database).aggregate(list(stages))
    ]


def forget_imports(
    database: Db, ticker: str, interval: str, session: ClientSession, import_id: str | None = None
) -> None:
    """Delete the documents of a series whose bars are gone: of one import, or by default of all."""
    query: Document = {"ticker": ticker, "interval": interval}
    bar_imports_in(database).delete_many(
        query if import_id is None else query | {"import_id": import_id}, session=session
    )


def rename_imports(
    database: Db, ticker: str, interval: str, name: str, session: ClientSession
) -> None:
    """Put the new name of a series into the documents of its imports."""
    bar_imports_in(database).update_many(
        {"ticker": ticker, "interval": interval}, {"$set": {"ticker": name}}, session=session
    )
