"""Cursors: where a page ended, as an opaque word."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from flask import json

from core.errors import BadInput
from records.database import Document

Item = TypeVar("Item")


def encode_cursor(*parts: object) -> str:
    """Return the cursor of these values (datetimes, numbers, strings)."""
    texts = [part.isoformat() if isinstance(part, datetime) else part for part in parts]
    return urlsafe_b64encode(json.dumps(texts).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, *readers: Callable[[Any], Any]) -> tuple[Any, ...]:
    """Return the values of a cursor, each read by its reader. Raises BadInput."""
    try:
        parts = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return tuple(read(part) for read, part in zip(readers, parts, strict=True))
    except (ValueError, TypeError) as error:
        raise BadInput(f"cursor {cursor!r} is none of ours; pass `next_cursor` of the page before") from error


def build_page(documents: Sequence[Item], limit: int, describe_last: Callable[[Item], tuple[Any, ...]]) -> Document:
    """Return {items, next_cursor} of documents that were asked for with one more than the limit."""
    items = list(documents[:limit])
    more = len(documents) > limit
    return {"items": items, "next_cursor": encode_cursor(*describe_last(items[-1])) if more else None}
