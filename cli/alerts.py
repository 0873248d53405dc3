"""Alerts, from the command line: who must look at what, and what became of it."""

import getpass
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import click
from flask.cli import AppGroup
from rich.table import Table

from alerts.evidence import build_evidence, check_evidence
from alerts.lifecycle import STATES, Asked, take_step
from cli.common import (
    echo,
    exits_on_error,
    json_option,
    print_json,
    print_table,
    use_database,
)
from core.errors import BadInput
from core.words import AlertState, AlertStep, Feedback, FeedbackCause, MoveScope, Severity
from market.tickers import normalize_ticker
from records.alerts import alerts, trail
from records.alerts.documents import AlertDocument

group = AppGroup("alerts", help="Alerts: what somebody must look at, and what became of it.")

SEEN_OFF: tuple[AlertState, ...] = ("active", "acknowledged")
LASTING = re.compile(r"([1-9][0-9]{0,3})([mhd])")
UNITS = {"m": "minutes", "h": "hours", "d": "days"}
NOT_TOLD = {"anomaly_ids", "comments", "explanation", "inputs", "root_cause", "trail"}


@group.command("list")
@click.option("--state", type=click.Choice([*STATES, "all"]), help="By default what is not done.")
@click.option("--severity", type=click.Choice(get_args(Severity)))
@click.option("--scope", type=click.Choice(get_args(MoveScope)), help="Whose move it was.")
@click.option("--watchlist")
@click.option("--ticker")
@click.option("--owner")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
@json_option
@exits_on_error
def list_alerts(
    *,
    state: str | None,
    severity: Severity | None,
    scope: MoveScope | None,
    watchlist: str | None,
    ticker: str | None,
    owner: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List alerts, the one raised last first."""
    states = None if state == "all" else SEEN_OFF if state is None else (state,)
    query = alerts.build_query(
        states=states,  # type: ignore[arg-type]  # one of the choices
        severity=severity,
        scope=scope,
        watchlist=watchlist,
        ticker=normalize_ticker(ticker) if ticker else None,
        owner=owner,
    )
    with use_database() as database:
        found = alerts.find_alerts(database, query, limit=limit)
    if as_json:
        print_json(found)
        return
    table = Table("alert", "state", "severity", "scope", "last bar", "bars", "owner", "reasons")
    for alert in found:
        table.add_row(
            alert["_id"],
            alert["state"],
            alert["severity"],
            alert["scope"] or "",
            f"{alert['last_bar']:%Y-%m-%d %H:%M}",
            str(alert["count"]),
            alert.get("owner") or "",
            "; ".join(alert["reasons"]),
        )
    print_table(table)


@group.command("show")
@click.argument("alert_id")
@json_option
@exits_on_error
def show_alert(*, alert_id: str, as_json: bool) -> None:
    """Show one alert, its comments and who did what with it."""
    with use_database() as database:
        alert = alerts.get_alert(database, alert_id)
        steps = trail.find_trail(database, alert_id)
    if as_json:
        print_json({**alert, "trail": steps})
        return
    for name, value in alert.items():
        if name not in NOT_TOLD and value not in (None, [], ""):
            echo(f"{name:>20}  {value}")
    for comment in alert["comments"]:
        echo(f"{comment['at']:%Y-%m-%d %H:%M}  {comment['by']}: {comment['text']}")
    table = Table("when", "who", "step", "state")
    for step in steps:
        table.add_row(f"{step['at']:%Y-%m-%d %H:%M}", step["by"], step["step"], step["to_state"])
    print_table(table)


@group.command("evidence")
@click.argument("alert_id", required=False)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="By default evidence.zip."
)
@click.option(
    "--check",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Hold a file of evidence against its manifest instead of making one.",
)
@exits_on_error
def make_evidence(*, alert_id: str | None, out: Path | None, check: Path | None) -> None:
    """Write what an alert rests on into a zip: bars, features, models, verifications, chart, trail.

    With --check the database is not asked: a file's hashes are held against its manifest.
    """
    if (alert_id is None) == (check is None):
        raise BadInput("name an alert, or a file to --check")
    if check is not None:
        problems = check_evidence(check)
        for problem in problems:
            echo(problem)
        if problems:
            raise click.exceptions.Exit(1)
        echo(f"{check.name}: every file is as its manifest says")
        return
    target = out or Path("evidence.zip")
    if target.exists():
        raise BadInput(f"{target} is there already; name another with --out")
    with use_database() as database:
        target.write_bytes(build_evidence(database, str(alert_id), datetime.now(UTC)))
    echo(f"written to {target}; `flask alerts evidence --check {target}` checks it")


@group.command("ack")
@click.argument("alert_ids", nargs=-1, required=True)
@json_option
@exits_on_error
def acknowledge(*, alert_ids: tuple[str, ...], as_json: bool) -> None:
    """Say that you look at alerts."""
    _take("acknowledge", alert_ids, as_json=as_json)


@group.command("resolve")
@click.argument("alert_ids", nargs=-1, required=True)
@click.option("--notes")
@click.option("--feedback", type=click.Choice(get_args(Feedback)), help="Writes labels.")
@click.option("--cause", type=click.Choice(get_args(FeedbackCause)))
@json_option
@exits_on_error
def resolve(
    *,
    alert_ids: tuple[str, ...],
    notes: str | None,
    feedback: Feedback | None,
    cause: FeedbackCause | None,
    as_json: bool,
) -> None:
    """Say that alerts are done with, and what they were."""
    _take("resolve", alert_ids, as_json=as_json, text=notes, feedback=feedback, cause=cause)


@group.command("reopen")
@click.argument("alert_ids", nargs=-1, required=True)
@json_option
@exits_on_error
def reopen(*, alert_ids: tuple[str, ...], as_json: bool) -> None:
    """Take a resolution back, within 7 days."""
    _take("reopen", alert_ids, as_json=as_json)


@group.command("comment")
@click.argument("alert_id")
@click.argument("text")
@json_option
@exits_on_error
def comment(*, alert_id: str, text: str, as_json: bool) -> None:
    """Write TEXT under an alert."""
    _take("comment", (alert_id,), as_json=as_json, text=text)


@group.command("snooze")
@click.argument("alert_ids", nargs=-1, required=True)
@click.option("--for", "lasting", default="1d", show_default=True, help="30m, 4h, 7d.")
@json_option
@exits_on_error
def snooze(*, alert_ids: tuple[str, ...], lasting: str, as_json: bool) -> None:
    """Put alerts away for a while."""
    found = LASTING.fullmatch(lasting)
    if found is None:
        raise BadInput(f"{lasting[:20]!r} is no time to wait; write it as 30m, 4h or 7d")
    until = datetime.now(UTC) + timedelta(**{UNITS[found[2]]: int(found[1])})
    _take("snooze", alert_ids, as_json=as_json, until=until)


@group.command("assign")
@click.argument("alert_ids", nargs=-1, required=True)
@click.option("--to", "owner", help="Nobody where it is not given.")
@json_option
@exits_on_error
def assign(*, alert_ids: tuple[str, ...], owner: str | None, as_json: bool) -> None:
    """Make alerts somebody's."""
    _take("assign", alert_ids, as_json=as_json, owner=owner)


def _take(step: AlertStep, alert_ids: tuple[str, ...], *, as_json: bool, **said: Any) -> None:
    """Take a step of each alert, and say in which state it is then."""
    asked = Asked(getpass.getuser(), datetime.now(UTC), **said)
    changed: list[AlertDocument] = []
    with use_database() as database:
        for alert_id in alert_ids:
            changed.append(take_step(database, alert_id, step, asked))
            if not as_json:
                echo(f"{alert_id} is {changed[-1]['state']}")
    if as_json:
        print_json(changed)
