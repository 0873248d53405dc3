"""Webhooks: a documented JSON message, signed with the rule's secret.

The signature is an HMAC with SHA-256 (RFC 2104) over the time of sending, a full stop and the body
as sent. The header has the time too, so that the receiver can refuse a recorded message that
somebody sends again later.
"""

import hmac
import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, cast

from core.errors import Transient

SIGNATURE = "Tapewatch-Signature"
LONGEST_ANSWER = 200


def sign_body(body: bytes, secret: str, seconds: int) -> str:
    """Return the header's value, `t=1767614400,v1=5257a8...`; `seconds` are those since 1970."""
    signed = hmac.new(secret.encode(), f"{seconds}.".encode() + body, sha256)
    return f"t={seconds},v1={signed.hexdigest()}"


def post_webhook(
    service: Any, message: Mapping[str, Any], secret: str | None, now: int, seconds: float
) -> None:
    """Post a message to a webhook, once and to exactly this address.

    Args:
        service: the address, parsed by apprise.
        message: the message, which is sent as JSON.
        secret: the key of the signature; without one the message is not signed.
        now: the present time, in seconds since 1970.
        seconds: how long the receiver may say nothing.

    Raises Transient with what went wrong, or what the receiver answered.
    """
    import requests  # noqa: PLC0415 - loads slowly, and few need it

    body = json.dumps(message, allow_nan=False).encode()
    headers = {"User-Agent": "tapewatch", **service.headers, "Content-Type": "application/json"}
    # Text would have to be Latin-1.
    headers = {name: str(value).encode() for name, value in headers.items()}
    # By its types requests takes only text here.
    user, password = (cast("str", str(s or "").encode()) for s in (service.user, service.password))
    if secret:
        headers[SIGNATURE] = sign_body(body, secret, now)
    port = f":{service.port}" if service.port else ""
    address = f"http{'s' * service.secure}://{service.host}{port}{service.fullpath or '/'}"
    try:
        with requests.post(
            address,
            data=body,
            headers=headers,
            auth=(user, password) if user else None,
            timeout=seconds,
            allow_redirects=False,
            stream=True,
        ) as answer:
            if answer.ok and not answer.is_redirect:
                return
            said = answer.raw.read(LONGEST_ANSWER, decode_content=True)
            text = said.decode(errors="replace").strip()
            status = f"{answer.status_code} {answer.reason or ''}".strip()
            raise Transient(f"the webhook answered {status}{': ' * bool(text)}{text}")
    except (requests.RequestException, OSError, ValueError) as error:
        raise Transient(f"the webhook could not be reached: {error}") from error
