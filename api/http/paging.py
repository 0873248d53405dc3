"""Pages, and cursors: where a page ended, as an opaque word."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hashlib import sha256
from typing import Any, Generic, TypedDict, TypeVar

import bson
from bson.errors import BSONError
from flask import Response, json, jsonify, request
from pydantic import BaseModel

from api.schemas.common import PageQuery
from core.errors import BadInput
from core.moments import as_utc
from records.keyset import Keyset, Position

Item = TypeVar("Item")
Stored = TypeVar("Stored", bound=Mapping[str, Any])


class Listed(TypedDict, Generic[Item]):
    """A page of a list, and the cursor that asks for the next; None on the last."""

    items: list[Item]
    next_cursor: str | None


_READERS: Mapping[type, Callable[[Any], Any]] = {
    datetime: lambda text: as_utc(datetime.fromisoformat(text))
}


# What says how much is shown of a list: neither which rows it has, nor their order.
_SHOWING = frozenset({"cursor", "limit", "fields", "history"})


def name_list(endpoint: str, **arguments: str) -> str:
    """Return what a cursor calls the list that a route answers with, asked with these arguments."""
    return _digest(endpoint, list(arguments.items()))


def encode_cursor(*parts: object, of: str | None = None) -> str:
    """Return the cursor of these values (datetimes, numbers, strings)
    in a list; in the one that is asked for where no name says which.
    """
    texts = [part.isoformat() if isinstance(part, datetime) else part for part in parts]
    words = json.dumps([of or _name_asked(), *texts])
    return urlsafe_b64encode(words.encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None, types: Sequence[type]) -> Position | None:
    """Return the values of a cursor, each of its type; None where there is no cursor.

    A place in one list is none in another: rows would be left out, or be the wrong ones. Raises
    BadInput.
    """
    if not cursor:
        return None
    try:
        name, *parts = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError) as error:
        raise _build_refusal(cursor) from error
    if name != _name_asked():
        raise BadInput(
            f"cursor {cursor!r} was given by another list, or for other filters or another order;"
            " pass `next_cursor` of the page before with all else as it was, or none to begin anew"
        )
    try:
        position = tuple(
            _READERS.get(wanted, wanted)(part) for wanted, part in zip(types, parts, strict=True)
        )
        bson.encode({"position": position})  # or MongoDB could not be asked for it
    except (ValueError, TypeError, OverflowError, BSONError, BadInput) as error:
        raise _build_refusal(cursor) from error
    return position


def _build_refusal(cursor: str) -> BadInput:
    return BadInput(f"cursor {cursor!r} is none of ours; pass `next_cursor` of the page before")


def _name_asked() -> str:
    """Return what a cursor calls the list that this request asks for."""
    given = [one for one in request.args.items(multi=True) if one[0] not in _SHOWING]
    return _digest(str(request.endpoint), [*(request.view_args or {}).items(), *given])


def _digest(endpoint: str, arguments: Sequence[tuple[str, str]]) -> str:
    return sha256(json.dumps([endpoint, sorted(arguments)]).encode()).hexdigest()[:12]


def build_page(
    documents: Sequence[Item],
    limit: int,
    locate: Callable[[Item], Position],
    *,
    of: str | None = None,
) -> Listed[Item]:
    """Return {items, next_cursor} of documents that were asked for with one more than the limit.

    `locate` returns an item's place in their order, `of` the name of their list where it is not the
    one that is asked for.
    """
    items = list(documents[:limit])
    more = len(documents) > limit
    cursor = encode_cursor(*locate(items[-1]), of=of) if more else None
    return {"items": items, "next_cursor": cursor}


@dataclass(frozen=True, slots=True)
class AskedPage:
    """The page of a list that somebody asks for.

    Attributes:
        order: of the list.
        after: the place in it that the page follows; None for the first.
        limit: how many documents to look for: one more than are shown, which tells whether another
            page follows.
    """

    order: Keyset
    after: Position | None
    limit: int

    def build(self, found: Sequence[Stored]) -> Listed[Stored]:
        """Return the page of what was found."""
        return build_page(found, self.limit - 1, self.order.locate)


def ask_page(query: PageQuery, order: Keyset) -> AskedPage:
    """Return which page of a list in this order is asked for. Raises BadInput."""
    return AskedPage(order, decode_cursor(query.cursor, order.types), query.limit + 1)


def answer_stored(page: Listed[Any], item: type[BaseModel]) -> Response:
    """Answer with a page of documents of our own as they are stored, by the fields of an item.

    They were checked when they were written: to check, copy and check again each part of them takes
    longer than all else that a list does. What nobody stored is as the model says.
    """
    names, defaults = _list_fields(item)
    items = [
        {name: document[name] if name in document else defaults[name] for name in names}
        for document in page["items"]
    ]
    return jsonify({"items": items, "next_cursor": page["next_cursor"]})


@cache
def _list_fields(item: type[BaseModel]) -> tuple[Sequence[str], Mapping[str, Any]]:
    """Return the names of what an item has, and what those are that may be missing."""
    fields = {field.alias or name: field for name, field in item.model_fields.items()}
    defaults = {
        name: field.get_default(call_default_factory=True)
        for name, field in fields.items()
        if not field.is_required()
    }
    return tuple(fields), defaults
