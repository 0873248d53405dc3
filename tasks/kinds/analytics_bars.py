"""The bars that metrics are computed of: those of a batch's tickers, and those of their market."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from analytics.subject import (
    CONTEXT_BARS,
    Depth,
    Taken,
    count_market_days,
    find_reach,
    find_season_start,
)
from core.arrays import Int64
from market.bars.panel import BarPanel, join_panels, keep_series
from market.bars.sound import read_sound_bars
from market.bars.store import Wanted
from market.intervals import DAY_SECONDS, is_intraday
from market.markets import Market
from market.sessions.calendar import Sessions
from records.database import Db
from records.market.documents import PanelSeries
from records.market.series import find_market_panel_series
from tasks.kinds.bar_ticks import find_books, find_bounds, sum_takers


@dataclass(frozen=True, slots=True)
class Work:
    """What a batch asks for: the last `bars` bars of tickers of one market and interval."""

    run_id: str
    market: Market
    interval: str
    bars: int
    sessions: Sessions
    now: datetime


@dataclass(frozen=True, slots=True)
class Load:
    """The bars of a batch's tickers, those of their market, and what could not be used.

    Attributes:
        series: the documents of all series of the market, by ticker.
        panel: the bars of the batch's tickers; None if no ticker is left.
        around: the bars of all the market's tickers, as far back as the requested bars need their
            market.
        failures: the reason and the error for each ticker of the batch that is left out.
        books: the latest order book of each requested bar; None if no ticker has any.
        taken: the amounts that takers bought and sold in each bar of the panel; None if there are
            no trades.
    """

    series: Mapping[str, PanelSeries]
    panel: BarPanel | None
    around: BarPanel | None
    failures: dict[str, tuple[str, str]]
    books: Sequence[Depth | None] | None = None
    taken: Taken | None = None


def load(database: Db, work: Work, tickers: Sequence[str]) -> Load:
    """Return the bars of a batch's tickers, and of their market, in one snapshot."""
    with database.client.start_session(snapshot=True) as session:
        series = find_market_panel_series(database, work.market.code, work.interval, session)
        lasts = {ticker: int(s["last_bar"].timestamp()) for ticker, s in series.items()}
        failures = {
            ticker: _explain_absent(ticker, work) for ticker in tickers if ticker not in series
        }
        own = [ticker for ticker in tickers if ticker in series]
        # The season of intraday bars is counted in days. If more than one bar is asked about, it is
        # not known from which time on the first one's season needs bars.
        is_counted_in_days = is_intraday(work.interval) and work.bars > 1
        mine: dict[str, Wanted] = {
            ticker: (
                None if is_counted_in_days else find_season_start(lasts[ticker], work.interval),
                None,
            )
            for ticker in own
        }

        def reach(index: int, interval: str) -> int:
            return find_reach(max(0, index - work.bars + 1), interval)

        panel, unusable = read_sound_bars(database, work.interval, series, mine, session, reach)
        failures |= {ticker: ("bad_bars", error) for ticker, error in unusable.items()}
        if panel is None:
            return Load(series, None, None, failures)
        rows = choose_rows(panel, work.bars)
        since = find_market_start(panel, rows)
        # Of a series that goes on after another ended, the bars beside that one's are not there
        # yet.
        reaching = [s for s, ticker in enumerate(panel.tickers) if _reaches(panel, s, since)]
        seen = {panel.tickers[s] for s in reaching}
        others: dict[str, Wanted] = {
            ticker: (min(since, lasts[ticker]), None)
            for ticker in sorted(series.keys() - seen - failures.keys())
        }
        around = [keep_series(panel, reaching)] if reaching else []
        if others:
            beside, _ = read_sound_bars(
                database, work.interval, series, others, session, _find_context_reach
            )
            around += [] if beside is None else [beside]
        bounds = find_bounds(panel, rows, work.market, work.sessions)
        return Load(
            series,
            panel,
            join_panels(around) if around else None,
            failures,
            books=find_books(database, panel, rows, bounds),
            taken=sum_takers(database, panel, rows, work.market, work.sessions),
        )


def _reaches(panel: BarPanel, series: int, since: int) -> bool:
    """Whether a panel has all stored bars of a series from a time on."""
    return bool(panel.first_index[series] == 0 or panel.times[panel.offsets[series]] <= since)


def choose_rows(panel: BarPanel, bars: int) -> Int64:
    """Return the rows of the last `bars` bars of each series, in the panel's order."""
    lengths = np.minimum(np.diff(panel.offsets), bars)
    firsts = panel.offsets[1:] - lengths
    ends = np.cumsum(lengths)
    rows: Int64 = np.arange(ends[-1]) + np.repeat(firsts - (ends - lengths), lengths)
    return rows


def find_market_start(panel: BarPanel, rows: Int64) -> int:
    """Return the time from which the market of the bars asked about is looked at."""
    return int(panel.times[rows].min()) - count_market_days(panel.interval) * DAY_SECONDS


def _find_context_reach(index: int, _interval: str) -> int:
    """Return the position of the first bar by which another series of the market is judged."""
    return max(0, index - CONTEXT_BARS)


def _explain_absent(ticker: str, work: Work) -> tuple[str, str]:
    text = f"{ticker} has no stored {work.interval} bars in market {work.market.code}"
    return ("no_bars", f"{text}; import some (`flask bars import FILE`)")
