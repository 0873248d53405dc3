"""Bars, from the command line: getting them in, and looking at what is stored."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.table import Table

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
from cli.imports import finish_import, show_progress
from core.errors import Conflict
from market.bars.deleting import delete_bars, rename_bars
from market.bars.quality import RULES, find_quality
from market.bars.reading import read_bars
from market.imports.noting import note_import
from market.imports.options import LABELS, build_options
from market.imports.readers.process import open_reader
from market.imports.rejection import REASONS
from market.intervals import INTERVALS, parse_import_interval, parse_interval, parse_period
from market.markets import load_markets
from market.tickers import normalize_ticker
from records.database import Db
from records.market.bar_imports import find_import, list_imports
from records.market.documents import RevisionDocument, SeriesDocument
from records.market.rejected import find_rejected
from records.market.revisions import find_revisions
from records.market.series import find_series, get_series
from records.migrations import prepare_database
from records.work.runs import find_open_run
from tasks.periodic.fallen_alerts import follow_gone_bars

group = CommandGroup("bars", help="Bars of tickers: import them, look at them, correct them.")

interval_option = click.option(
    "--interval", default="1d", show_default=True, help=" ".join(INTERVALS)
)
limit_option = click.option(
    "--limit", type=click.IntRange(1, 100_000), default=20, show_default=True
)
Day = click.DateTime(["%Y-%m-%d"])


@group.command("import")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--interval", default="1d", show_default=True, help=f"{' '.join(INTERVALS)}, or auto."
)
@click.option(
    "--ticker", help="Whose bars a table without a ticker column holds; else the only one to take."
)
@click.option(
    "--market",
    help="Of which all its tickers are (US, JP, CRYPTO, ...); by default as each of them looks.",
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="FIELD=NAME",
    help="Which column is which: close=PX_LAST, close=5.",
)
@click.option(
    "--decimal", help="What parts decimals where the numbers leave it open: point or comma."
)
@click.option("--thousands", help="What parts thousands: comma, point, space, apostrophe or none.")
@click.option(
    "--timezone", help="Zone of times without one (UTC, Europe/Athens); else the exchange's."
)
@click.option(
    "--day-first/--month-first", default=None, help="What 03/04/2024 is, where no row settles it."
)
@click.option(
    "--labels",
    type=click.Choice(list(LABELS)),
    help="What the time of an intraday bar is: its start (by default) or its end.",
)
@click.option("--dry-run", is_flag=True, help="Read and check everything, and store nothing.")
@json_option
@exits_on_error
def import_bars(
    *,
    paths: tuple[Path, ...],
    interval: str,
    ticker: str | None,
    market: str | None,
    dry_run: bool,
    as_json: bool,
    **reading: Any,
) -> None:
    """Import CSV, Excel, Parquet and JSON files, .zip files or folders of them;
    importing again changes nothing.

    Columns are matched by their usual names in any case and several languages: a time (time, date,
    timestamp), open, high, low, close, and optionally volume, ticker (or symbol) and split (new
    shares for each old one, on the first session they trade). Others are named with --column.
    Without a ticker column a file is one ticker, named like the file. Times without a zone are the
    exchange's. What can be read two ways is refused, with the option that settles it.
    """
    checked = parse_import_interval(interval)
    options = build_options(**reading)
    with (
        open_reader() as reader,
        use_database() as database,
        show_progress(quiet=as_json) as on_series,
    ):
        reader.warm_up()  # it loads what it needs while we do
        from market.imports.bulk import import_files  # noqa: PLC0415 - loads the numeric stack
        from market.imports.importing import Request  # noqa: PLC0415 - the same

        prepare_database(database, datetime.now(UTC))
        now, source = datetime.now(UTC), ", ".join(map(str, paths))
        markets = load_markets(database)
        of_market = markets.choose(market) if market else None
        wanted = ticker or None
        if wanted:
            wanted = markets.complete(wanted, of_market) if of_market else markets.spell(wanted)
        request = Request(
            checked, source, now, wanted, of_market, dry_run=dry_run, on_series=on_series
        )
        report = import_files(database, paths, request, reader, options=options)
        note_import(database, report, now)
    finish_import(report, as_json=as_json)


@group.command("demo")
@json_option
@exits_on_error
def import_demo_bars(*, as_json: bool) -> None:
    """Import the demo's real daily bars: five stocks 2000-2013 and two indices 1999-2018."""
    from market.imports.bulk import import_demo  # noqa: PLC0415 - loads the numeric stack

    with use_database() as database, show_progress(quiet=as_json) as on_series:
        prepare_database(database, datetime.now(UTC))
        now = datetime.now(UTC)
        report = import_demo(database, now=now, on_series=on_series)
        note_import(database, report, now)
    finish_import(report, as_json=as_json)


@group.command("yahoo")
@click.argument("tickers", nargs=-1, required=True)
@click.option("--period", default="5y", show_default=True, help="30d, 6mo, 5y or max")
@interval_option
@json_option
@exits_on_error
def import_yahoo_bars(
    *, tickers: tuple[str, ...], period: str, interval: str, as_json: bool
) -> None:
    """Import bars from Yahoo, by the optional package yfinance."""
    from market.imports.bulk import import_yahoo  # noqa: PLC0415 - loads the numeric stack
    from market.imports.sources.yahoo import Yahoo, build_fetch  # noqa: PLC0415 - the same

    wanted = list(dict.fromkeys(normalize_ticker(ticker) for ticker in tickers))
    checked, back = parse_interval(interval), parse_period(period).text
    yahoo = Yahoo(build_fetch())
    with use_database() as database, show_progress(quiet=as_json) as on_series:
        prepare_database(database, datetime.now(UTC))
        now = datetime.now(UTC)
        report = import_yahoo(
            database, yahoo, wanted, period=back, interval=checked, now=now, on_series=on_series
        )
        note_import(database, report, now)
    finish_import(report, as_json=as_json)


@group.command("split")
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

    Bars stay stored as they were quoted and are adjusted when read. A factor of 1 takes a split
    back.
    """
    from market.bars.writing import write_split  # noqa: PLC0415 - loads the numeric stack

    name, checked = normalize_ticker(ticker), parse_interval(interval)
    with use_database() as database:
        written = write_split(database, name, checked, session.date(), factor, datetime.now(UTC))
        series = get_series(database, name, checked)
    if as_json:
        print_json(_summarize(series))
        return
    known = ", ".join(
        f"{split['factor']:g} for 1 on {split['session']:%Y-%m-%d}" for split in series["splits"]
    )
    said = "" if written.splits else "nothing changed; "
    echo(f"{name} {checked}: {said}known splits: {known or 'none'}; revision {series['revision']}")


@group.command("delete")
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
            click.confirm(f"Delete {bars:,} bars of {name}?", abort=True)
        gone = delete_bars(database, name, checked, datetime.now(UTC))
        _follow(database, gone)
    _print_moved(gone, "deleted; anomalies, models and runs stay", as_json=as_json)


@group.command("rename")
@click.argument("ticker")
@click.argument("name")
@click.option("--interval", help="Only its bars of this interval.")
@json_option
@exits_on_error
def rename_series(*, ticker: str, name: str, interval: str | None, as_json: bool) -> None:
    """Have the bars of TICKER be those of NAME.

    What was found stays with TICKER; NAME is yet to be detected.
    """
    old, checked = normalize_ticker(ticker), parse_interval(interval) if interval else None
    with use_database() as database:
        new = load_markets(database).spell(name)
        _refuse_open(database, old, checked)
        moved = rename_bars(database, old, new, checked, datetime.now(UTC))
        _follow(database, moved)
    _print_moved(
        moved, f"are {new}'s now; detect them: `flask backfill run {new}`", as_json=as_json
    )


@group.command("imports")
@click.option("--ticker", help="Only those that brought bars of it.")
@limit_option
@json_option
@exits_on_error
def show_imports(*, ticker: str | None, limit: int, as_json: bool) -> None:
    """List the imports that can be taken back, the newest first."""
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
        tickers = sorted(one["tickers"])
        more = f" and {len(tickers) - 5} more" if len(tickers) > 5 else ""
        table.add_row(
            one["import_id"],
            f"{one['at']:%Y-%m-%d %H:%M}",
            one["source"],
            ", ".join(tickers[:5]) + more,
            f"{one['new']:,}",
            f"{one['changed']:,}",
        )
    print_table(table)


@group.command("undo")
@click.argument("import_id", metavar="IMPORT")
@json_option
@exits_on_error
def undo(*, import_id: str, as_json: bool) -> None:
    """Take an import back: bars that it brought go, and those that it changed are what they were.

    `flask bars imports` lists them; a file sent over the API is imported under the id of its run.
    """
    from market.bars.undoing import undo_import  # noqa: PLC0415 - loads the numeric stack

    with use_database() as database:
        for part in find_import(database, import_id):
            _refuse_open(database, part["ticker"], part["interval"])
        undone = undo_import(database, import_id, datetime.now(UTC))
        series = [(one.ticker, one.interval) for one in undone]
        follow_gone_bars(database, series, datetime.now(UTC))
    if as_json:
        print_json(undone)
        return
    for one in undone:
        left = f"{one.left:,} bars are left" if one.left else "none are left"
        echo(
            f"{one.ticker} {one.interval}: {one.removed:,} bars gone, {one.restored:,} restored;"
            f" {left}"
        )


def _follow(database: Db, series: list[SeriesDocument]) -> None:
    gone = [(one["ticker"], one["interval"]) for one in series]
    follow_gone_bars(database, gone, datetime.now(UTC))


def _refuse_open(database: Db, ticker: str, interval: str | None) -> None:
    """Raise Conflict where a run that looks at these bars goes on."""
    run_id = find_open_run(database, ticker, interval)
    if run_id is not None:
        raise Conflict(
            f"run {run_id} looks at {ticker}; wait for it, or cancel it: `flask runs cancel"
            f" {run_id}`"
        )


def _print_moved(found: Sequence[SeriesDocument], what: str, *, as_json: bool) -> None:
    if as_json:
        print_json([_summarize(series) for series in found])
        return
    for series in found:
        echo(f"{series['bars']:,} {series['interval']} bars of {series['ticker']} {what}")


@group.command("list")
@click.option("--market", help="Only of this one: US, JP, CRYPTO, ...")
@click.option("--interval", help=" ".join(INTERVALS))
@json_option
@exits_on_error
def list_series(*, market: str | None, interval: str | None, as_json: bool) -> None:
    """List the stored series."""
    checked = parse_interval(interval) if interval else None
    with use_database() as database:
        code = load_markets(database).choose(market).code if market else None
        found = find_series(database, market=code, interval=checked)
    if as_json:
        print_json([_summarize(series) for series in found])
        return
    table = Table("ticker", "interval", "market", "bars", "first", "last", "revision", "source")
    for series in found:
        table.add_row(
            series["ticker"],
            series["interval"],
            series["market"],
            f"{series['bars']:,}",
            f"{series['first_bar']:%Y-%m-%d}",
            f"{series['last_bar']:%Y-%m-%d}",
            str(series["revision"]),
            series["source"],
        )
    print_table(table)
    if not found:
        echo("no bars are stored: `flask bars import FILE` or `flask bars demo` brings some")


@group.command("show")
@click.argument("ticker")
@interval_option
@click.option("--start", type=Day)
@click.option("--end", type=Day)
@limit_option
@json_option
@exits_on_error
def show_bars(
    *,
    ticker: str,
    interval: str,
    start: datetime | None,
    end: datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """Show a series and its last bars from --start to --end, adjusted for known splits."""
    name, checked = normalize_ticker(ticker), parse_interval(interval)
    bounds = [moment.replace(tzinfo=UTC) if moment else None for moment in (start, end)]
    with use_database() as database:
        series = get_series(database, name, checked)
        bars = read_bars(database, name, checked, start=bounds[0], end=bounds[1], limit=limit + 1)
    bars = keep_listed(bars[::-1], limit)[::-1]
    if as_json:
        rows = [bar._asdict() | {"time": datetime.fromtimestamp(bar.time, UTC)} for bar in bars]
        print_json(_summarize(series) | {"candles": rows})
        return
    label = "synthetic, " if series["synthetic"] else ""
    echo(f"{name} {checked}: {label}{series['bars']:,} bars, revision {series['revision']}")
    table = Table("time (UTC)", "open", "high", "low", "close", "volume")
    for bar in bars:
        prices = (f"{price:g}" for price in (bar.open, bar.high, bar.low, bar.close))
        table.add_row(
            f"{datetime.fromtimestamp(bar.time, UTC):%Y-%m-%d %H:%M}", *prices, f"{bar.volume:,.0f}"
        )
    print_table(table)


@group.command("rejected")
@click.option("--ticker")
@click.option("--interval", help=" ".join(INTERVALS))
@click.option("--reason", type=click.Choice(list(REASONS)))
@limit_option
@json_option
@exits_on_error
def list_rejected(
    *, ticker: str | None, interval: str | None, reason: str | None, limit: int, as_json: bool
) -> None:
    """List rows that imports kept aside, the newest first, and why."""
    name = normalize_ticker(ticker) if ticker else None
    checked = parse_interval(interval) if interval else None
    with use_database() as database:
        found = find_rejected(
            database, ticker=name, interval=checked, reason=reason, limit=limit + 1
        )
    found = keep_listed(found, limit)
    if as_json:
        print_json(found)
        return
    table = Table("series", "time", "reason", "values", "source", "row")
    for row in found:
        values = " ".join(f"{column}={value}" for column, value in row["values"].items())
        series = f"{row['ticker']} {row['interval']}"
        table.add_row(series, row["time"], row["reason"], values, row["source"], str(row["row"]))
    print_table(table)
    for code in sorted({row["reason"] for row in found}):
        echo(f"{code}: {REASONS[code]}")


@group.command("quality")
@click.option("--ticker")
@click.option("--market", help="Only of this one: US, JP, CRYPTO, ...")
@click.option("--interval", help=" ".join(INTERVALS))
@limit_option
@json_option
@exits_on_error
def show_quality(
    *, ticker: str | None, market: str | None, interval: str | None, limit: int, as_json: bool
) -> None:
    """Say how good the stored bars of each series are, the worst first."""
    with use_database() as database:
        markets = load_markets(database)
        found = find_quality(
            database,
            markets,
            datetime.now(UTC),
            market=markets.choose(market).code if market else None,
            interval=parse_interval(interval) if interval else None,
            ticker=normalize_ticker(ticker) if ticker else None,
            limit=limit + 1,
        )
    found = keep_listed(found, limit)
    if as_json:
        print_json([{k: v for k, v in one.items() if k != "_id"} for one in found])
        return
    table = Table("series", "score", "what takes points off")
    for one in found:
        reasons = sorted(one["deductions"].items(), key=lambda item: -item[1])
        table.add_row(
            f"{one['ticker']} {one['interval']}",
            f"{one['score']:.1f}",
            ", ".join(
                f"{name} {one['figures'][name]:.4g} (-{points:.4g})" for name, points in reasons
            ),
        )
    print_table(table)
    echo("the score is 100 less, for each figure:")
    for rule in RULES:
        echo(f"  {rule.figure} x {rule.points:g}, at most {rule.most:g}: {rule.counts}")


@group.command("revisions")
@click.option("--ticker")
@click.option("--interval", help=" ".join(INTERVALS))
@limit_option
@json_option
@exits_on_error
def list_revisions(*, ticker: str | None, interval: str | None, limit: int, as_json: bool) -> None:
    """List what changed behind the last bar of series, the newest first: corrections,
    late bars, splits.
    """
    name = normalize_ticker(ticker) if ticker else None
    checked = parse_interval(interval) if interval else None
    with use_database() as database:
        found = find_revisions(database, ticker=name, interval=checked, limit=limit + 1)
    found = keep_listed(found, limit)
    if as_json:
        print_json(found)
        return
    table = Table(
        "series", "revision", "kind", "first touched", "last touched", "what", "source", "at"
    )
    for revision in found:
        table.add_row(
            f"{revision['ticker']} {revision['interval']}",
            str(revision["revision"]),
            revision["kind"],
            f"{revision['first']:%Y-%m-%d %H:%M}",
            f"{revision['last']:%Y-%m-%d %H:%M}",
            _describe(revision),
            revision["source"],
            f"{revision['at']:%Y-%m-%d %H:%M}",
        )
    print_table(table)


def _describe(revision: RevisionDocument) -> str:
    old, new = revision.get("old"), revision.get("new")
    if revision["kind"] == "changed" and isinstance(old, dict) and isinstance(new, dict):
        return ", ".join(
            f"{name} {old[name]} -> {new[name]}" for name in old if old[name] != new[name]
        )
    if revision["kind"] in {"deleted", "renamed", "undone"}:
        return f"{revision['bars']:,} bars gone"
    if revision["kind"] == "split":
        return f"{revision['session']:%Y-%m-%d}: {old:g} -> {new:g} for 1"
    return f"{revision['bars']:,} bars"


def _summarize(series: SeriesDocument) -> dict[str, object]:
    """Return a series' document without what only the store needs."""
    return {name: value for name, value in series.items() if name not in {"_id", "digests"}}
