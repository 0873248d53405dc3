"""Pages and cursors: a cursor is the place where a page ended, as an opaque word."""

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


# Arguments about how much of a list is shown. They change neither its rows nor their order, so a
# cursor does not depend on them.
_SHOWING = frozenset({"cursor", "limit", "fields", "history"})


def name_list(endpoint: str, **arguments: str) -> str:
    """Return the name that a cursor has for the list of a route with these arguments."""
    return _digest(endpoint, list(arguments.items()))


def encode_cursor(*parts: object, of: str | None = None) -> str:
    """Return the cursor of these values (datetimes, numbers, strings) in a list; without a name, in
    the list that the request asks for.
    """
    texts = [part.isoformat() if isinstance(part, datetime) else part for part in parts]
    words = json.dumps([of or _name_asked(), *texts])
    return urlsafe_b64encode(words.encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None, types: Sequence[type]) -> Position | None:
    """Return the values of a cursor, each with its type; None where there is no cursor.

    A cursor of another list is refused: it would leave rows out or give wrong ones. Raises
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
        bson.encode({"position": position})  # otherwise MongoDB could not query by it
    except (ValueError, TypeError, OverflowError, BSONError, BadInput) as error:
        raise _build_refusal(cursor) from error
    return position


def _build_refusal(cursor: str) -> BadInput:
    return BadInput(f"cursor {cursor!r} is none of ours; pass `next_cursor` of the page before")


def _name_asked() -> str:
    """Return the name that a cursor has for the list that this request asks for."""
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
    """Return {items, next_cursor} of documents that were queried with one more than the limit.

    `locate` returns an item's place in their order. `of` is the name of their list, if it is not
    the one that the request asks for.
    """
    items = list(documents[:limit])
    more = len(documents) > limit
    cursor = encode_cursor(*locate(items[-1]), of=of) if more else None
    return {"items": items, "next_cursor": cursor}


@dataclass(frozen=True, slots=True)
class AskedPage:
    """The page of a list that somebody asks for.

    Attributes:
        order: the order of the list.
        after: the position that the page follows; None for the first page.
        limit: how many documents to read: one more than are shown, because it tells whether another
            page follows.
    """

    order: Keyset
    after: Position | None
    limit: int

    def build(self, found: Sequence[Stored]) -> Listed[Stored]:
        """Return the page of the documents that were found."""
        return build_page(found, self.limit - 1, self.order.locate)


def ask_page(query: PageQuery, order: Keyset) -> AskedPage:
    """Return the page of a list in this order that the request asks for. Raises BadInput."""
    return AskedPage(order, decode_cursor(query.cursor, order.types), query.limit + 1)


def answer_stored(page: Listed[Any], item: type[BaseModel]) -> Response:
    """Answer with a page of our own stored documents, with the fields of an item.

    They were validated when they were written: to validate, copy and validate again each part of
    them would take longer than the rest of the request. Fields that are not stored get the model's
    default.
    """
    names, defaults = _list_fields(item)
    items = [
        {name: document[name] if name in document else defaults[name] for name in names}
        for document in page["items"]
    ]
    return jsonify({"items": items, "next_cursor": page["next_cursor"]})


@cache
def _list_fields(item: type[BaseModel]) -> tuple[Sequence[str], Mapping[str, Any]]:
    """Return the names of an item's fields, and the defaults of those that may be missing."""
    fields = {field.alias or name: field for name, field in item.model_fields.items()}
    defaults = {
        name: field.get_default(call_default_factory=True)
        for name, field in fields.items()
        if not field.is_required()
    }
    return tuple(fields), defaults
