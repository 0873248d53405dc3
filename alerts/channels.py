"""Channels that a message can be sent to: mail, Slack, LINE, webhooks and what else apprise knows."""

import re
from urllib.parse import unquote

from core.errors import BadInput, Transient
from records.alerts.documents import RuleDocument

EXAMPLES = "mailtos://user:password@example.com?to=me@example.com, slack://TOKEN_A/TOKEN_B/TOKEN_C, json://host/path"

# apprise keeps at debug, beside payloads, why a channel was not reached and what it answered.
LINE_START = "\x1e"
LOG_FORMAT = LINE_START + "%(levelname)s %(message)s"
CAUSE = re.compile(r"(?:[\w ]*Exception|Response Details)\s*:?\s*(?P<said>.*)", re.DOTALL)
LONGEST_CAUSE = 300
WORD = re.compile(r"\w{3,}")


def hide_secrets(channel: str) -> str:
    """Return a channel's address fit for people to see. Raises BadInput where no message can be sent there."""
    import apprise  # noqa: PLC0415 - loads slowly, and few need it

    known = apprise.Apprise.instantiate(channel, suppress_exceptions=True)
    if known is None:
        scheme = channel.partition("://")[0][:20]
        raise BadInput(f"this {scheme!r} address is no channel that is known; write one like {EXAMPLES}")
    shown: str = known.url(privacy=True)  # type: ignore[no-untyped-call]
    return shown.partition("?")[0]


def try_rule(rule: RuleDocument) -> None:
    """Send a line to the channel of a notification rule. Raises as `send_message`."""
    send_message(rule["channel"], "Tapewatch", f"This is what the rule {rule['name']} sends its messages to.")


def send_message(channel: str, title: str, body: str) -> None:
    """Send plain text to a channel. Raises Transient with what went wrong, where it did not take it."""
    import apprise  # noqa: PLC0415 - as above

    sender = apprise.Apprise()
    if not sender.add(channel):
        raise Transient("the channel's address can no longer be used; set the rule again")
    with apprise.LogCapture(level=apprise.logging.DEBUG, fmt=LOG_FORMAT) as said:  # type: ignore[no-untyped-call]
        taken = sender.notify(title=title, body=body, body_format=apprise.NotifyFormat.TEXT)
        log = said.getvalue()
    if not taken:
        problem = _hide_words(_find_problem(log), channel)
        raise Transient(problem or "the channel did not take the message and said nothing")


def _find_problem(log: str) -> str:
    """Return what apprise warned of, followed by the cause: what the network, or the channel itself, said."""
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
    """Return a text without the words of a channel's address that its shown form does not have: its secrets."""
    secrets = set(WORD.findall(unquote(channel))) - set(WORD.findall(hide_secrets(channel)))
    if not secrets:
        return text
    any_secret = "|".join(map(re.escape, sorted(secrets, key=len, reverse=True)))
    return re.sub(any_secret, "***", text, flags=re.IGNORECASE)
