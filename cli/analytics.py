"""`flask analytics`: computes and shows metrics of series."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, get_args

import click
from rich.table import Table

from analytics.catalogue import CATEGORIES, METRICS
from analytics.metric import REASONS, Category
from cli.common import (
    CommandGroup,
    exits_on_error,
    interval_option,
    json_option,
    keep_listed,
    print_json,
    print_table,
    use_database,
)
from cli.selecting import build_selection, takes_selection
from cli.watching import print_outcome, say_accepted, watch_run
from core.settings import get_settings
from market.intervals import parse_interval
from market.markets import load_markets
from market.tickers import normalize_ticker
from records.analytics.overview import SORTS, find_overview
from records.analytics.snapshots import get_snapshot
from records.database import Document
from tasks.process.broker import build_celery
from tasks.requests.analytics import MOST_BARS, request_analytics

group = CommandGroup("analytics", help="Metrics and regimes of series: compute, show, list.")


@group.command("run")
@takes_selection
@click.option(
    "--bars",
    default=1,
    show_default=True,
    help=f"For so many of each series' last bars, {MOST_BARS:,} at most.",
)
@json_option
@exits_on_error
def run_analytics(
    *,
    tickers: tuple[str, ...],
    market: str | None,
    interval: str,
    bars: int,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Compute the metrics of series as of their last bar; with --bars also as of bars before it."""
    interval = parse_interval(interval)
    with use_database() as database:
        selection = build_selection(database, tickers, market)
        celery = build_celery(get_settings())
        runs = request_analytics(
            database, celery, selection, interval=interval, bars=bars, now=datetime.now(UTC)
        )
        if no_wait and as_json:
            print_json(runs)
            return
        if no_wait:
            for run in runs:
                say_accepted(run)
            return
        ended = [watch_run(database, run["_id"], quiet=as_json) for run in runs]
        if as_json:
            print_json(ended)
        for shown in [] if as_json else ended:
            print_outcome(shown)
        if any(shown["status"] != "complete" for shown in ended):
            raise click.exceptions.Exit(1)


@group.command("show")
@click.argument("ticker")
@interval_option
@click.option("--category", type=click.Choice(CATEGORIES), help="Only these metrics.")
@click.option(
    "--as-of", "as_of", type=click.DateTime(), help="The last bar at or before this time (UTC)."
)
@json_option
@exits_on_error
def show_analytics(
    *, ticker: str, interval: str, category: str | None, as_of: datetime | None, as_json: bool
) -> None:
    """Show all metrics of a series as of its last bar."""
    when = as_of.replace(tzinfo=UTC) if as_of is not None else None
    with use_database() as database:
        found = get_snapshot(database, normalize_ticker(ticker), parse_interval(interval), when)
    if as_json:
        print_json(found)
        return
    chosen = get_args(Category) if category is None else (category,)
    caption = (
        f"as of {found['time']:%Y-%m-%d %H:%M}Z, {found['bars_used']:,} bars,"
        f" {100 * found['completeness']:.1f} % of them there, {found['bars_per_year']:.0f} a year,"
        f" {found['set']}"
    )
    table = Table(
        "metric", "value", "unit", title=f"{found['ticker']} {found['interval']}", caption=caption
    )
    for metric in METRICS:
        if metric.scope == "set" or metric.category not in chosen:
            continue
        value = found["values"].get(metric.name)
        shown = (
            _explain(found["missing"].get(metric.name, {}))
            if value is None
            else "; ".join(_write(value))
        )
        table.add_row(metric.name, shown, metric.unit)
    print_table(table)


@group.command("list")
@click.option("--market", default="US", show_default=True, help="US, JP, CRYPTO, ...")
@interval_option
@click.option(
    "--sort", "sort_by", type=click.Choice(list(SORTS)), default="ticker", show_default=True
)
@click.option("--descending", is_flag=True, help="The greatest first.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@json_option
@exits_on_error
def list_analytics(
    *, market: str, interval: str, sort_by: str, descending: bool, limit: int, as_json: bool
) -> None:
    """List a market's series with what their last bar shows."""
    with use_database() as database:
        code = load_markets(database).choose(market).code
        found = find_overview(
            database,
            parse_interval(interval),
            market=code,
            sort_by=sort_by,
            descending=descending,
            limit=limit + 1,
        )
    found = keep_listed(found, limit)
    if as_json:
        print_json(found)
        return
    names = (
        "ticker",
        "close",
        "1 bar",
        "volatility",
        "volume",
        "trend",
        "crossover",
        "regime",
        "grade",
        "as of",
    )
    table = Table(*names, title=f"{code} {interval}")
    for row in found:
        table.add_row(
            row["ticker"],
            f"{row['close']:.6g}",
            _percent(row["return_1"], 100.0),
            _percent(row["annualized_volatility"], 100.0),
            _number(row["volume_spike_ratio"]),
            _percent(row["rate_of_change"], 1.0),
            row["crossover"] or "-",
            row["regime"] or "-",
            _number(row["anomaly_grade"]),
            f"{row['as_of']:%Y-%m-%d %H:%M}",
        )
    print_table(table)


def _explain(missing: Document) -> str:
    """Return why there is no value."""
    if "reason" in missing:
        return f"- ({REASONS[missing['reason']]})"
    return (
        f"- (needs {missing.get('needed', '?')} {missing.get('of', 'bars')}, has"
        f" {missing.get('have', '?')})"
    )


def _write(value: Any, name: str = "") -> Iterator[str]:
    """Yield the parts of a value as text, each after its path."""
    label = f"{name} " if name else ""
    if isinstance(value, dict):
        for part, inner in value.items():
            yield from _write(inner, f"{name} {part}".strip())
    elif isinstance(value, list):
        for number, inner in enumerate(value, 1):
            yield from _write(inner, f"{name} {number}".strip())
    elif isinstance(value, float):
        yield f"{label}{value:.6g}"
    else:
        yield f"{label}{'-' if value is None else value}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _percent(value: float | None, scale: float) -> str:
    return "-" if value is None else f"{scale * value:+.2f} %"
