"""`flask alerts`: lists alerts, takes their steps, and mutes them."""

import getpass
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import click
from rich.table import Table

from alerts.evidence import build_evidence, check_evidence
from alerts.learned import apply_threshold, suggest_threshold
from alerts.lifecycle import STATES, Asked, take_step
from cli.common import (
    CommandGroup,
    echo,
    exits_on_error,
    json_option,
    keep_listed,
    print_json,
    print_table,
    use_database,
)
from core.errors import BadInput
from core.moments import as_utc
from core.naming import count_of
from core.words import (
    AlertOrder,
    AlertStep,
    Direction,
    Feedback,
    FeedbackCause,
    MoveScope,
    Severity,
)
from detection.detectors.weights import DEFAULT_WEIGHTS
from detection.models.plan import read_model_market
from market.intervals import INTERVALS, parse_interval
from market.markets import load_markets
from market.tickers import normalize_ticker
from records.alerts import alerts, mutes, trail
from records.alerts.documents import AlertDocument
from records.work.watchlists import get_watchlist

group = CommandGroup("alerts", help="Alerts: what somebody must look at, and what became of it.")

LASTING = re.compile(r"([1-9][0-9]{0,3})([mhd])")
UNITS = {"m": "minutes", "h": "hours", "d": "days"}
# What `--json` has besides: the parts of other lines, and what only the code reads.
NOT_TOLD = {
    "_id",
    "anomaly_ids",
    "bars",
    "breadth",
    "comments",
    "explanation",
    "grade_before",
    "inputs",
    "root_cause",
    "untold_ids",
}


@group.command("list")
@click.option(
    "--state", type=click.Choice([*STATES, "all"]), help="By default active and acknowledged ones."
)
@click.option("--severity", type=click.Choice(get_args(Severity)))
@click.option("--scope", type=click.Choice(get_args(MoveScope)), help="Whose move it was.")
@click.option("--watchlist")
@click.option("--ticker")
@click.option("--owner")
@click.option("--strangest", is_flag=True, help="The greatest severity first, not the latest.")
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
    strangest: bool,
    limit: int,
    as_json: bool,
) -> None:
    """List alerts, the one raised last first."""
    states = None if state == "all" else alerts.ACTIVE_STATES if state is None else (state,)
    query = alerts.build_query(
        states=states,  # type: ignore[arg-type]  # one of the choices
        severity=severity,
        scope=scope,
        watchlist=watchlist,
        ticker=normalize_ticker(ticker) if ticker else None,
        owner=owner,
    )
    with use_database() as database:
        sort: AlertOrder = "-grade" if strangest else "-created_at"
        found = keep_listed(alerts.find_alerts(database, query, sort=sort, limit=limit + 1), limit)
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
    for name, value in ({"alert": alert_id} | alert).items():
        if name not in NOT_TOLD and value not in (None, [], ""):
            echo(f"{name.replace('_', ' '):>23}  {_write(value)}")
    table = Table("when", "who", "step", "state", "details")
    for step in steps:
        when, said = _write(step["at"]), _write(step["details"])
        table.add_row(when, step["by"], step["step"], step["to_state"], said)
    print_table(table)


def _write(value: object) -> str:
    """Return a field of an alert, or the details of a step, as people read it; times are UTC."""
    match value:
        case datetime():
            return f"{value:%Y-%m-%d %H:%M}"
        case float():
            return f"{round(value, 4):,}"
        case list():
            return "; ".join(map(_write, value))
        case dict():
            known = {name: part for name, part in value.items() if part is not None}
            return ", ".join(f"{n.replace('_', ' ')} {_write(v)}" for n, v in known.items())
    return str(value)


@group.command("evidence")
@click.argument("alert_id", required=False)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="By default evidence.zip."
)
@click.option(
    "--check",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Check a file of evidence against its manifest, instead of making one.",
)
@exits_on_error
def make_evidence(*, alert_id: str | None, out: Path | None, check: Path | None) -> None:
    """Write what an alert rests on into a zip: bars, features, models, verifications, chart, trail.

    --check compares a file's hashes with its manifest, and does not use the database.
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
        raise BadInput(f"{target} exists already; name another file with --out")
    with use_database() as database:
        target.write_bytes(build_evidence(database, str(alert_id), datetime.now(UTC)))
    echo(f"written to {target}; `flask alerts evidence --check {target}` checks it")


@group.command("ack")
@click.argument("alert_ids", nargs=-1, required=True)
@json_option
@exits_on_error
def acknowledge(*, alert_ids: tuple[str, ...], as_json: bool) -> None:
    """Acknowledge alerts: say that you look at them."""
    _take("acknowledge", alert_ids, as_json=as_json)


@group.command("resolve")
@click.argument("alert_ids", nargs=-1, required=True)
@click.option("--notes")
@click.option("--feedback", type=click.Choice(get_args(Feedback)), help="Writes labels.")
@click.option("--cause", type=click.Choice(get_args(FeedbackCause)))
@click.option("--mute-for", help="With --feedback expected: silence alerts like it for 4h, 14d.")
@json_option
@exits_on_error
def resolve(
    *,
    alert_ids: tuple[str, ...],
    notes: str | None,
    feedback: Feedback | None,
    cause: FeedbackCause | None,
    mute_for: str | None,
    as_json: bool,
) -> None:
    """Resolve alerts: say that they are done with, and what they were."""
    until = None if mute_for is None else _read_end(mute_for)
    said = {"text": notes, "feedback": feedback, "cause": cause, "mute_until": until}
    _take("resolve", alert_ids, as_json=as_json, **said)


@group.command("reopen")
@click.argument("alert_ids", nargs=-1, required=True)
@json_option
@exits_on_error
def reopen(*, alert_ids: tuple[str, ...], as_json: bool) -> None:
    """Undo the resolution of alerts, within 7 days."""
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
    """Snooze alerts: put them away for a while."""
    _take("snooze", alert_ids, as_json=as_json, until=_read_end(lasting))


@group.command("assign")
@click.argument("alert_ids", nargs=-1, required=True)
@click.option("--to", "owner", help="The new owner; without it the alerts have none.")
@json_option
@exits_on_error
def assign(*, alert_ids: tuple[str, ...], owner: str | None, as_json: bool) -> None:
    """Give alerts an owner, or none."""
    _take("assign", alert_ids, as_json=as_json, owner=owner)


@group.command("mute")
@click.option("--ticker", type=normalize_ticker, metavar="TEXT")
@click.option("--watchlist")
@click.option("--market")
@click.option("--interval", type=parse_interval, metavar="TEXT", help=" ".join(INTERVALS))
@click.option("--direction", type=click.Choice(get_args(Direction)))
@click.option("--scope", type=click.Choice(get_args(MoveScope)), help="Whose move it is.")
@click.option("--for", "lasting", required=True, help="4h, 14d; 90 days at the most.")
@click.option("--reason", required=True, help="Why it is expected.")
@json_option
@exits_on_error
def mute(*, lasting: str, reason: str, as_json: bool, **what: Any) -> None:
    """Mute alerts that are expected for a while: those that match all options are resolved as they
    are raised.
    """
    now = datetime.now(UTC)
    with use_database() as database:
        if what["watchlist"] is not None:
            get_watchlist(database, what["watchlist"])
        if what["market"] is not None:
            what["market"] = load_markets(database).choose(what["market"]).code
        made = mutes.add_mute(
            database,
            what,  # type: ignore[arg-type]  # its fields
            until=_read_end(lasting),
            reason=reason,
            by=getpass.getuser(),
            now=now,
        )
    if as_json:
        print_json(made)
    else:
        until = f"{made['until']:%Y-%m-%d %H:%M}"
        echo(f"{mutes.describe_mute(made)} is muted until {until} UTC: {made['_id']}")


@group.command("mutes")
@click.option("--all", "show_all", is_flag=True, help="Also those that have ended.")
@json_option
@exits_on_error
def list_mutes(*, show_all: bool, as_json: bool) -> None:
    """List the mutes: what each silences, until when, and how many alerts it has silenced."""
    with use_database() as database:
        active = None if show_all else True
        found = mutes.find_mutes(database, now=datetime.now(UTC), active=active)
    if as_json:
        print_json(found)
        return
    table = Table("mute", "of", "until (UTC)", "silenced", "by", "reason")
    for each in found:
        table.add_row(
            each["_id"],
            mutes.describe_mute(each),
            f"{each['ended_at'] or each['until']:%Y-%m-%d %H:%M}",
            str(each["silenced"]),
            each["created_by"],
            each["reason"],
        )
    print_table(table)


@group.command("unmute")
@click.argument("mute_id")
@exits_on_error
def unmute(*, mute_id: str) -> None:
    """End a mute now."""
    with use_database() as database:
        ended = mutes.end_mute(database, mute_id, by=getpass.getuser(), now=datetime.now(UTC))
    echo(f"ended; it silenced {count_of(ended['silenced'], 'alert')}")


@group.command("suggest-threshold")
@click.argument("watchlist")
@click.option("--apply", "is_applied", is_flag=True, help="Set it; otherwise nothing is changed.")
@json_option
@exits_on_error
def suggest(*, watchlist: str, is_applied: bool, as_json: bool) -> None:
    """Suggest the grade that best separates the true anomalies of WATCHLIST from its false alarms,
    by their labels.
    """
    now = datetime.now(UTC)
    with use_database() as database:
        found = suggest_threshold(database, watchlist, now)
        grade = found["suggested"]
        if is_applied and grade is None:
            raise BadInput(f"there is nothing to apply: {found['reason']}")
        if is_applied and grade is not None:
            apply_threshold(database, watchlist, grade, by=getpass.getuser(), now=now)
    if as_json:
        print_json(found)
        return
    echo(found["reason"])
    if grade is not None:
        echo(
            f"in the last {found['days']} days {found['alerts_lost']} alerts fewer and"
            f" {found['alerts_gained']} more; precision"
            f" {_percent(found['now']['precision'])} -> {_percent(found['then']['precision'])},"
            f" recall {_percent(found['now']['recall'])} -> {_percent(found['then']['recall'])}"
        )
        echo("applied" if is_applied else "apply it with --apply")


@group.command("suggest-weights")
@click.option("--market", required=True)
@click.option("--interval", default="1d", show_default=True)
@exits_on_error
def weights(*, market: str, interval: str) -> None:
    """Print the weights of an ensemble that fit the labels of its anomalies best, and whether they
    are better than the default weights.
    """
    from alerts.measured_weights import measure_weights  # noqa: PLC0415 - loads the numeric stack

    with use_database() as database:
        code = read_model_market(load_markets(database), market)
        found = measure_weights(database, code, interval)
    learned = found.learned
    echo(
        f"{found.weights}: by {found.labels} labels, they bring {100 * learned.ordered:.0f} % of"
        " the pairs that they were not learned from into order, and the default weights"
        f" {100 * learned.ordered_before:.0f} %: {'a' if learned.has_gain else 'no'} gain"
    )
    said = found.weights if learned.has_gain else DEFAULT_WEIGHTS
    echo(f"flask models train --market {code} --detector ensemble --weights {said}")


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"


def _read_end(lasting: str) -> datetime:
    """Return the time after now by a text such as `4h`. Raises BadInput."""
    found = LASTING.fullmatch(lasting)
    if found is None:
        raise BadInput(f"{lasting[:20]!r} is no length of time; write it as 30m, 4h or 7d")
    return as_utc(datetime.now(UTC)) + timedelta(**{UNITS[found[2]]: int(found[1])})


def _take(step: AlertStep, alert_ids: tuple[str, ...], *, as_json: bool, **said: Any) -> None:
    """Take a step of each alert, and print the alert's new state."""
    asked = Asked(getpass.getuser(), datetime.now(UTC), **said)
    changed: list[AlertDocument] = []
    with use_database() as database:
        for alert_id in alert_ids:
            changed.append(take_step(database, alert_id, step, asked))
            if not as_json:
                echo(f"{alert_id} is {changed[-1]['state']}")
    if as_json:
        print_json(changed)
