"""Makes the arrival of a ticker's series from its checked rows."""

from datetime import datetime

from market.bars.opening import Arrival
from market.imports.rows import TickerRows
from market.markets import Market
from market.sessions.calendar import Sessions
from records.market.rejected import build_rejected


def build_arrival(
    rows: TickerRows,
    market: Market,
    *,
    interval: str,
    source: str,
    now: datetime,
    known: Sessions,
    synthetic: bool = False,
    import_id: str | None = None,
) -> Arrival:
    """Return the arrival of a ticker's rows: the bars to store, and the rejected rows.

    `known` are the sessions of the market.
    """
    rejected = [
        build_rejected(
            rows.ticker,
            interval,
            row=one.row,
            time=one.time,
            reason=one.reason,
            values=one.values,
            source=source,
            now=now,
        )
        for one in rows.rejected
    ]
    return Arrival(
        rows.ticker,
        market,
        interval,
        source,
        now,
        known,
        rows.columns,
        rows.splits,
        rejected,
        synthetic,
        import_id,
    )
