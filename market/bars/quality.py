"""How good the stored bars of each series are: figures, and a score from 0 to 100.

The score is 100 less a deduction for each figure. Plain Python, as the web process uses it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypedDict

from core.words import QualityFigure
from market.bars.oddities import find_oddities
from market.intervals import day_of, session_of
from market.markets import Markets
from market.sessions.freshness import count_sessions_behind
from records.database import Db
from records.keyset import Key, Keyset, Position
from records.market.documents import QualitySeries, SessionDaysDocument
from records.market.gaps import count_lacking
from records.market.rejected import count_by_series as count_rejected
from records.market.revisions import count_by_series as count_revisions
from records.market.series import find_quality_series
from records.market.session_days import find_session_days

REVISED_WITHIN = timedelta(days=30)
WORST_FIRST = Keyset((Key("score", float), Key("_id", str)))


@dataclass(frozen=True, slots=True)
class Rule:
    """What a figure takes off the score: the figure times `points`, at most `most`.

    `counts` says in words what the figure is.
    """

    figure: QualityFigure
    points: float
    most: float
    counts: str


RULES = (
    Rule("lacking_share", 100, 40, "share of the bars of its sessions that are not stored"),
    Rule("sessions_behind", 2, 20, "sessions that have ended since its last bar"),
    Rule("rejected_share", 100, 10, "share of its rows that were kept aside"),
    Rule("revisions", 1, 5, "revisions in the last 30 days"),
    Rule("open_gaps", 1, 5, "gaps that are not filled and not explained"),
    Rule("stale_runs", 1, 5, "runs of five bars or more at one price"),
    Rule("no_volume_share", 100, 10, "share of its bars without volume, where others have some"),
    Rule("suspected_splits", 2.5, 5, "jumps by a split's factor that no known split explains"),
)
"""Their `most` add up to 100."""


class Quality(TypedDict):
    """One series' figures (None: not known), what each takes off, and the score that is left.

    `completeness` is the share of the bars of its sessions that are stored; `jumps` are the days of
    suspected splits.
    """

    _id: str
    ticker: str
    interval: str
    market: str
    bars: int
    last_bar: datetime
    completeness: float | None
    figures: dict[QualityFigure, float | None]
    deductions: dict[QualityFigure, float]
    jumps: list[datetime]
    score: float


def find_quality(
    database: Db,
    markets: Markets,
    now: datetime,
    *,
    market: str | None,
    interval: str | None,
    ticker: str | None,
    after: Position | None = None,
    limit: int,
) -> list[Quality]:
    """Return the quality of series in the order WORST_FIRST, from the series after `after` on."""
    found = find_quality_series(database, market=market, interval=interval, ticker=ticker)
    tickers = [series["ticker"] for series in found] if market or ticker else None
    counts = _Counts(
        find_session_days(database),
        count_rejected(database, tickers),
        count_revisions(database, tickers, now - REVISED_WITHIN),
        count_lacking(database, tickers),
    )
    scored = [_describe(series, counts, markets, now) for series in found]
    scored.sort(key=WORST_FIRST.locate)
    following = [one for one in scored if after is None or WORST_FIRST.locate(one) > after]
    return following[:limit]


@dataclass(frozen=True, slots=True)
class _Counts:
    """Counts that are read for all series at once, by the `_id` of a series or by its market."""

    noted: Mapping[str, SessionDaysDocument]
    rejected: Mapping[str, int]
    revisions: Mapping[str, int]
    lacking: Mapping[str, Mapping[str, int]]


def _describe(series: QualitySeries, counts: _Counts, markets: Markets, now: datetime) -> Quality:
    jumps = _find_jumps(series)
    figures = _measure(series, counts, markets, now) | {"suspected_splits": len(jumps)}
    lacking = figures["lacking_share"]
    deductions = {
        rule.figure: round(min(rule.most, rule.points * (figures[rule.figure] or 0.0)), 2)
        for rule in RULES
    }
    return {
        "_id": series["_id"],
        "ticker": series["ticker"],
        "interval": series["interval"],
        "market": series["market"],
        "bars": series["bars"],
        "last_bar": series["last_bar"],
        "completeness": None if lacking is None else 1 - lacking,
        "figures": figures,
        "deductions": {name: points for name, points in deductions.items() if points},
        "jumps": [session_of(day) for day in jumps],
        "score": round(100 - sum(deductions.values()), 2),
    }


def _measure(
    series: QualitySeries, counts: _Counts, markets: Markets, now: datetime
) -> dict[QualityFigure, float | None]:
    bars, lacking = series["bars"], counts.lacking.get(series["_id"], {})
    rejected = counts.rejected.get(series["_id"], 0)
    market = markets.get(series["market"])
    odd = find_oddities(series)
    silent = odd["no_volume"] if odd else None
    return {
        "lacking_share": _find_lacking_share(series, lacking.get("expected", 0)),
        "sessions_behind": count_sessions_behind(
            series, counts.noted.get(series["market"]), now, market
        ),
        "rejected_share": rejected / (bars + rejected) if bars + rejected else None,
        "revisions": counts.revisions.get(series["_id"], 0),
        "open_gaps": lacking.get("open", 0),
        "stale_runs": odd["stale_runs"] if odd else None,
        # A series without any volume, such as a currency, lacks nothing.
        "no_volume_share": silent / bars if silent is not None and silent < bars else None,
    }


def _find_lacking_share(series: QualitySeries, expected: int) -> float | None:
    """Return the share of expected bars that are missing, without those of `expected` gaps.

    `expected` is how many bars the latter lack.
    """
    coverage = series.get("coverage")
    if coverage is None or coverage["bars_expected"] <= expected:
        return None
    due = coverage["bars_expected"] - expected
    return (due - coverage["bars_held"]) / due


def _find_jumps(series: QualitySeries) -> list[int]:
    """Return the days of jumps that no known split explains, ascending."""
    known = {day_of(split["session"]) for split in series["splits"]}
    odd = find_oddities(series)
    # The session of an intraday bar may have another date than the bar has in UTC.
    return [day for day in odd["jumps"] if not known & {day - 1, day, day + 1}] if odd else []
