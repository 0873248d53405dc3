"""`flask sessions`: sets sessions that an exchange announced and its calendar does not know."""

import getpass
from datetime import UTC, date, datetime, time

import click
from rich.table import Table

from alerts.messages import parse_clock
from cli.common import (
    CommandGroup,
    echo,
    exits_on_error,
    json_option,
    print_json,
    print_table,
    use_database,
)
from core.errors import BadInput
from market.markets import Market, load_markets
from market.sessions.proposals import find_proposed_sessions
from records.market import session_overrides
from records.market.documents import OverrideDocument

group = CommandGroup("sessions", help="Days on which an exchange does not keep to its calendar.")
LOCAL_TIME = "%H:%M"


@group.command("close")
@click.argument("market")
@click.argument("day")
@click.option("--note", default="", help="Why, for others.")
@exits_on_error
def close_day(*, market: str, day: str, note: str) -> None:
    """Set that MARKET is closed on DAY (2025-01-09): no scan is due, and imports reject bars of
    that day. Of currencies (FX) it is the day of New York, from 17:00 on the eve to 17:00.
    """
    _store(market, day, None, note)


@group.command("open")
@click.argument("market")
@click.argument("day")
@click.argument("opens")
@click.argument("closes")
@click.option("--note", default="", help="Why, for others.")
@exits_on_error
def open_day(*, market: str, day: str, opens: str, closes: str, note: str) -> None:
    """Set when MARKET opens and closes on DAY, in its local time: `flask sessions open US
    2025-12-24 09:30 13:00`.
    """
    _store(market, day, (opens, closes), note)


@group.command("list")
@json_option
@exits_on_error
def list_overrides(*, as_json: bool) -> None:
    """List the days that were set, of all markets."""
    with use_database() as database:
        found, markets = session_overrides.find_overrides(database), load_markets(database)
    if as_json:
        print_json(found)
        return
    table = Table("market", "day", "opens", "closes", "note")
    for override in found:
        times = _show_times(override, markets.choose(override["market"]))
        table.add_row(override["market"], override["day"], *times, override["note"])
    print_table(table)


@group.command("propose")
@click.argument("market")
@json_option
@exits_on_error
def propose(*, market: str, as_json: bool) -> None:
    """List the days on which most tickers of MARKET traded although its calendar says closed."""
    with use_database() as database:
        known = load_markets(database).choose(market)
        found = find_proposed_sessions(database, known)
    if as_json:
        print_json(found)
        return
    for each in found:
        hours = f"{each['opens'] or 'OPENS'} {each['closes'] or 'CLOSES'}"
        echo(
            f"{each['day']}: {each['tickers']} of {each['of']} tickers traded; if {known.code} was"
            f" open: `flask sessions open {known.code} {each['day']} {hours}`, then import again"
        )
    if not found:
        echo(f"{known.code}: most tickers traded on no day on which its calendar says closed")


@group.command("forget")
@click.argument("market")
@click.argument("day")
@exits_on_error
def forget_day(*, market: str, day: str) -> None:
    """Forget what was set for DAY, so that the exchange's calendar counts again."""
    from market.bars.session_exceptions import (  # noqa: PLC0415 - loads the numeric stack
        remove_exception,
    )

    when = _read_day(day)
    with use_database() as database:
        known = load_markets(database).choose(market)
        remove_exception(database, known, when, now=datetime.now(UTC), by=getpass.getuser())
    echo(f"{known.code} keeps to its calendar on {when}")


def _store(market: str, day: str, hours: tuple[str, str] | None, note: str) -> None:
    from market.bars.session_exceptions import set_exception  # noqa: PLC0415 - loads the numeric stack
    from market.sessions.calendar import (  # noqa: PLC0415 - as above
        CURRENCIES,
        WEEK_TURNS,
        WEEK_ZONE,
    )

    when = _read_day(day)
    opens, closes = (time.fromisoformat(parse_clock(text)) for text in hours or ("00:00", "00:00"))
    with use_database() as database:
        known = load_markets(database).choose(market)
        asked = (opens, closes) if hours else None
        now, by = datetime.now(UTC), getpass.getuser()
        set_exception(database, known, when, asked, note=note, now=now, by=by)
    hours_said = (
        f"opens {opens:{LOCAL_TIME}} and closes {closes:{LOCAL_TIME}}" if hours else "stays shut"
    )
    zone = known.timezone
    if known.calendar == CURRENCIES and not hours:
        hours_said += f" from {WEEK_TURNS:{LOCAL_TIME}} on the eve to {WEEK_TURNS:{LOCAL_TIME}}"
        zone = WEEK_ZONE.key
    echo(f"{known.code} {hours_said} on {when} ({zone})")


def _read_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise BadInput(f"{text!r} is no day; write it as 2025-01-09") from error


def _show_times(override: OverrideDocument, market: Market) -> tuple[str, str]:
    zone = market.zone
    opens, closes = (
        f"{moment.astimezone(zone):{LOCAL_TIME}}" if moment else "shut"
        for moment in (override["opens"], override["closes"])
    )
    return opens, closes
