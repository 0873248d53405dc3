"""`flask notify`: sets rules, and lists what was sent."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, get_args

import click
from click.core import ParameterSource
from rich.table import Table

from alerts.channels import LEAST_SECRET, build_rule, try_rule
from alerts.messages import DIGEST_AT, ESCALATED_AFTER_MINUTES, parse_clock, parse_zone
from cli.common import (
    Command,
    CommandGroup,
    NumberRange,
    change_noted,
    echo,
    exits_on_error,
    json_option,
    keep_listed,
    print_json,
    print_table,
    takes_options,
    use_database,
)
from core.settings import get_settings
from core.words import AnomalyKind, DeliveryState, Digest, MoveScope
from market.tickers import normalize_ticker
from records.alerts import deliveries, notification_rules
from records.alerts.trail import SECRETS, compare
from records.work.watchlists import get_watchlist

HIDDEN = SECRETS | {"_id"}

group = CommandGroup("notify", help="Notifications: who is told of what.")


def takes_rule(*, is_new: bool) -> Callable[[Command], Command]:
    """Return a decorator that gives a command the options of a rule; only a new rule gets their
    defaults.
    """
    return takes_options(
        click.option("--watchlist", help="Only anomalies of its tickers."),
        click.option(
            "--kind", type=click.Choice(get_args(AnomalyKind)), help="Only anomalies of this kind."
        ),
        click.option("--min-grade", type=NumberRange(0, 100), default=75.0, show_default=is_new),
        click.option("--min-confidence", type=NumberRange(0, 1), default=0.0, show_default=is_new),
        click.option("--scope", type=click.Choice(get_args(MoveScope)), help="Only such moves."),
        click.option(
            "--ticker", type=normalize_ticker, metavar="TEXT", help="Only alerts of this ticker."
        ),
        click.option(
            "--quiet",
            nargs=2,
            metavar="FROM UNTIL",
            help="Send nothing between these times, such as 22:00 07:00.",
        ),
        click.option(
            "--timezone", default="UTC", show_default=is_new, help="The zone of its times."
        ),
        click.option(
            "--digest", type=click.Choice(get_args(Digest)), help="One message a day or week."
        ),
        click.option("--digest-at", default=DIGEST_AT, show_default=is_new),
        click.option(
            "--next-channel",
            help="Gets critical alerts that nobody acknowledges within --after minutes.",
        ),
        click.option(
            "--after",
            type=click.IntRange(1, 1_440),
            default=ESCALATED_AFTER_MINUTES,
            show_default=is_new,
        ),
        click.option(
            "--backfills/--no-backfills", default=False, help="Also send alerts of backfills."
        ),
        click.option(
            "--failures/--no-failures",
            default=True,
            show_default=is_new,
            help="Also send which runs failed.",
        ),
        click.option("--on/--off", "enabled", default=True, help="Whether the rule is in force."),
        click.option(
            "--sign",
            is_flag=True,
            help="Ask for the secret that a webhook's messages are signed with.",
        ),
    )


@group.command("set")
@click.argument("name")
@click.argument("channel")
@takes_rule(is_new=True)
@exits_on_error
def set_rule(*, name: str, channel: str, **options: Any) -> None:
    """Set the rule NAME: which alerts are sent to CHANNEL, an address for apprise."""
    _store(name, {"channel": channel, "secret": None, **_read_options(options)})


@group.command("change")
@click.argument("name")
@click.option("--channel", help="Another channel.")
@takes_rule(is_new=False)
@click.option(
    "--clear",
    multiple=True,
    type=click.Choice(
        ["watchlist", "kind", "scope", "ticker", "quiet", "digest", "next_channel", "secret"]
    ),
    help="Remove this condition; may be repeated.",
)
@click.pass_context
@exits_on_error
def change_rule(
    context: click.Context,
    /,
    *,
    name: str,
    channel: str | None,
    clear: tuple[str, ...],
    **options: Any,
) -> None:
    """Change the given options of the rule NAME, and keep the others and its channel."""
    named = {
        option: value
        for option, value in options.items()
        if context.get_parameter_source(option) is not ParameterSource.DEFAULT
    }
    with use_database() as database:
        held = notification_rules.get_rule(database, name)
    kept = {key: value for key, value in held.items() if key not in {"_id", "name", "updated_at"}}
    cleared = dict.fromkeys(clear)
    if "quiet" in cleared:
        cleared = {**cleared, "quiet_from": None, "quiet_until": None}
        del cleared["quiet"]
    _store(
        name,
        {**kept, **({"channel": channel} if channel else {}), **_read_options(named), **cleared},
    )


def _read_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a rule from the options of a command."""
    said = dict(options)
    if "quiet" in said:
        quiet = said.pop("quiet") or (None, None)
        said["quiet_from"], said["quiet_until"] = (text and parse_clock(text) for text in quiet)
    if "after" in said:
        said["escalate_after_minutes"] = said.pop("after")
    if "timezone" in said:
        said["timezone"] = parse_zone(said["timezone"])
    if "digest_at" in said:
        said["digest_at"] = parse_clock(said["digest_at"])
    if said.pop("sign", False):
        # The secret is no option, as a list of processes would show it.
        said["secret"] = click.prompt(
            f"Secret ({LEAST_SECRET} characters at least)", hide_input=True
        )
    return said


def _store(name: str, said: Mapping[str, Any]) -> None:
    fields = build_rule(said, allow_private=get_settings().private_channels)
    with use_database() as database:
        if fields["watchlist"] is not None:
            get_watchlist(database, fields["watchlist"])
        held, now = notification_rules.find_rule(database, name), datetime.now(UTC)
        rule = change_noted(
            database,
            lambda session: notification_rules.set_rule(database, name, fields, now, session),
            "change" if held else "make",
            f"rule {name}",
            compare(held, fields),
        )
    echo(f"{name} tells {rule['shown_channel']}; its times are those of {rule['timezone']}")


@group.command("list")
@json_option
@exits_on_error
def list_rules(*, as_json: bool) -> None:
    """List the rules, their channels without secrets."""
    with use_database() as database:
        found = notification_rules.find_rules(database)
    if as_json:
        print_json(
            [{key: value for key, value in rule.items() if key not in HIDDEN} for rule in found]
        )
        return
    table = Table(
        "name",
        "channel",
        "watchlist",
        "only",
        "least grade",
        "least confidence",
        "quiet hours",
        "time zone",
        "digest",
        "then",
        "backfills",
        "failures",
    )
    for rule in found:
        quiet = f"{rule['quiet_from']} to {rule['quiet_until']}" if rule["quiet_from"] else ""
        told = ("yes" if is_told else "no" for is_told in (rule["backfills"], rule["failures"]))
        table.add_row(
            rule["name"],
            rule["shown_channel"],
            rule["watchlist"] or "all",
            ", ".join(filter(None, (rule.get("kind"), rule.get("scope"), rule.get("ticker")))),
            f"{rule['min_grade']:g}",
            f"{rule.get('min_confidence', 0.0):g}",
            quiet,
            rule["timezone"],
            f"{rule['digest']} at {rule.get('digest_at')}" if rule.get("digest") else "",
            rule.get("shown_next_channel") or "",
            *told,
        )
    print_table(table)


@group.command("remove")
@click.argument("name")
@exits_on_error
def remove_rule(*, name: str) -> None:
    """Remove the rule NAME; what it has sent stays listed."""
    with use_database() as database:
        change_noted(
            database,
            lambda session: notification_rules.remove_rule(database, name, session),
            "remove",
            f"rule {name}",
        )
    echo(f"{name} is removed")


@group.command("test")
@click.argument("name")
@exits_on_error
def try_channel(*, name: str) -> None:
    """Send a line to the channel of the rule NAME now, and say what it answered."""
    with use_database() as database:
        rule = notification_rules.get_rule(database, name)
    try_rule(rule, allow_private=get_settings().private_channels)
    echo(f"{rule['shown_channel']} accepted it")


@group.command("sent")
@click.option("--state", type=click.Choice(deliveries.STATES), help="Only messages in this state.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
@json_option
@exits_on_error
def list_deliveries(*, state: DeliveryState | None, limit: int, as_json: bool) -> None:
    """List the latest messages, and what became of them."""
    with use_database() as database:
        found = deliveries.find_deliveries(database, state=state, limit=limit + 1)
    found = keep_listed(found, limit)
    if as_json:
        print_json(
            [
                {key: value for key, value in delivery.items() if key not in HIDDEN}
                for delivery in found
            ]
        )
        return
    table = Table("created", "rule", "channel", "title", "state", "attempts", "error")
    for d in found:
        created = f"{d['created_at']:%Y-%m-%d %H:%M}"
        table.add_row(
            created,
            d["rule"],
            d["shown_channel"],
            d["title"],
            d["state"],
            str(d["attempts"]),
            d["error"] or "",
        )
    print_table(table)
