"""LINE Login: a person identifies themselves at LINE, so that a rule's messages reach them there.

It is the authorization code flow of OAuth 2.0 (RFC 6749) with PKCE (RFC 7636), and the ID token of
OpenID Connect, which LINE signs with the channel's secret. Nothing is stored between the two
requests: the login's data are signed into its `state`, from which nonce and code verifier are
derived.
"""

import hmac
import json
import re
from datetime import datetime, timedelta
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any, NamedTuple
from urllib.parse import quote

from core.errors import BadInput, Transient
from core.settings import Settings

ISSUER = "https://access.line.me"
AUTHORIZE = f"{ISSUER}/oauth2/v2.1/authorize"
SCOPE = "openid profile"
BEGUN_WITHIN = timedelta(minutes=10)
CLOCKS_DIFFER_SECONDS = 60
TIMEOUT_SECONDS = 10.0
USER_ID = re.compile(r"U[0-9a-f]{32}")
SETTINGS = (
    "public_url",
    "line_login_channel_id",
    "line_login_channel_secret",
    "line_channel_token",
)


class LineUser(NamedTuple):
    """Who logged in, for which rule.

    Attributes:
        rule: the rule whose channel this user becomes.
        user_id: LINE's id of the user, the same for all channels of a provider.
        name: the user's name at LINE.
        is_friend: whether the user has added the sending account as a friend; otherwise no message
            arrives. None if LINE did not say.
    """

    rule: str
    user_id: str
    name: str | None
    is_friend: bool | None


def check_settings(settings: Settings) -> None:
    """Raise BadInput with the variables that LINE Login still needs."""
    missing = [name.upper() for name in SETTINGS if not getattr(settings, name)]
    if missing:
        raise BadInput(f"LINE Login is not set up: set {', '.join(missing)}; see docs/webhooks.md")


def begin(settings: Settings, rule: str, asked_by: str, now: datetime) -> str:
    """Return the address at LINE at which a person logs in for a rule.

    Raises BadInput where LINE Login is not set up.
    """
    from joserfc import jwt  # noqa: PLC0415 - loads slowly, and few need it

    check_settings(settings)
    claims = {
        "rule": rule,
        "by": asked_by,
        "exp": int((now + BEGUN_WITHIN).timestamp()),
        "jti": token_urlsafe(16),
    }
    state = jwt.encode({"alg": "HS256"}, claims, _build_key(_derive(settings, "state")))
    address, _ = _open_session(settings).create_authorization_url(
        AUTHORIZE,
        state=state,
        nonce=_derive(settings, f"nonce {state}"),
        code_verifier=_derive(settings, f"verifier {state}"),
        bot_prompt="aggressive",
    )
    return str(address)


def finish(settings: Settings, code: str, state: str, asked_by: str, now: datetime) -> LineUser:
    """Return who came back from LINE with a code.

    Raises BadInput where the login was begun by somebody else or too long ago, or LINE does not
    vouch for it; Transient where LINE does not answer.
    """
    check_settings(settings)
    seconds = int(now.timestamp())
    begun = _read(state, _derive(settings, "state"), seconds, {"by": asked_by})
    from authlib.common.errors import AuthlibBaseError  # noqa: PLC0415 - as above
    from requests import RequestException  # noqa: PLC0415 - as above

    session = _open_session(settings)
    try:
        token = session.fetch_token(
            f"{settings.line_api_url}/oauth2/v2.1/token",
            code=code,
            code_verifier=_derive(settings, f"verifier {state}"),
            allow_redirects=False,
        )
    except AuthlibBaseError as error:
        raise BadInput(f"LINE did not take this login, begin it again: {error}") from error
    except (RequestException, OSError, json.JSONDecodeError) as error:
        raise Transient(f"LINE could not be reached: {error}") from error
    said = _read(
        str(token.get("id_token", "")),
        settings.line_login_channel_secret,
        seconds,
        {
            "iss": ISSUER,
            "aud": settings.line_login_channel_id,
            "nonce": _derive(settings, f"nonce {state}"),
        },
    )
    user_id = str(said.get("sub", ""))
    if not USER_ID.fullmatch(user_id):
        raise BadInput(f"LINE named a user that is none: {user_id[:40]!r}")
    return LineUser(str(begun["rule"]), user_id, said.get("name"), _find_friend(settings, session))


def build_channel(settings: Settings, user_id: str) -> str:
    """Return the channel that reaches a user by the Messaging API."""
    return f"line://{quote(settings.line_channel_token, safe='')}/{user_id}"


def _open_session(settings: Settings) -> Any:
    from authlib.integrations.requests_client import OAuth2Session  # noqa: PLC0415 - as above

    return OAuth2Session(
        settings.line_login_channel_id,
        settings.line_login_channel_secret,
        token_endpoint_auth_method="client_secret_post",  # noqa: S106 - the method's name
        scope=SCOPE,
        redirect_uri=f"{settings.public_url.rstrip('/')}/",
        code_challenge_method="S256",
        default_timeout=TIMEOUT_SECONDS,
    )


def _find_friend(settings: Settings, session: Any) -> bool | None:
    from requests import RequestException  # noqa: PLC0415 - as above

    try:
        answer = session.get(f"{settings.line_api_url}/friendship/v1/status", allow_redirects=False)
        flag = answer.json().get("friendFlag") if answer.ok else None
    except (RequestException, OSError, ValueError):
        return None
    return flag if isinstance(flag, bool) else None


def _read(token: str, secret: str, seconds: int, wanted: dict[str, str]) -> dict[str, Any]:
    """Return the claims of a token that was signed with this secret, has not expired, and has the
    wanted values. Raises BadInput.
    """
    from joserfc import jwt  # noqa: PLC0415 - as above
    from joserfc.errors import JoseError  # noqa: PLC0415 - as above

    try:
        read = jwt.decode(token, _build_key(secret), algorithms=["HS256"])
        options = {name: jwt.ClaimsOption(essential=True, value=v) for name, v in wanted.items()}
        options["exp"] = jwt.ClaimsOption(essential=True)
        jwt.JWTClaimsRegistry(seconds, CLOCKS_DIFFER_SECONDS, **options).validate(read.claims)
    except (JoseError, ValueError) as error:
        raise BadInput(
            f"this is no login that was begun here in the last minutes, begin it again: {error}"
        ) from error
    return dict(read.claims)


def _build_key(secret: str) -> Any:
    from joserfc.jwk import OctKey  # noqa: PLC0415 - as above

    return OctKey.import_key(secret)


def _derive(settings: Settings, what: str) -> str:
    """Return a secret for one use, which nobody can guess without the channel's secret."""
    secret = settings.line_login_channel_secret.encode()
    return hmac.new(secret, f"tapewatch {what}".encode(), sha256).hexdigest()
