"""Reads many series; a series that is damaged, or has values that are no prices, fails alone and by
name.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np
import structlog
from pymongo.client_session import ClientSession

from core.arrays import Bools, Float64, Int64
from core.words import PRICES
from market.bars.buckets import LEAST_PRICE, MOST_VALUE, VALUES
from market.bars.history import history_start
from market.bars.panel import BarPanel, join_panels, keep_series
from market.bars.store import Reach, Wanted, read_panel
from records.database import Db
from records.market.documents import PanelSeries
from records.market.series import find_panel_series

# All columns of so many series are in memory at once where only closes are asked for.
CLOSES_AT_ONCE = 100

log = structlog.get_logger()


def read_sound_bars(
    database: Db,
    interval: str,
    documents: Mapping[str, PanelSeries],
    wanted: Mapping[str, Wanted],
    session: ClientSession,
    reach: Reach,
) -> tuple[BarPanel | None, dict[str, str]]:
    """Return the panel that `read_panel` returns, of the series that can be used, and by ticker an
    error for each other series. The panel is None where no series can be used.

    All series are read at once. Only where that fails, as it does with a single damaged bucket,
    they are read one by one.
    """
    failures: dict[str, str] = {}
    panels: list[BarPanel] = []
    try:
        panels.append(_read_whole(database, interval, documents, wanted, session, reach))
    except (ValueError, LookupError):
        for ticker, bounds in wanted.items():
            try:
                own = {ticker: bounds}
                panels.append(_read_whole(database, interval, documents, own, session, reach))
            except (ValueError, LookupError) as error:
                failures[ticker] = (
                    f"the stored {interval} bars of {ticker} cannot be read ({error}); import them"
                    " again"
                )
    panel = join_panels(panels) if panels else None
    if panel is None:
        return None, failures
    bad = find_unusable(panel)
    for series, row in bad.items():
        when = datetime.fromtimestamp(int(panel.times[row]), UTC)
        failures[panel.tickers[series]] = (
            f"{panel.tickers[series]} {interval} has a bar that is no price or no number at "
            f"{when:%Y-%m-%dT%H:%M:%SZ}; import it again"
        )
    sound = keep_series(panel, [s for s in range(len(panel.tickers)) if s not in bad])
    return (sound if sound.tickers else None), failures


def find_unusable(panel: BarPanel) -> dict[int, int]:
    """Return, for each series with an impossible price or volume, the first row that has one."""
    with np.errstate(invalid="ignore"):
        usable: Bools = (panel.volume >= 0.0) & (panel.volume < MOST_VALUE)
        for name in PRICES:
            price = getattr(panel, name)
            usable &= (price >= LEAST_PRICE) & (price < MOST_VALUE)
    if usable.all():
        return {}
    rows = np.flatnonzero(~usable)
    series = panel.find_series(rows)
    owners, places = np.unique(series, return_index=True)
    return dict(zip(owners.tolist(), rows[places].tolist(), strict=True))


def _read_whole(
    database: Db,
    interval: str,
    documents: Mapping[str, PanelSeries],
    wanted: Mapping[str, Wanted],
    session: ClientSession,
    reach: Reach,
) -> BarPanel:
    """Return the panel of all series in `wanted`. Raises ValueError or LookupError where one is
    damaged.
    """
    panel = read_panel(database, interval, documents, wanted, session, reach)
    if any(getattr(panel, name).size != panel.times.size for name in VALUES):
        raise ValueError("its columns are not equally long")
    return panel


def read_sound_panel(
    database: Db,
    interval: str,
    documents: Mapping[str, PanelSeries],
    wanted: Mapping[str, Wanted],
    session: ClientSession,
    reach: Reach = history_start,
) -> BarPanel:
    """Return the panel that `read_panel` returns, without the series whose stored bars are damaged.

    It is for what is computed from many series. A damaged series is reported by its own detection,
    and must not make that of the others fail.
    """
    try:
        return read_panel(database, interval, documents, wanted, session, reach)
    except (ValueError, KeyError):
        if len(wanted) == 1:
            log.warning("torn_bars_left_out", ticker=next(iter(wanted)), interval=interval)
            return read_panel(database, interval, documents, {}, session, reach)
    tickers = list(wanted)
    sound: list[str] = []
    for half in (tickers[: len(tickers) // 2], tickers[len(tickers) // 2 :]):
        own = {ticker: wanted[ticker] for ticker in half}
        sound += read_sound_panel(database, interval, documents, own, session, reach).tickers
    own = {ticker: wanted[ticker] for ticker in sound}
    return read_panel(database, interval, documents, own, session, reach)


def load_sound_closes(
    database: Db, interval: str, wanted: Mapping[str, Wanted]
) -> dict[str, tuple[Int64, Float64]]:
    """Return times and closes by ticker, read as in `load_panel`, in the order of `wanted`, without
    the series whose stored bars are damaged.

    Series are read `CLOSES_AT_ONCE` at a time: all columns of thousands of series, packed and
    unpacked, would take several times the memory of the closes.
    """
    closes: dict[str, tuple[Int64, Float64]] = {}
    tickers = list(wanted)
    with database.client.start_session(snapshot=True) as session:
        series = find_panel_series(database, tuple(wanted), interval, session)
        for start in range(0, len(tickers), CLOSES_AT_ONCE):
            portion = {ticker: wanted[ticker] for ticker in tickers[start : start + CLOSES_AT_ONCE]}
            panel = read_sound_panel(database, interval, series, portion, session)
            for s, ticker in enumerate(panel.tickers):
                rows = panel.series(s)
                closes[ticker] = panel.times[rows].copy(), panel.close[rows].copy()
    return closes
