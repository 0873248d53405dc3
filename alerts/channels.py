"""Channels that a message can be sent to: mail, Slack, LINE, webhooks and what else apprise knows."""

from core.errors import BadInput, Transient
from records.alerts.documents import RuleDocument

EXAMPLES = "mailtos://user:password@example.com?to=me@example.com, slack://TOKEN_A/TOKEN_B/TOKEN_C, json://host/path"


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
    """Send plain text to a channel. Raises Transient with what it answered, where it did not take it."""
    import apprise  # noqa: PLC0415 - as above

    sender = apprise.Apprise()
    if not sender.add(channel):
        raise Transient("the channel's address can no longer be used; set the rule again")
    with apprise.LogCapture(level=apprise.logging.WARNING, fmt="%(message)s") as said:  # type: ignore[no-untyped-call]
        taken = sender.notify(title=title, body=body, body_format=apprise.NotifyFormat.TEXT)
        answer = said.getvalue().strip()
    if not taken:
        raise Transient(answer or "the channel did not take the message and said nothing")
