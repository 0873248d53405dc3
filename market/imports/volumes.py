"""Fills volumes that a source leaves out, and converts volumes in lots to shares."""

import re
from collections.abc import Sequence

import numpy as np

from core.arrays import Float64, Int64
from market.imports.settled import Settled
from market.markets import Market

# The columns of Eastmoney's bars, as AKShare and efinance return them. Volumes of mainland China
# are in lots of a hundred, those of Hong Kong and the US in shares.
EASTMONEY = {"time": "日期", "open": "开盘", "close": "收盘", "volume": "成交量"}
BESIDE = {"成交额", "振幅", "涨跌幅", "涨跌额", "换手率"}
LOT = 100
CHINA = "CN"
# Indices of Shanghai and Shenzhen, which have numbers like shares.
CHINESE_INDEX = re.compile(r"000\d{3}\.SS|399\d{3}\.SZ")


def fill_volumes(
    settled: Settled, codes: Int64, tickers: Sequence[str], markets: Sequence[Market | None]
) -> Float64:
    """Return the volumes of all rows, shape (n,). A missing volume becomes 0 where the table has no
    volume column, where all volumes of the ticker are empty, and for an index or a currency.

    Args:
        settled: the rows (n,).
        codes: the position of each row's ticker in `tickers` (n,), -1 where it is not asked for.
        tickers: the tickers.
        markets: the market of each ticker; None where it is not known.
    """
    if settled.empty_volumes is None:
        return np.zeros(len(codes))
    empty, volumes = settled.empty_volumes, settled.numbers["volume"].copy()
    given = np.bincount(codes[~empty] + 1, minlength=len(markets) + 1)
    lacks = (given == 0) | np.array([False, *map(_may_lack_volume, tickers, markets)])
    volumes[empty & lacks[codes + 1]] = 0.0
    if counts_lots(settled):
        of_china = np.array(
            [False, *(market is not None and market.code == CHINA for market in markets)]
        )
        volumes[of_china[codes + 1]] *= LOT
    return volumes


def _may_lack_volume(ticker: str, market: Market | None) -> bool:
    """Return whether a ticker is an index or a currency, which have no real volume; vendors give
    one on some days.
    """
    return market is not None and (
        market.code == "FX"
        or ticker.startswith("^")
        or ticker in market.indices
        or CHINESE_INDEX.fullmatch(ticker) is not None
    )


def counts_lots(settled: Settled) -> bool:
    """Return whether a table has the volumes of mainland China in lots."""
    names = settled.names
    return set(settled.aside) >= BESIDE and all(
        names.get(field) == name for field, name in EASTMONEY.items()
    )


def explain_volumes(settled: Settled, accepted: Int64, market: Market) -> list[str]:
    """Return notes for the report on a ticker's volumes, given its accepted rows."""
    empty = settled.empty_volumes
    filled = 0 if empty is None else int(np.count_nonzero(empty[accepted]))
    notes = [f"{filled:,} of its volumes are empty, and are 0"] if filled else []
    if market.code == CHINA and counts_lots(settled):
        notes.append(f"volumes are read as {LOT} each, as Eastmoney counts lots")
    return notes
