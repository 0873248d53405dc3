"""`flask markets`: shows and changes markets."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click
from pymongo.client_session import ClientSession
from rich.table import Table

from cli.common import (
    CommandGroup,
    change_noted,
    echo,
    exits_on_error,
    json_option,
    print_json,
    print_table,
    takes_options,
    use_database,
)
from core.errors import NotFound
from core.naming import name_some
from market import market_rows
from market.markets import Market, load_markets
from market.tickers import normalize_ticker
from records.alerts.trail import compare
from records.database import Db
from records.market import markets as rows

group = CommandGroup(
    "markets", help="Markets: the calendar, time zone and suffixes of their tickers."
)

LISTED_TICKERS = 20
takes_row = takes_options(
    click.option("--name", help="Its name for people."),
    click.option(
        "--calendar", help="Its name in exchange_calendars: XNYS, BVMF, 24/7, ...; or FX."
    ),
    click.option("--timezone", help="The zone of its local time: America/Sao_Paulo."),
    click.option(
        "--suffix",
        "suffixes",
        multiple=True,
        help="How its tickers end; the first is added to those without one.",
    ),
    click.option("--alias", "aliases", multiple=True, help="A suffix that vendors use instead."),
    click.option(
        "--index",
        "index_ticker",
        help="The ticker of the index that stands for it; '' for none.",
    ),
    click.option("--currency", help="The currency of its prices: BRL; '' for none."),
    click.option(
        "--delay",
        "tick_delay_seconds",
        type=click.IntRange(0, 86_400),
        help="How many seconds after its end a bar may come.",
    ),
)


@group.command("list")
@json_option
@exits_on_error
def list_markets(*, as_json: bool) -> None:
    """List the markets: shipped and added ones."""
    with use_database() as database:
        found = load_markets(database)
        stored = {code: rows.count_series(database, code) for code in found}
    if as_json:
        print_json([asdict(market) | {"series": stored[code]} for code, market in found.items()])
        return
    table = Table(
        "code", "name", "calendar", "time zone", "suffixes", "currency", "index", "series"
    )
    for code, market in found.items():
        table.add_row(
            code,
            market.name,
            market.calendar,
            market.timezone,
            _shorten(market.suffixes),
            market.currency,
            market.index_ticker or "",
            f"{stored[code]:,}",
        )
    print_table(table)


@group.command("show")
@click.argument("code")
@json_option
@exits_on_error
def show_market(*, code: str, as_json: bool) -> None:
    """Show a market with all its fields, and the tickers that were assigned to it."""
    with use_database() as database:
        market = load_markets(database).choose(code)
        told = sorted(t for t, of in rows.find_set_tickers(database).items() if of == market.code)
        stored = rows.count_series(database, market.code)
    if as_json:
        print_json(asdict(market) | {"series": stored, "set_by_hand": told})
        return
    for name, value in asdict(market).items():
        shown = ", ".join(part or "(none)" for part in value) if isinstance(value, tuple) else value
        echo(f"{name.replace('_', ' '):>18}  {'' if shown is None else shown}")
    echo(f"{'series':>18}  {stored:,}")
    echo(f"{'set by hand':>18}  {name_some(told, LISTED_TICKERS) or 'none'}")


@group.command("add")
@click.argument("code")
@takes_row
@json_option
@exits_on_error
def add_market(*, code: str, as_json: bool, **given: Any) -> None:
    """Add a market: `flask markets add BR --calendar BVMF --timezone America/Sao_Paulo --suffix
    .SA`.
    """
    missing = [f"--{name}" for name in market_rows.SCHEDULE_FIELDS if not given[name]]
    if missing:
        raise click.UsageError(f"a market needs {' and '.join(missing)}")
    fields = {"code": code, "indices": (), "currency": "", "tick_delay_seconds": 900} | _given(
        given
    )
    fields |= {
        "name": given["name"] or code,
        "suffixes": given["suffixes"] or ("",),
        "aliases": given["aliases"],
    }
    with use_database() as database:
        now = datetime.now(UTC)
        market = change_noted(
            database,
            lambda session: market_rows.add_market(database, fields, now, session),
            "make",
            f"market {code.upper()}",
            fields,
        )
    _print(market, as_json=as_json)


@group.command("change")
@click.argument("code")
@takes_row
@click.option(
    "--keep-rows", is_flag=True, help="Keep stored bars that the new calendar would reject."
)
@json_option
@exits_on_error
def change_market(*, code: str, keep_rows: bool, as_json: bool, **given: Any) -> None:
    """Change a market. With another calendar or time zone, it first prints what this means for the
    stored bars.
    """
    fields = _given(given)
    with use_database() as database:
        market = load_markets(database).choose(code)
        moves = any(
            fields.get(n, getattr(market, n)) != getattr(market, n)
            for n in market_rows.SCHEDULE_FIELDS
        )
        if moves:
            from market.bars.calendar_change import (  # noqa: PLC0415 - loads the numeric stack
                count_touched,
            )

            changed = market_rows.build_row(
                asdict(market) | fields, load_markets(database), datetime.now(UTC)
            )
            touched = count_touched(database, market.code, Market.from_document(changed))
            echo(touched.describe(market.code), err=as_json)
        now = datetime.now(UTC)
        market = change_noted(
            database,
            lambda session: market_rows.change_market(
                database, code, fields, now, keep_rows=keep_rows, session=session
            ),
            "change",
            f"market {market.code}",
            compare(asdict(market), fields),
        )
        if moves:
            from market.bars.ledger import refresh_market  # noqa: PLC0415 - the same

            refresh_market(database, market)
    _print(market, as_json=as_json)


@group.command("remove")
@click.argument("code")
@exits_on_error
def remove_market(*, code: str) -> None:
    """Remove an added market, or the changes of a shipped one; not while bars of it are stored."""
    with use_database() as database:
        change_noted(
            database,
            lambda session: market_rows.remove_market(database, code, session),
            "remove",
            f"market {code.upper()}",
        )
    echo(f"{code.upper()} is removed, or again as shipped")


@group.command("assign")
@click.argument("ticker")
@click.argument("code")
@exits_on_error
def assign_ticker(*, ticker: str, code: str) -> None:
    """Assign TICKER to the market CODE, whatever its suffix."""
    with use_database() as database:
        now = datetime.now(UTC)
        name = change_noted(
            database,
            lambda session: market_rows.set_ticker_market(database, ticker, code, now, session),
            "change",
            f"ticker {ticker.upper()}",
            {"market": code.upper()},
        )
    echo(f"{name} is of market {code.upper()}")


@group.command("unassign")
@click.argument("ticker")
@exits_on_error
def unassign_ticker(*, ticker: str) -> None:
    """Let the suffix of TICKER tell its market again."""
    name = normalize_ticker(ticker)
    with use_database() as database:
        change_noted(
            database,
            lambda session: _forget_market(database, name, session),
            "change",
            f"ticker {name}",
            {"market": None},
        )
    echo(f"{name} is of the market that its suffix names")


def _forget_market(database: Db, name: str, session: ClientSession) -> None:
    if not rows.forget_ticker_market(database, name, session):
        raise NotFound(f"no market was set for {name}")


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value not in (None, ())}


def _shorten(suffixes: tuple[str, ...]) -> str:
    named = [suffix or "(none)" for suffix in suffixes]
    return " ".join(named[:6]) + (f" and {len(named) - 6} more" if len(named) > 6 else "")


def _print(market: Market, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(market))
    else:
        echo(f"market {market.code}: {market.name}, calendar {market.calendar}, {market.timezone}")
