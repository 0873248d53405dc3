"""`flask bars`: shows stored bars; its other commands are in bar_imports.py and bar_changes.py."""

from datetime import UTC, datetime

import click
from rich.table import Table

from cli.bar_changes import (
    Day,
    delete_series,
    record_split,
    rename_series,
    show_imports,
    summarize,
    undo,
)
from cli.bar_imports import import_bars, import_demo_bars, import_yahoo_bars
from cli.common import (
    CommandGroup,
    echo,
    exits_on_error,
    interval_option,
    json_option,
    keep_listed,
    limit_option,
    market_option,
    print_json,
    print_table,
    use_database,
)
from core.moments import check_order
from core.naming import count_of
from market.bars.quality import RULES, find_quality
from market.bars.reading import read_bars
from market.imports.rejection import REASONS
from market.intervals import INTERVALS, parse_interval
from market.markets import load_markets
from market.tickers import normalize_ticker
from records.market.documents import RevisionDocument
from records.market.rejected import find_rejected
from records.market.revisions import REMOVALS, find_revisions
from records.market.series import find_series, get_series

group = CommandGroup("bars", help="Bars of tickers: import them, look at them, correct them.")
group.add_command(import_bars)
group.add_command(import_demo_bars)
group.add_command(import_yahoo_bars)
group.add_command(record_split)
group.add_command(delete_series)
group.add_command(rename_series)
group.add_command(show_imports)
group.add_command(undo)


@group.command("list")
@market_option
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
        print_json([summarize(series) for series in found])
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
        echo("no bars are stored: `flask bars import FILE` or `flask bars demo` stores some")


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
    check_order(start, end)
    bounds = [moment.replace(tzinfo=UTC) if moment else None for moment in (start, end)]
    with use_database() as database:
        series = get_series(database, name, checked)
        bars = read_bars(database, name, checked, start=bounds[0], end=bounds[1], limit=limit + 1)
    bars = keep_listed(bars[::-1], limit)[::-1]
    if as_json:
        rows = [bar._asdict() | {"time": datetime.fromtimestamp(bar.time, UTC)} for bar in bars]
        print_json(summarize(series) | {"candles": rows})
        return
    label = "synthetic, " if series["synthetic"] else ""
    held = count_of(series["bars"], "bar")
    echo(f"{name} {checked}: {label}{held}, revision {series['revision']}")
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
    """List the rows that imports rejected, the newest first, and why."""
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
@market_option
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
    """List what changed at or before the last bar of series, the newest first: corrections, late
    bars, splits.
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
    if revision["kind"] in REMOVALS:
        return f"{count_of(revision['bars'], 'bar')} gone"
    if revision["kind"] == "split":
        return f"{revision['session']:%Y-%m-%d}: {old:g} -> {new:g} for 1"
    return count_of(revision["bars"], "bar")
