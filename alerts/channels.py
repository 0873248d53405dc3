"""Channels that a message can be sent to: mail, Slack, LINE, webhooks and others that apprise
knows.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from time import time
from typing import Any, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from alerts.addresses import is_public, public_addresses_only
from alerts.deadline import sent_within
from alerts.webhooks import post_webhook
from core.errors import BadInput, Transient
from records.alerts.documents import RuleDocument, RuleFields

EXAMPLES = (
    "mailtos://user:password@example.com?to=me@example.com, slack://TOKEN_A/TOKEN_B/TOKEN_C,"
    " json://host/path"
)

# At level debug apprise logs, beside payloads, why a channel was not reached and what it answered.
LINE_START = "\x1e"
LOG_FORMAT = LINE_START + "%(levelname)s %(message)s"
CAUSE = re.compile(r"(?:[\w ]{0,60}Exception|Response Details)\s*:?\s*(?P<said>.*)", re.DOTALL)
LONGEST_CAUSE = 300
LONGEST_LOG = 100_000
LONGEST_ADDRESS = 1_000
LEAST_SECRET, LONGEST_SECRET = 16, 200
# A delivery is claimed for a minute, so sending must end sooner.
MESSAGE_SECONDS = 20.0
WORD = re.compile(r"\w{3,}")

# Options that only choose receivers, format or wording; none opens a file, redirects or grants
# trust.
PLAIN = frozenset(
    {
        "to",
        "from",
        "name",
        "format",
        "overflow",
        "image",
        "priority",
        "footer",
        "title",
        "mode",
        "region",
    }
)
MAIL = PLAIN | {"cc", "bcc", "smtp", "user", "pass", "reply"}
WEBHOOKS = frozenset({"json", "jsons", "xml", "xmls", "form", "forms"})
CHAT = (
    "slack",
    "line",
    "discord",
    "tgram",
    "msteams",
    "mmost",
    "mmosts",
    "ntfy",
    "ntfys",
    "pagerduty",
    "opsgenie",
)
SCHEMES: dict[str, frozenset[str]] = {
    **dict.fromkeys(("mailto", "mailtos"), MAIL),
    **dict.fromkeys(WEBHOOKS, PLAIN),
    **dict.fromkeys(CHAT, PLAIN),
}
# A webhook's header is written +Name, and a + in a query string means a space.
HEADER = re.compile(r"[+ ][A-Za-z0-9-]{1,60}")


def check_channel(channel: str, *, allow_private: bool) -> None:
    """Raise BadInput where an address cannot be used as a channel, or must not be."""
    scheme = _read_scheme(channel)
    allowed = SCHEMES.get(scheme)
    if allowed is None:
        # Without a scheme, what is read as one is the address itself, or a token.
        kind = f"{scheme!r} " if "://" in channel else ""
        raise BadInput(f"this {kind}address is no channel that is known; write one like {EXAMPLES}")
    if not channel.isprintable():
        raise BadInput("a channel's address has printable characters only")
    try:
        parts = urlsplit(channel)
    except ValueError as error:
        # Its text may have the user and the password.
        raise BadInput(
            f"this {scheme} address cannot be read; in a password, characters such as / ? # [ must"
            " be escaped"
        ) from error
    # A ? that ends a password makes its rest the name of an option.
    is_ended = "@" in parts.query and "@" not in parts.netloc
    for name, _ in parse_qsl(parts.query, keep_blank_values=True):
        is_header = scheme in WEBHOOKS and HEADER.fullmatch(name) and name[1:].lower() != "host"
        if name.lower() not in allowed and not is_header:
            option = "option of this name" if is_ended else f"option {name[:40]!r}"
            raise BadInput(
                f"a {scheme} channel has no {option}; it has {', '.join(sorted(allowed))}; options"
                " that open files, follow redirects or skip certificates are not taken"
            )
    if not allow_private and _is_private(parts.hostname or ""):
        raise BadInput(
            "this channel is of this host or a private network; PRIVATE_CHANNELS=1 allows such"
        )
    if _build_sender(channel) is None:
        raise BadInput(
            f"this {scheme} address is not whole: a part of it is missing, or can be none of such a"
            f" channel; write one like {EXAMPLES}"
        )


def build_rule(said: Mapping[str, Any], *, allow_private: bool) -> RuleFields:
    """Return a notification rule as it is stored, with the part of its channels that may be
    shown.
    """
    channels = [said["channel"], *([said["next_channel"]] if said.get("next_channel") else [])]
    for channel in channels:
        # Not checked when a message is sent: rules that were stored with a longer one keep working.
        if len(channel) > LONGEST_ADDRESS:
            raise BadInput(f"a channel's address has at most {LONGEST_ADDRESS:,} characters")
        check_channel(channel, allow_private=allow_private)
    if secret := said.get("secret"):
        if not any(map(is_webhook, channels)):
            raise BadInput(
                "only webhooks are signed: a secret goes with a json:// or jsons:// channel"
            )
        if not LEAST_SECRET <= len(secret) <= LONGEST_SECRET:
            raise BadInput(f"a secret has {LEAST_SECRET} to {LONGEST_SECRET} characters")
    if said["quiet_from"] is not None and said["quiet_from"] == said["quiet_until"]:
        raise BadInput(
            f"quiet hours from {said['quiet_from']} until {said['quiet_until']} are none, or all"
            " day: give two times, or disable the rule"
        )
    shown = {
        "shown_channel": name_channel(channels[0]),
        "shown_next_channel": name_channel(channels[1]) if len(channels) > 1 else None,
    }
    return cast("RuleFields", {**said, **shown})


def name_channel(channel: str) -> str:
    """Return what people are shown of a channel's address: only its kind, since most of the address
    may be secret.
    """
    return _read_scheme(channel)


def try_rule(rule: RuleDocument, *, allow_private: bool) -> None:
    """Send a test line to the channel of a notification rule. Raises as `send_message`."""
    text = f"This is what the rule {rule['name']} sends its messages to."
    data = {"type": "test", "rule": rule["name"], "alerts": []}
    send_message(
        rule["channel"],
        "Tapewatch",
        text,
        allow_private=allow_private,
        data=data,
        secret=rule.get("secret"),
    )


def is_webhook(channel: str) -> bool:
    """Whether a channel takes JSON, which can be signed."""
    return _read_scheme(channel) in {"json", "jsons"}


def send_message(
    channel: str,
    title: str,
    body: str,
    *,
    allow_private: bool,
    data: Mapping[str, Any] | None = None,
    secret: str | None = None,
) -> None:
    """Send plain text to a channel; to a webhook, JSON with the `data`, signed with the `secret`.

    Raises Transient with the reason if the channel did not accept it; the reason contains no word
    of the address.
    """
    import apprise  # noqa: PLC0415 - as above

    try:
        check_channel(channel, allow_private=allow_private)
    except BadInput as error:
        raise Transient(f"the channel's address can not be used: {error.message}") from error
    if is_webhook(channel):
        message = {"version": 1, "title": title, "message": body, **(data or {})}
        with _guarded(allow_private=allow_private):
            _post(channel, message, secret)
        return
    sender = _build_sender(channel)
    with (
        _guarded(allow_private=allow_private),
        apprise.LogCapture(level=apprise.logging.DEBUG, fmt=LOG_FORMAT) as said,  # type: ignore[no-untyped-call]
    ):
        taken = sender.notify(title=title, body=body, body_format=apprise.NotifyFormat.TEXT)
        log = said.getvalue()[:LONGEST_LOG]
    if not taken:
        problem = _hide_words(_find_problem(log), channel)
        raise Transient(problem or "the channel did not take the message and said nothing")


@contextmanager
def _guarded(*, allow_private: bool) -> Iterator[None]:
    with (
        sent_within(MESSAGE_SECONDS),
        nullcontext() if allow_private else public_addresses_only(),
    ):
        yield


def _post(channel: str, message: Mapping[str, Any], secret: str | None) -> None:
    try:
        post_webhook(_take_apart(channel), message, secret, int(time()), MESSAGE_SECONDS)
    except Transient as error:
        raise Transient(_hide_words(error.message, channel)) from None


def _take_apart(channel: str) -> Any:
    """Return an address as apprise parses it; None where it cannot."""
    import apprise  # noqa: PLC0415 - loads slowly, and few need it

    # apprise's own log line about the address is left out: ours reports it, with the delivery.
    logging.getLogger("apprise").propagate = False
    asset = apprise.AppriseAsset(http_redirects=False, secure_logging=True)
    return apprise.Apprise.instantiate(channel, asset=asset, suppress_exceptions=True)


def _build_sender(channel: str) -> Any:
    """Return what sends to exactly this address; None where it cannot be understood."""
    import apprise  # noqa: PLC0415 - as above

    service = _take_apart(channel)
    if service is None:
        return None
    # By itself apprise gives up after 4 s, and a message that was accepted later is sent again.
    service.socket_connect_timeout = service.socket_read_timeout = MESSAGE_SECONDS
    sender = apprise.Apprise(asset=service.asset)
    # Built from the parsed parts, because apprise would split the text into several addresses at
    # each comma.
    sender.add(service)
    return sender


def _read_scheme(channel: str) -> str:
    return channel.partition("://")[0][:20].lower()


def _is_private(host: str) -> bool:
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        return not is_public(host)
    except ValueError:  # a name, which is checked when it is resolved
        return False


def _find_problem(log: str) -> str:
    """Return what apprise warned about, followed by the cause: what the network, or the channel
    itself, said.
    """
    found = []
    for line in log.split(LINE_START):
        level, _, text = line.partition(" ")
        cause = CAUSE.match(text)
        if level in {"WARNING", "ERROR", "CRITICAL"}:
            found.append(text.strip())
        elif cause:
            found.append(cause["said"].strip()[:LONGEST_CAUSE])
    return " ".join(part for part in found if part)


def _hide_words(text: str, channel: str) -> str:
    """Return a text without the secret words of a channel's address: those that are not in its
    shown form.
    """
    secrets = set(WORD.findall(unquote(channel))) - {name_channel(channel)}
    if not secrets:
        return text
    any_secret = "|".join(map(re.escape, sorted(secrets, key=len, reverse=True)))
    return re.sub(any_secret, "***", text, flags=re.IGNORECASE)
