"""Answers that need not be given again: 304 for who already has the present version."""

from hashlib import sha256

from flask import Response, request

from api.http.build import get_build


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
