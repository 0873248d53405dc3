"""`flask bars`, the commands that correct stored bars and undo imports."""

import getpass
from collections.abc import Sequence
from datetime import UTC, datetime

import click
from rich.table import Table

from cli.common import (
    OneValueCommand,
    echo,
    exits_on_error,
    interval_option,
    json_option,
    keep_listed,
    limit_option,
    print_json,
    print_table,
    use_database,
)
from core.errors import Conflict
from core.naming import count_of, name_some
from market.bars.deleting import delete_bars, rename_bars
from market.intervals import parse_interval
from market.markets import load_markets
from market.tickers import normalize_ticker
from records.database import Db
from records.market.bar_imports import find_import, list_imports
from records.market.documents import SeriesDocument
from records.market.series import find_series, get_series
from records.tenancy import each_tenant
from records.work.runs import find_open_run
from records.work.watchlists import find_holders
from tasks.periodic.fallen_alerts import follow_gone_bars

Day = click.DateTime(["%Y-%m-%d"])


@click.command("split", cls=OneValueCommand)
@click.argument("ticker")
@click.argument("session", type=Day, metavar="SESSION")
@click.argument("factor", type=float)
@interval_option
@json_option
@exits_on_error
def record_split(
    *, ticker: str, session: datetime, factor: float, interval: str, as_json: bool
) -> None:
    """Record a split: FACTOR new shares for each old one, trading first on SESSION (2005-02-28).

    Bars stay stored as they were quoted and are adjusted when read. A factor of 1 removes a split.
    """
    from market.bars.arriving import write_split  # noqa: PLC0415 - loads the numeric stack

    name, checked = normalize_ticker(ticker), parse_interval(interval)
    with use_database() as database:
        now, by = datetime.now(UTC), getpass.getuser()
        written = write_split(database, name, checked, session.date(), factor, now, by=by)
        series = get_series(database, name, checked)
    if as_json:
        print_json(summarize(series))
        return
    known = ", ".join(
        f"{split['factor']:g} for 1 on {split['session']:%Y-%m-%d}" for split in series["splits"]
    )
    said = "" if written.splits else "nothing changed; "
    echo(f"{name} {checked}: {said}known splits: {known or 'none'}; revision {series['revision']}")


@click.command("delete", cls=OneValueCommand)
@click.argument("ticker")
@click.option("--interval", help="Only its bars of this interval.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@exits_on_error
def delete_series(*, ticker: str, interval: str | None, yes: bool, as_json: bool) -> None:
    """Delete the bars of TICKER.

    Its anomalies, models and runs stay, and say that their bars are gone.
    """
    name, checked = normalize_ticker(ticker), parse_interval(interval) if interval else None
    with use_database() as database:
        _refuse_open(database, name, checked)
        if not yes and not as_json:
            found = find_series(database, tickers=[name], interval=checked)
            bars = sum(series["bars"] for series in found)
            click.confirm(f"Delete {count_of(bars, 'bar')} of {name}?", abort=True)
        gone = delete_bars(database, name, checked, datetime.now(UTC), by=getpass.getuser())
        _follow(database, gone)
        holders = _find_holders(database, gone)
    _print_moved(gone, "deleted; anomalies, models and runs stay", holders, as_json=as_json)


@click.command("rename", cls=OneValueCommand)
@click.argument("ticker")
@click.argument("name")
@click.option("--interval", help="Only its bars of this interval.")
@json_option
@exits_on_error
def rename_series(*, ticker: str, name: str, interval: str | None, as_json: bool) -> None:
    """Give the bars of TICKER the name NAME.

    Its anomalies stay with TICKER; the bars of NAME are yet to be scored.
    """
    old, checked = normalize_ticker(ticker), parse_interval(interval) if interval else None
    with use_database() as database:
        new = load_markets(database).spell(name)
        _refuse_open(database, old, checked)
        moved = rename_bars(database, old, new, checked, datetime.now(UTC), by=getpass.getuser())
        _follow(database, moved)
        holders = _find_holders(database, moved)
    _print_moved(
        moved, f"are {new}'s now; detect them: `flask backfill run {new}`", holders, as_json=as_json
    )


@click.command("imports", cls=OneValueCommand)
@click.option("--ticker", help="Only imports with bars of this ticker.")
@limit_option
@json_option
@exits_on_error
def show_imports(*, ticker: str | None, limit: int, as_json: bool) -> None:
    """List the imports that can be undone, the newest first."""
    with use_database() as database:
        found = list_imports(
            database, ticker=normalize_ticker(ticker) if ticker else None, limit=limit + 1
        )
    found = keep_listed(found, limit)
    if as_json:
        print_json(found)
        return
    table = Table("import", "at", "source", "tickers", "new", "changed")
    for one in found:
        table.add_row(
            one["import_id"],
            f"{one['at']:%Y-%m-%d %H:%M}",
            one["source"],
            name_some(sorted(one["tickers"]), 5),
            f"{one['new']:,}",
            f"{one['changed']:,}",
        )
    print_table(table)


@click.command("undo", cls=OneValueCommand)
@click.argument("import_id", metavar="IMPORT")
@json_option
@exits_on_error
def undo(*, import_id: str, as_json: bool) -> None:
    """Undo an import: delete the bars that it added, and restore those that it changed.

    `flask bars imports` lists imports; a file sent over the API is imported under the id of its
    run.
    """
    from market.bars.undoing import undo_import  # noqa: PLC0415 - loads the numeric stack

    with use_database() as database:
        for part in find_import(database, import_id):
            _refuse_open(database, part["ticker"], part["interval"])
        undone = undo_import(database, import_id, datetime.now(UTC), by=getpass.getuser())
        series = [(one.ticker, one.interval) for one in undone]
        follow_gone_bars(database, series, datetime.now(UTC))
    if as_json:
        print_json(undone)
        return
    for one in undone:
        left = f"{one.left:,} bars are left" if one.left else "none are left"
        echo(
            f"{one.ticker} {one.interval}: {count_of(one.removed, 'bar')} gone,"
            f" {one.restored:,} restored; {left}"
        )


def _follow(database: Db, series: list[SeriesDocument]) -> None:
    gone = [(one["ticker"], one["interval"]) for one in series]
    follow_gone_bars(database, gone, datetime.now(UTC))


def _refuse_open(database: Db, ticker: str, interval: str | None) -> None:
    """Raise Conflict where a run that reads these bars has not ended."""
    run_id = find_open_run(database, ticker, interval)
    if run_id is not None:
        raise Conflict(
            f"run {run_id} works on {ticker}; wait for it, or cancel it: `flask runs cancel"
            f" {run_id}`"
        )


def _find_holders(database: Db, series: Sequence[SeriesDocument]) -> list[str]:
    """Return the names of all tenants' watchlists with these series, whose bars are gone."""
    return [
        holder["name"]
        for own in each_tenant(database)
        for one in series
        for holder in find_holders(own, [one["ticker"]], one["interval"])
    ]


def _print_moved(
    found: Sequence[SeriesDocument], what: str, holders: Sequence[str], *, as_json: bool
) -> None:
    if as_json:
        print_json([summarize(series) for series in found])
        return
    for series in found:
        echo(f"{series['bars']:,} {series['interval']} bars of {series['ticker']} {what}")
    if holders:
        named = ", ".join(dict.fromkeys(holders))
        echo(f"watchlists that still hold {found[0]['ticker']}, and find no bars of it: {named}")


def summarize(series: SeriesDocument) -> dict[str, object]:
    """Return a series' document without the fields that only the store needs."""
    return {name: value for name, value in series.items() if name not in {"_id", "digests"}}
