"""LINE Login, against a local server with its protocol: token endpoint, friendship, push
messages.
"""

import hmac
import json
import threading
import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from apiflask import APIFlask
from apprise.plugins.line import NotifyLine

from core.settings import Settings
from records.database import Db
from records.keys import add_key
from tests.integration.alerting import NOW

CHANNEL, SECRET = "1657000000", "0123456789abcdef0123456789abcdef"
# Like LINE's long-lived tokens, with a slash, a plus and equal signs.
TOKEN = "abc/def+ghi/jkl=="
USER = "U" + "4af4980629" * 3 + "ab"
RULES = "/py/notifications/rules"


def encode(content: bytes) -> str:
    return urlsafe_b64encode(content).decode().rstrip("=")


def sign(claims: dict[str, Any], secret: str = SECRET, algorithm: str = "HS256") -> str:
    """Build a JSON Web Token (RFC 7519) by hand."""
    parts = [{"typ": "JWT", "alg": algorithm}, claims]
    text = ".".join(encode(json.dumps(part).encode()) for part in parts)
    return f"{text}.{encode(hmac.new(secret.encode(), text.encode(), sha256).digest())}"


class Line(ThreadingHTTPServer):
    """The part of LINE's API that is used here."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.logins: dict[str, dict[str, str]] = {}
        self.claims: dict[str, Any] = {}
        self.secret, self.algorithm, self.is_friend = SECRET, "HS256", True
        self.pushed: list[tuple[str, dict[str, Any]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def consent(self, address: str) -> dict[str, str]:
        """Do what LINE does when a person logs in at this address; return what the browser sends
        back.
        """
        parts = urlsplit(address)
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == (
            "https://access.line.me/oauth2/v2.1/authorize"
        )
        asked = {name: value for name, (value,) in parse_qs(parts.query).items()}
        assert (asked["response_type"], asked["client_id"]) == ("code", CHANNEL)
        assert asked["code_challenge_method"] == "S256"
        assert {"openid", "profile"} == set(asked["scope"].split())
        code = f"code{len(self.logins)}"
        self.logins[code] = asked
        return {"code": code, "state": asked["state"]}


class Handler(BaseHTTPRequestHandler):
    server: Line

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v2/bot/message/push":
            self.server.pushed.append((self.headers["Authorization"], json.loads(body)))
            return self._answer(200, {"sentMessages": []})
        assert self.path == "/oauth2/v2.1/token"
        sent = {name: value for name, (value,) in parse_qs(body.decode()).items()}
        begun = self.server.logins.pop(sent["code"], None)  # A code can be used once.
        challenge = encode(sha256(sent["code_verifier"].encode()).digest())
        if (
            begun is None
            or begun["redirect_uri"] != sent["redirect_uri"]
            or begun["code_challenge"] != challenge
            or (sent["client_id"], sent["client_secret"]) != (CHANNEL, SECRET)
            or sent["grant_type"] != "authorization_code"
        ):
            said = {"error": "invalid_grant", "error_description": "invalid authorization code"}
            return self._answer(400, said)
        claims = {
            "iss": "https://access.line.me",
            "sub": USER,
            "aud": CHANNEL,
            "exp": int(time.time()) + 3600,
            "iat": int(time.time()),
            "nonce": begun["nonce"],
            "amr": ["linesso"],
            "name": "Mia",
        }
        token = sign({**claims, **self.server.claims}, self.server.secret, self.server.algorithm)
        fields = {"token_type": "Bearer", "scope": "openid profile", "expires_in": 2592000}
        return self._answer(200, {**fields, "access_token": "of Mia", "id_token": token})

    def do_GET(self) -> None:
        assert self.path == "/friendship/v1/status"
        assert self.headers["Authorization"] == "Bearer of Mia"
        self._answer(200, {"friendFlag": self.server.is_friend})

    def _answer(self, status: int, said: dict[str, Any]) -> None:
        content = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    server = Line()
    # apprise has LINE's address as a constant.
    monkeypatch.setattr(NotifyLine, "notify_url", f"{server.url}/v2/bot/message/push")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def app(
    make_app: Callable[[Settings], APIFlask], settings: Settings, database: Db, line: Line
) -> APIFlask:
    given = {
        "public_url": "https://tapewatch.example.com/desk",
        "line_login_channel_id": CHANNEL,
        "line_login_channel_secret": SECRET,
        "line_channel_token": TOKEN,
        "line_api_url": line.url,
    }
    return make_app(settings.model_copy(update=given))


def test_a_person_who_logs_in_at_line_is_sent_what_the_rule_asks_for(
    app: APIFlask, database: Db, line: Line
) -> None:
    client = app.test_client()
    begun = client.post("/py/auth/line", json={"rule": "me"})
    assert begun.status_code == 200, begun.json
    returned = line.consent(begun.json["address"])
    asked = line.logins["code0"]
    assert asked["redirect_uri"] == "https://tapewatch.example.com/desk/"
    tied = client.post("/py/auth/line/callback", json=returned)
    assert tied.status_code == 200, tied.json
    assert (tied.json["name"], tied.json["is_friend"]) == ("Mia", True)
    assert (tied.json["rule"]["name"], tied.json["rule"]["shown_channel"]) == ("me", "line")
    assert client.post(f"{RULES}/me/test").json == {"sent": True, "error": None}
    ((access, message),) = line.pushed
    assert (access, message["to"]) == (f"Bearer {TOKEN}", USER)
    (entry,) = client.get("/py/audit?step=make").json["items"]
    assert (entry["subject"], entry["details"]["line_user"]) == ("rule me", "Mia")
    assert USER not in client.get(RULES).text + client.get("/py/audit").text
    # A code can be used once.
    again = client.post("/py/auth/line/callback", json=returned)
    assert again.status_code == 422
    assert "invalid authorization code" in again.json["detail"]


def test_an_existing_rule_keeps_all_but_its_channel(
    app: APIFlask, database: Db, line: Line
) -> None:
    client = app.test_client()
    rule = {"channel": "json://127.0.0.1:9/x", "secret": "0123456789abcdef", "min_grade": 90}
    assert client.put(f"{RULES}/ops", json=rule).status_code == 200
    line.is_friend = False
    begun = client.post("/py/auth/line", json={"rule": "ops"}).json
    tied = client.post("/py/auth/line/callback", json=line.consent(begun["address"])).json
    assert (tied["rule"]["min_grade"], tied["rule"]["signed"]) == (90, False)
    assert tied["is_friend"] is False


def test_a_login_that_line_does_not_confirm_changes_nothing(
    app: APIFlask, database: Db, line: Line
) -> None:
    mine, other = (
        {"X-API-Key": add_key(database, name, ["admin"], NOW)} for name in ("mine", "other")
    )
    client = app.test_client()

    def log_in(headers: dict[str, str] = mine, **changes: str) -> Any:
        begun = client.post("/py/auth/line", json={"rule": "me"}, headers=mine).json
        sent = {**line.consent(begun["address"]), **changes}
        return client.post("/py/auth/line/callback", json=sent, headers=headers)

    begun = client.post("/py/auth/line", json={"rule": "me"}, headers=mine).json
    state = line.consent(begun["address"])["state"]
    payload = state.split(".")[1]
    claims = json.loads(b64decode(payload + "=" * (-len(payload) % 4)))
    forged = sign({**claims, "rule": "another"}, SECRET)
    wrong: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({}, {"headers": other}),
        ({}, {"state": forged}),
        ({}, {"state": "nonsense"}),
        ({}, {"code": "nobody's"}),
        ({"claims": {"nonce": "another"}}, {}),
        ({"claims": {"aud": "1"}}, {}),
        ({"claims": {"iss": "https://evil.example.com"}}, {}),
        ({"claims": {"exp": int(time.time()) - 3600}}, {}),
        ({"claims": {"sub": "U123/../x"}}, {}),
        ({"secret": "another secret of 32 characters.."}, {}),
        ({"algorithm": "none"}, {}),
    ]
    for server, said in wrong:
        for name, value in server.items():
            setattr(line, name, value)
        answer = log_in(**said)
        assert answer.status_code == 422, (server, said, answer.json)
        line.claims, line.secret, line.algorithm = {}, SECRET, "HS256"
    assert database.notification_rules.count_documents({}) == 0
    assert log_in().status_code == 200


def test_line_login_without_its_settings_names_them(
    make_app: Callable[[Settings], APIFlask], settings: Settings, database: Db
) -> None:
    answer = make_app(settings).test_client().post("/py/auth/line", json={"rule": "me"})
    assert answer.status_code == 422
    assert "LINE_LOGIN_CHANNEL_ID" in answer.json["detail"]
