"""`flask anomalies`: lists anomalies."""

from datetime import UTC, datetime
from typing import get_args

import click
from rich.table import Table

from cli.common import (
    CommandGroup,
    NumberRange,
    exits_on_error,
    json_option,
    keep_listed,
    market_option,
    print_json,
    print_table,
    use_database,
)
from core.grades import write_grade
from core.moments import check_order
from core.words import AnomalyKind, Severity
from market.intervals import parse_interval
from market.markets import load_markets
from market.tickers import normalize_ticker
from records.findings.anomaly_queries import build_query, find_anomalies

group = CommandGroup("anomalies", help="Anomalies: strange bars, whoever looks at them.")

DAY = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])


@group.command("list")
@click.option("--ticker", "tickers", multiple=True, help="Only of these; may be repeated.")
@market_option
@click.option("--interval", default=None, help="Only of bars of this length.")
@click.option("--severity", type=click.Choice(get_args(Severity)))
@click.option("--min-grade", type=NumberRange(0, 100))
@click.option(
    "--min-confidence",
    type=NumberRange(0, 1),
    help="Only anomalies of at least this confidence; 0 also shows those without one.",
)
@click.option("--kind", type=click.Choice(get_args(AnomalyKind)), help="Only events, or faults.")
@click.option("--start", type=DAY, help="First bar, UTC.")
@click.option("--end", type=DAY, help="Last bar, UTC.")
@click.option("--strangest", is_flag=True, help="The strangest first; by default the latest.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
@json_option
@exits_on_error
def list_anomalies(
    *,
    tickers: tuple[str, ...],
    market: str | None,
    interval: str | None,
    severity: Severity | None,
    min_grade: float | None,
    min_confidence: float | None,
    kind: AnomalyKind | None,
    start: datetime | None,
    end: datetime | None,
    strangest: bool,
    limit: int,
    as_json: bool,
) -> None:
    """List anomalies with their reasons, without superseded ones and those whose bars are gone."""
    check_order(start, end)
    with use_database() as database:
        query = build_query(
            tickers=[normalize_ticker(ticker) for ticker in tickers] or None,
            market=load_markets(database).choose(market).code if market else None,
            interval=parse_interval(interval) if interval else None,
            severity=severity,
            min_grade=min_grade,
            min_confidence=min_confidence,
            kind=kind,
            start=start.replace(tzinfo=UTC) if start else None,
            end=end.replace(tzinfo=UTC) if end else None,
        )
        sort = "-grade" if strangest else "-Datetime"
        found = find_anomalies(database, query, sort=sort, limit=limit + 1)
    found = keep_listed(found, limit)
    if as_json:
        print_json(found)
        return
    table = Table("anomaly", "kind", "severity", "grade", "reasons")
    for anomaly in found:
        table.add_row(
            anomaly["_id"],
            anomaly["kind"],
            anomaly["severity"],
            write_grade(anomaly["grade"]),
            "; ".join(anomaly["reasons"]),
        )
    print_table(table)
