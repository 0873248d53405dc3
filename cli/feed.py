"""`flask feed`: sends files into the feed, and shows how far it was stored."""

import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table

from cli.common import (
    CommandGroup,
    NumberRange,
    echo,
    exits_on_error,
    json_option,
    print_json,
    print_table,
    use_database,
)
from cli.data import NAMELESS
from core.errors import BadInput, ServerUnreachable
from core.settings import Settings, get_settings
from core.words import DataKind
from feed.bus import BUS_ERRORS, MOST_WAITING, STREAMS
from feed.messages import KINDS
from feed.opening import open_bus
from feed.producing import Producer, Whose, group_records
from market.intervals import parse_interval
from market.tickers import normalize_ticker
from market.ticks.fields import normalize_venue
from market.ticks.files import read_file
from records.database import hide_credentials
from records.ticks.positions import find_positions, find_seqs

group = CommandGroup("feed", help="The feed: send files into it, see how far it was stored.")


@group.command("publish")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--kind", type=click.Choice(KINDS), default="trades", show_default=True)
@click.option("--ticker", help="The ticker of rows that do not name one.")
@click.option("--venue", help="The venue of rows that do not name one; candles have none.")
@click.option(
    "--interval",
    default="1m",
    show_default=True,
    help="The interval of candles that do not name one.",
)
@click.option(
    "--producer",
    help="The name of the sender, whose messages are numbered; nobody else may use it.",
)
@click.option("--speed", type=NumberRange(min=1), help="At most so many records a second.")
@click.option(
    "--most-waiting",
    type=click.IntRange(min=1),
    default=MOST_WAITING,
    show_default=True,
    help="So many messages may wait in a stream; with more, this command waits.",
)
@json_option
@exits_on_error
def publish(
    *,
    path: Path,
    kind: DataKind,
    ticker: str | None,
    venue: str | None,
    interval: str,
    producer: str | None,
    speed: float | None,
    most_waiting: int,
    as_json: bool,
) -> None:
    """Send the rows of a file (CSV, JSON lines, JSON, Parquet) into the feed.

    It waits while more than --most-waiting messages wait there, or Redis is full. A file that is
    sent again is stored once. Rows that are not valid are sent, too: they are kept aside with the
    reason (`flask data rejected`).
    """
    settings = get_settings()
    named = Whose(
        normalize_ticker(ticker) if ticker else None,
        normalize_venue(venue) if venue else None,
        parse_interval(interval),
    )
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False))
    bus = open_bus(settings)
    sent, started = 0, time.monotonic()
    with (
        use_database() as database,
        Progress(*columns, console=Console(stderr=True), disable=as_json, transient=True) as bar,
    ):
        task = bar.add_task("reading", total=None)

        def say_waiting() -> None:
            bar.update(task, description=f"{sent:,} {kind} sent; waiting for the consumer")

        sender = Producer(
            bus,
            producer,
            find_seqs(database, producer) if producer else {},
            most_waiting=most_waiting,
            on_wait=say_waiting,
        )
        size = 5_000 if speed is None else max(1, min(5_000, int(speed / 10)))
        try:
            for grouped in group_records(read_file(path, kind), size=size):
                for whose, records in grouped.items():
                    name, others = _name(kind, whose, named, is_first=not sent)
                    sender.send(kind, name, records, **others)
                    sent += len(records)
                bar.update(task, description=f"{sent:,} {kind} sent")
                if speed is not None:
                    time.sleep(max(0.0, started + sent / speed - time.monotonic()))
        except BUS_ERRORS as error:
            raise _explain(settings, error) from error
        finally:
            bus.close()
    if as_json:
        print_json({"kind": kind, "sent": sent})
        return
    echo(f"{sent:,} {kind} sent; `flask feed status` says how far they were stored")


def _name(
    kind: DataKind, said: Whose, named: Whose, *, is_first: bool
) -> tuple[str, dict[str, str]]:
    """Return the normalized ticker of rows, and their interval (candles) or venue.

    What the rows say counts before what the options name. Raises BadInput where neither names the
    ticker and venue of the first rows.
    """
    ticker, venue, interval = (own or other or "" for own, other in zip(said, named, strict=True))
    if is_first and not (ticker and (venue or kind == "candles")):
        raise BadInput(NAMELESS)
    with suppress(BadInput):  # The consumer rejects these rows; the rows of others are stored.
        ticker = normalize_ticker(ticker)
    return ticker, {"interval": interval} if kind == "candles" else {"venue": venue}


@group.command("status")
@json_option
@exits_on_error
def show_status(*, as_json: bool) -> None:
    """Show how far each stream was stored, by whom, and how much waits."""
    settings = get_settings()
    bus = open_bus(settings)
    with use_database() as database:
        positions = {one["_id"]: one for one in find_positions(database)}
    try:
        waiting = {stream: bus.count(stream) for stream in positions or STREAMS}
    except BUS_ERRORS as error:
        raise _explain(settings, error) from error
    finally:
        bus.close()
    if as_json:
        print_json([one | {"waiting_now": waiting[name]} for name, one in positions.items()])
        return
    if not positions:
        echo("nothing was stored yet: the process `feed` has not run here (`make up` starts it)")
        return
    names = ("waiting", "stored", "aside", "doubles", "missing", "runs", "consumer", "seen")
    table = Table("stream", *names)
    for stream, one in positions.items():
        seen = one["seen_at"]
        age = (datetime.now(UTC) - seen).total_seconds() if seen else None
        table.add_row(
            stream,
            f"{waiting.get(stream, 0):,}",
            f"{one['records'] - one['rejected']:,}",
            f"{one['rejected']:,}",
            f"{one['doubles']:,}",
            f"{one.get('missing', 0):,}",
            f"{one['runs']:,}",
            one["owner"] or "nobody",
            "never" if age is None else f"{age:.0f} s ago",
        )
    print_table(table)
    if any(one["rejected"] for one in positions.values()):
        echo(
            "`flask data rejected` lists what was kept aside, and `flask bars rejected` the candles"
            " among it"
        )
    if any(one.get("missing") for one in positions.values()):
        echo("missing: producers' messages that never came, as the bus lost them")
    for stream, one in positions.items():
        for name, last in one["producers"].items():
            echo(f"{stream}: {name} is stored up to {last['seq']:,}")


def _explain(settings: Settings, error: Exception) -> ServerUnreachable:
    if isinstance(error, ServerUnreachable):  # NATS's error names its URL and the fault already.
        return error
    url = hide_credentials(settings.feed_url or settings.redis_url)
    return ServerUnreachable(
        f"the feed's bus at {url} did not answer: {str(error)[:200]}. Start it (`make up` brings"
        " one) or correct REDIS_URL (or FEED_URL)."
    )
