"""How many sessions ago a series' last bar came: plain Python, for the web process."""

from bisect import bisect_right
from datetime import datetime, timedelta

from market.intervals import DAY_SECONDS, is_intraday
from records.market.documents import SeriesDocument, SeriesEnds, SeriesSummary, SessionDaysDocument

WEEK_DAYS = 7


def count_sessions_behind(
    series: SeriesDocument | SeriesSummary | SeriesEnds,
    noted: SessionDaysDocument | None,
    now: datetime,
    delay: timedelta,
) -> int | None:
    """Return how many sessions have ended since the one of a series' last bar;
    None where they are not known.

    Args:
        series: with `last_bar` and `interval`.
        noted: the sessions of its market, as `records.market.session_days` has them.
        now: sessions that closed by then, `delay` ago, count.
        delay: how long a bar may take to come in.
    """
    if noted is None:
        return None
    last = int(series["last_bar"].timestamp())
    ended = bisect_right(noted["closes"], (now - delay).timestamp())
    if is_intraday(series["interval"]):
        return max(0, ended - bisect_right(noted["opens"], last))
    day = last // DAY_SECONDS + (WEEK_DAYS - 1 if series["interval"] == "1w" else 0)
    return max(0, ended - bisect_right(noted["days"], day))
