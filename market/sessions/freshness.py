"""Counts the sessions since a series' last bar; plain Python, for the web process."""

from bisect import bisect_right
from datetime import datetime

from market.intervals import DAY_SECONDS, is_intraday
from market.markets import Market
from records.market.documents import SeriesDocument, SeriesEnds, SeriesSummary, SessionDaysDocument

WEEK_DAYS = 7


def count_sessions_behind(
    series: SeriesDocument | SeriesSummary | SeriesEnds,
    noted: SessionDaysDocument | None,
    now: datetime,
    market: Market | None,
) -> int | None:
    """Return how many sessions have ended since that of a series' last bar; None where the sessions
    are not known.

    Args:
        series: has `last_bar` and `interval`.
        noted: the stored sessions of its market (`records.market.session_days`).
        now: sessions count whose bars should have come by then.
        market: tells how long a bar may take to come in; None: no time.
    """
    if noted is None:
        return None
    last = int(series["last_bar"].timestamp())
    delay_seconds = market.tick_delay_seconds if market else 0
    ended = bisect_right(noted["closes"], now.timestamp() - delay_seconds)
    if is_intraday(series["interval"]):
        return max(0, ended - bisect_right(noted["opens"], last))
    day = last // DAY_SECONDS + (WEEK_DAYS - 1 if series["interval"] == "1w" else 0)
    return max(0, ended - bisect_right(noted["days"], day))
