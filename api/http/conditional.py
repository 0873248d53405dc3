"""Answers that need not be given again: 304 for who already has the present version."""

from hashlib import sha256
from http import HTTPStatus
from typing import Any

from flask import Response, request

from api.http.build import get_build

NOT_MODIFIED: Any = {304: "the ETag of `If-None-Match` is still the present one"}


def build_etag(*parts: object) -> str:
    """Return the ETag of what these parts name; anything that changes the answer must be one.

    The code is one: what was answered by another version may lack what pages read of it now.
    """
    return sha256("\n".join(map(str, (get_build(), *parts))).encode()).hexdigest()[:32]


def find_unchanged(etag: str) -> Response | None:
    """Return the 304 of a request that brings this ETag; None where it needs an answer."""
    if not request.if_none_match.contains_weak(etag):
        return None
    response = Response(status=304)
    response.headers.update(get_validators(etag))
    return response


def get_validators(etag: str) -> dict[str, str]:
    """Return the headers by which a client asks again;
    without asking it may not use what it has.
    """
    return {"ETag": f'"{etag}"', "Cache-Control": "private, no-cache"}


def send_once(response: Response) -> Response:
    """Give an answer the ETag of its content; who brings that back is told 304, with no content.

    It is for `after_this_request`, where what an answer says has no version of its own: pages that
    ask every few seconds are sent again only what has changed.
    """
    if response.status_code == HTTPStatus.OK:
        response.headers.update(get_validators(sha256(response.get_data()).hexdigest()[:32]))
        response.make_conditional(request)
    return response
