"""A day seen across its market: how many tickers were flagged, and of which sectors they are."""

from collections.abc import Collection
from datetime import date, datetime, timedelta
from typing import Any, TypedDict

from alerts.conditions import find_market_conditions
from alerts.groups import load_graph
from core.words import AnomalyKind, MoveScope, Severity
from records.database import Db
from records.findings.anomaly_queries import build_query, find_flagged, find_next_time
from records.market.series import find_reaching

DAY = timedelta(days=1)
LISTED_TICKERS = 500


class SectorDay(TypedDict):
    """How many of a sector's tickers were flagged, and which; a sector of None is nobody's."""

    sector: str | None
    flagged: int
    of: int
    tickers: list[str]


class FlaggedDay(TypedDict):
    """What a market's tickers did on a day.

    Attributes:
        flagged: the number of tickers with an anomaly on the day.
        of: the number of tickers whose bars reach over the day.
        by_sector: the sectors, the one with the largest share first, tickers without a sector last.
        previous, next: the nearest days on which a ticker was flagged.
        conditions: the market's conditions on the day, as far as they were computed.
    """

    market: str
    interval: str
    day: date
    flagged: int
    of: int
    by_sector: list[SectorDay]
    previous: date | None
    next: date | None
    conditions: dict[str, Any] | None


def find_flagged_day(
    database: Db,
    market: str,
    interval: str,
    day: datetime,
    *,
    tickers: Collection[str] | None = None,
    severity: Severity | None = None,
    kind: AnomalyKind | None = None,
    scope: MoveScope | None = None,
) -> FlaggedDay:
    """Return what a market's tickers, or these of them, did on a day that begins at `day` (UTC)."""
    filters = {"market": market, "interval": interval, "severity": severity, "kind": kind}
    asked: dict[str, Any] = {**filters, "scope": scope}
    if tickers is not None:
        asked["tickers"] = list(tickers)
    last = day + DAY - timedelta(milliseconds=1)
    flagged = set(find_flagged(database, build_query(**asked, start=day, end=last)))
    reaching = set(find_reaching(database, market, interval, day, last))
    there = reaching if tickers is None else reaching & set(tickers)
    before = build_query(**asked, end=day - timedelta(milliseconds=1))
    after = build_query(**asked, start=day + DAY)
    return {
        "market": market,
        "interval": interval,
        "day": day.date(),
        "flagged": len(flagged),
        "of": len(there),
        "by_sector": _count_by_sector(database, there, flagged),
        "previous": _date(find_next_time(database, before, latest=True)),
        "next": _date(find_next_time(database, after, latest=False)),
        "conditions": find_market_conditions(database, market, interval, day),
    }


def _date(time: datetime | None) -> date | None:
    return time and time.date()


def _count_by_sector(
    database: Db, there: Collection[str], flagged: Collection[str]
) -> list[SectorDay]:
    graph = load_graph(database)
    sectors: dict[str | None, list[str]] = {}
    for ticker in sorted(there):
        sectors.setdefault(graph.find_sector(ticker), []).append(ticker)
    found: list[SectorDay] = []
    for sector, members in sectors.items():
        strange = [ticker for ticker in members if ticker in flagged]
        found.append(
            {
                "sector": sector,
                "flagged": len(strange),
                "of": len(members),
                "tickers": strange[:LISTED_TICKERS],
            }
        )
    return sorted(found, key=_rank)


def _rank(one: SectorDay) -> tuple[bool, float, str]:
    return one["sector"] is None, -one["flagged"] / one["of"], one["sector"] or ""
