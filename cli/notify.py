"""Notifications, from the command line: who is told of what, and what was sent."""

from datetime import UTC, datetime
from typing import get_args

import click
from flask.cli import AppGroup
from rich.table import Table

from alerts.channels import check_channel, name_channel, try_rule
from alerts.messages import parse_clock, parse_zone
from cli.common import echo, exits_on_error, json_option, print_json, print_table, use_database
from core.settings import get_settings
from core.words import AnomalyKind, DeliveryState
from records.alerts import deliveries, notification_rules
from records.alerts.documents import RuleFields
from records.work.watchlists import get_watchlist

group = AppGroup("notify", help="Notifications: who is told of what.")


@group.command("set")
@click.argument("name")
@click.argument("channel")
@click.option("--watchlist", help="Only anomalies of its tickers.")
@click.option(
    "--kind", type=click.Choice(get_args(AnomalyKind)), help="Only anomalies of this kind."
)
@click.option("--min-grade", type=click.FloatRange(0, 100), default=75.0, show_default=True)
@click.option("--min-confidence", type=click.FloatRange(0, 1), default=0.0, show_default=True)
@click.option(
    "--quiet",
    nargs=2,
    metavar="FROM UNTIL",
    help="Send nothing between these times, such as 22:00 07:00.",
)
@click.option("--timezone", default="UTC", show_default=True, help="Of the quiet hours.")
@click.option("--backfills", is_flag=True, help="Tell of backfills too.")
@click.option(
    "--failures/--no-failures", default=True, show_default=True, help="Tell of runs that failed."
)
@exits_on_error
def set_rule(
    *,
    name: str,
    channel: str,
    watchlist: str | None,
    kind: AnomalyKind | None,
    min_grade: float,
    min_confidence: float,
    quiet: tuple[str, str] | None,
    timezone: str,
    backfills: bool,
    failures: bool,
) -> None:
    """Tell CHANNEL, an address that apprise knows, what the rule NAME asks for."""
    check_channel(channel, allow_private=get_settings().private_channels)
    quiet_from, quiet_until = (parse_clock(text) for text in quiet) if quiet else (None, None)
    fields: RuleFields = {
        "channel": channel,
        "shown_channel": name_channel(channel),
        "watchlist": watchlist,
        "kind": kind,
        "min_grade": min_grade,
        "min_confidence": min_confidence,
        "quiet_from": quiet_from,
        "quiet_until": quiet_until,
        "timezone": parse_zone(timezone),
        "backfills": backfills,
        "failures": failures,
        "enabled": True,
    }
    with use_database() as database:
        if watchlist is not None:
            get_watchlist(database, watchlist)
        rule = notification_rules.set_rule(database, name, fields, datetime.now(UTC))
    echo(f"{name} tells {rule['shown_channel']}")


@group.command("list")
@json_option
@exits_on_error
def list_rules(*, as_json: bool) -> None:
    """List the rules; channels without their secrets."""
    with use_database() as database:
        found = notification_rules.find_rules(database)
    if as_json:
        print_json(
            [
                {key: value for key, value in rule.items() if key not in {"_id", "channel"}}
                for rule in found
            ]
        )
        return
    table = Table(
        "name",
        "channel",
        "watchlist",
        "kind",
        "least grade",
        "least confidence",
        "quiet hours",
        "backfills",
        "failures",
    )
    for rule in found:
        quiet = (
            f"{rule['quiet_from']} to {rule['quiet_until']} {rule['timezone']}"
            if rule["quiet_from"]
            else ""
        )
        told = ("yes" if is_told else "no" for is_told in (rule["backfills"], rule["failures"]))
        table.add_row(
            rule["name"],
            rule["shown_channel"],
            rule["watchlist"] or "all",
            rule.get("kind") or "both",
            f"{rule['min_grade']:g}",
            f"{rule.get('min_confidence', 0.0):g}",
            quiet,
            *told,
        )
    print_table(table)


@group.command("remove")
@click.argument("name")
@exits_on_error
def remove_rule(*, name: str) -> None:
    """Tell nobody of what NAME asks for any more."""
    with use_database() as database:
        notification_rules.remove_rule(database, name)
    echo(f"{name} is removed")


@group.command("test")
@click.argument("name")
@exits_on_error
def try_channel(*, name: str) -> None:
    """Send a line to the channel of the rule NAME now, and say what it answered."""
    with use_database() as database:
        rule = notification_rules.get_rule(database, name)
    try_rule(rule, allow_private=get_settings().private_channels)
    echo(f"{rule['shown_channel']} took it")


@group.command("sent")
@click.option("--state", type=click.Choice(deliveries.STATES), help="Only those.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
@json_option
@exits_on_error
def list_deliveries(*, state: DeliveryState | None, limit: int, as_json: bool) -> None:
    """List the latest messages, and what became of them."""
    with use_database() as database:
        found = deliveries.find_deliveries(database, state=state, limit=limit)
    if as_json:
        print_json(
            [
                {key: value for key, value in delivery.items() if key != "channel"}
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
