"""Conditional answers: 304 for a client that already has the present version."""

from hashlib import sha256
from http import HTTPStatus
from typing import Any

from flask import Response, request

from api.http.build import get_build

NOT_MODIFIED: Any = {304: "the ETag of `If-None-Match` is still the present one"}


def build_etag(*parts: object) -> str:
    """Return an ETag made of these parts; everything that changes the answer must be among them.

    The code's version is one of them: an older version's answer may lack fields that pages now
    read.
    """
    return sha256("\n".join(map(str, (get_build(), *parts))).encode()).hexdigest()[:32]


def find_unchanged(etag: str) -> Response | None:
    """Return a 304 for a request that sends this ETag; None where it needs an answer."""
    if not request.if_none_match.contains_weak(etag):
        return None
    response = Response(status=304)
    response.headers.update(get_validators(etag))
    return response


def get_validators(etag: str) -> dict[str, str]:
    """Return the headers by which a client revalidates; it may not use a stored answer without
    asking.
    """
    return {"ETag": f'"{etag}"', "Cache-Control": "private, no-cache"}


def send_once(response: Response) -> Response:
    """Give an answer the ETag of its content; a client that sends it back gets 304 without content.

    For `after_this_request`, where the answer's content has no version of its own: pages that ask
    every few seconds then download only what has changed.
    """
    if response.status_code == HTTPStatus.OK:
        response.headers.update(get_validators(sha256(response.get_data()).hexdigest()[:32]))
        response.make_conditional(request)
    return response
