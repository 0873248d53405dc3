"""`flask data`: imports and shows trades, depth and funding."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table

from cli.common import (
    CommandGroup,
    echo,
    exits_on_error,
    json_option,
    keep_listed,
    limit_option,
    print_json,
    print_table,
    use_database,
)
from cli.imports import COUNTS
from core.errors import BadInput, NotFound
from core.settings import get_settings
from core.words import RecordKind, TickKind
from market.intervals import INTERVALS, parse_interval
from market.tickers import normalize_ticker
from market.ticks.arrivals import KINDS, Retention, TickReport, store_records
from market.ticks.candles import add_up
from market.ticks.checks import MESSAGE_REASONS, REASONS
from market.ticks.fields import normalize_venue, to_datetime
from market.ticks.files import FileRecord, read_file
from records.database import Db, Document
from records.migrations import prepare_database
from records.ticks import depth, funding, rejected, trades

group = CommandGroup("data", help="Trades, depth and funding: import them, look at them.")

kind_argument = click.argument("kind", type=click.Choice(KINDS))
# So many records are checked and stored at once.
PART = 5_000
NAMELESS = "the rows do not name ticker and venue: give --ticker BTC-USD and --venue BINANCE"


@group.command("import")
@kind_argument
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--ticker", help="The ticker of rows that do not name one.")
@click.option("--venue", help="The venue of rows that do not name one.")
@json_option
@exits_on_error
def import_data(
    *,
    kind: TickKind,
    paths: tuple[Path, ...],
    ticker: str | None,
    venue: str | None,
    as_json: bool,
) -> None:
    """Import files of KIND: CSV, JSON lines, JSON or Parquet; importing again changes nothing.

    Fields are found by their usual names: time, id, price, amount, side; time, bids, asks,
    sequence; time, rate, mark_price, index_price, next_time, interval_hours; and ticker and venue.
    A row that is not valid is kept aside, and `flask data rejected` shows it.
    """
    retention = Retention.read(get_settings())
    ticker = normalize_ticker(ticker) if ticker else None
    venue = normalize_venue(venue) if venue else None
    totals: dict[tuple[str, str], Counter[str]] = {}
    reasons: Counter[str] = Counter()
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False))
    with (
        use_database() as database,
        Progress(*columns, console=Console(stderr=True), disable=as_json, transient=True) as bar,
    ):
        prepare_database(database, datetime.now(UTC))
        task, read = bar.add_task("reading", total=None), 0
        for path in paths:
            for part in _take_parts(read_file(path, kind), ticker, venue):
                for (of_ticker, at_venue), records in part.items():
                    report = store_records(
                        database,
                        kind,
                        of_ticker,
                        at_venue,
                        records,
                        source=path.name,
                        retention=retention,
                        now=datetime.now(UTC),
                    )
                    _add(totals, reasons, report)
                    read += report.read
                bar.update(task, description=f"{path.name}: {read:,} {kind}")
    _print_report(kind, totals, reasons, as_json=as_json)


def _take_parts(
    rows: Iterator[FileRecord], ticker: str | None, venue: str | None
) -> Iterator[dict[tuple[str, str], list[Any]]]:
    """Yield rows by ticker and venue, a PART of them at a time.

    Raises BadInput where the first row has no ticker or venue; later ones without are rejected.
    """
    is_first = True
    while part := list(islice(rows, PART)):
        of_whom: dict[tuple[str, str], list[Any]] = {}
        for row in part:
            name, place = row.ticker or ticker, row.venue or venue
            if is_first and (name is None or place is None):
                raise BadInput(NAMELESS)
            is_first = False
            of_whom.setdefault((name or "", place or ""), []).append(row.record)
        yield of_whom


def _add(
    totals: dict[tuple[str, str], Counter[str]], reasons: Counter[str], report: TickReport
) -> None:
    counts = totals.setdefault((report.ticker, report.venue), Counter())
    counts.update({name: getattr(report, name) for name in COUNTS})
    reasons.update(one["reason"] for one in report.rejected)


def _print_report(
    kind: str,
    totals: dict[tuple[str, str], Counter[str]],
    reasons: Counter[str],
    *,
    as_json: bool,
) -> None:
    rows = [
        {"ticker": ticker, "venue": venue, **{name: counts[name] for name in COUNTS}}
        for (ticker, venue), counts in totals.items()
    ]
    if as_json:
        print_json({"kind": kind, "series": rows, "reasons": dict(reasons)})
        return
    table = Table("ticker", "venue", *(name.removesuffix("_rows") for name in COUNTS))
    for (ticker, venue), counts in totals.items():
        table.add_row(ticker, venue, *(f"{counts[name]:,}" for name in COUNTS))
    print_table(table)
    for reason, count in reasons.most_common():
        meaning = REASONS.get(reason) or MESSAGE_REASONS[reason]
        echo(f"{count:,} kept aside as {reason}: {meaning}")
    if reasons:
        echo("`flask data rejected` shows them")


@group.command("show")
@kind_argument
@click.argument("ticker")
@click.option("--venue", help="May be left out where only one venue has any.")
@click.option("--bars", help="Sum trades to candles of this interval.")
@limit_option
@json_option
@exits_on_error
def show_data(
    *, kind: TickKind, ticker: str, venue: str | None, bars: str | None, limit: int, as_json: bool
) -> None:
    """Show the latest stored records of TICKER of this KIND, the newest first."""
    name = normalize_ticker(ticker)
    interval = parse_interval(bars) if bars else None
    if interval and kind != "trades":
        raise BadInput(f"--bars sums trades to candles, and cannot sum {kind}")
    with use_database() as database:
        place = _choose_venue(database, kind, name, venue)
        rows = (
            _list_candles(database, name, place, interval, limit + 1)
            if interval
            else _list_records(database, kind, name, place, limit + 1)
        )
    rows = keep_listed(rows, limit)
    if as_json:
        print_json({"kind": kind, "ticker": name, "venue": place, "items": rows})
        return
    echo(f"{kind} of {name} at {place}")
    table = Table(*(rows[0] if rows else ["time"]))
    for row in rows:
        table.add_row(*(_write_cell(value) for value in row.values()))
    print_table(table)


def _choose_venue(database: Db, kind: TickKind, ticker: str, venue: str | None) -> str:
    room: Any = {"trades": trades, "depth": depth, "funding": funding}[kind]
    stored = room.find_venues(database, ticker)
    if venue is None and len(stored) > 1:
        raise BadInput(
            f"{kind} of {ticker} are stored of {', '.join(stored)}: choose one, such as --venue"
            f" {stored[0]}"
        )
    place = normalize_venue(venue) if venue else next(iter(stored), None)
    if place not in stored:
        raise NotFound(
            f"no {kind} of {ticker} are stored{f' of {place}' if place else ''}:"
            f" `flask data import {kind} FILE` stores some"
        )
    return str(place)


def _list_records(
    database: Db, kind: TickKind, ticker: str, venue: str, limit: int
) -> list[Document]:
    if kind == "trades":
        found = trades.find_trades(database, ticker, venue, descending=True)
        return [
            {**trade._asdict(), "time": to_datetime(trade.time)} for trade in islice(found, limit)
        ]
    asked: Any = {"start": None, "end": None, "after": None, "limit": limit, "descending": True}
    if kind == "depth":
        return [
            {
                "time": to_datetime(one["time"]),
                "sequence": one["sequence"],
                "bids": depth.read_levels(one["bids"], 50),
                "asks": depth.read_levels(one["asks"], 50),
            }
            for one in depth.find_depth(database, ticker, venue, **asked)
        ]
    names = ("rate", "mark_price", "index_price", "interval_hours")
    return [
        {"time": to_datetime(one["time"]), **{name: one[name] for name in names}}  # type: ignore[literal-required]
        for one in funding.find_funding(database, ticker, venue, **asked)
    ]


def _list_candles(
    database: Db, ticker: str, venue: str, interval: str, limit: int
) -> list[Document]:
    found = trades.find_trades(database, ticker, venue, descending=True)
    candles = add_up(found, INTERVALS[interval], descending=True)
    return [{**one._asdict(), "time": to_datetime(one.time)} for one in islice(candles, limit)]


def _write_cell(value: object) -> str:
    if isinstance(value, list):
        return "  ".join(f"{price:g} x {amount:g}" for price, amount in value[:3])
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S.%f}"
    return f"{value:.10g}" if isinstance(value, float) else str(value if value is not None else "")


@group.command("rejected")
@click.option("--kind", type=click.Choice([*KINDS, "candles", "message"]))
@click.option("--ticker")
@click.option("--reason", type=click.Choice([*REASONS, *MESSAGE_REASONS]))
@limit_option
@json_option
@exits_on_error
def list_rejected(
    *,
    kind: RecordKind | None,
    ticker: str | None,
    reason: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List the records and messages of the feed that were kept aside, the newest first, and why."""
    with use_database() as database:
        found = rejected.find_rejected_records(
            database,
            kind=kind,
            ticker=normalize_ticker(ticker) if ticker else None,
            reason=reason,
            limit=limit + 1,
        )
    found = keep_listed(found, limit)
    if as_json:
        print_json(found)
        return
    table = Table("kept aside", "kind", "ticker", "venue", "row", "reason", "content")
    for one in found:
        table.add_row(
            f"{one['rejected_at']:%Y-%m-%d %H:%M:%S}",
            *(one["kind"], one["ticker"], one["venue"], str(one["row"])),
            one["reason"] + (f": {one['error']}" if "error" in one else ""),
            one["content"][:100],
        )
    print_table(table)
