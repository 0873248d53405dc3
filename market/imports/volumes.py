"""Volumes that a source leaves out, or counts in lots."""

import re
from collections.abc import Sequence

import numpy as np

from core.arrays import Float64, Int64
from market.imports.settled import Settled
from market.markets import Market

# The columns of Eastmoney's bars, as AKShare and efinance hand them on: of mainland China they
# count lots of a hundred, of Hong Kong and the US shares.
EASTMONEY = {"time": "日期", "open": "开盘", "close": "收盘", "volume": "成交量"}
BESIDE = {"成交额", "振幅", "涨跌幅", "涨跌额", "换手率"}
LOT = 100
CHINA = "CN"
# Shanghai and Shenzhen number their indices among their shares.
CHINESE_INDEX = re.compile(r"000\d{3}\.SS|399\d{3}\.SZ")


def fill_volumes(
    settled: Settled, codes: Int64, tickers: Sequence[str], markets: Sequence[Market | None]
) -> Float64:
    """Return volumes. A ticker all of whose volumes are empty has volume 0, as has one that has no
    such column, and an index or a currency where its volume is empty.

    Args:
        settled: the rows (n,).
        codes: the position of each row's ticker (n,), -1 where it is not asked for.
        tickers: at these positions.
        markets: of which they are; None where that is not known.
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
    """Whether a ticker is an index or a currency: nobody counts what is traded of them, and vendors
    count it here and there.
    """
    return market is not None and (
        market.code == "FX"
        or ticker.startswith("^")
        or ticker in market.indices
        or CHINESE_INDEX.fullmatch(ticker) is not None
    )


def counts_lots(settled: Settled) -> bool:
    """Whether a table counts the volumes of mainland China in lots."""
    names = settled.names
    return set(settled.aside) >= BESIDE and all(
        names.get(field) == name for field, name in EASTMONEY.items()
    )


def explain_volumes(settled: Settled, accepted: Int64, market: Market) -> list[str]:
    """Return what a reader of the report should know of a ticker's volumes, given its rows."""
    empty = settled.empty_volumes
    filled = 0 if empty is None else int(np.count_nonzero(empty[accepted]))
    notes = [f"{filled:,} of its volumes are empty, and are 0"] if filled else []
    if market.code == CHINA and counts_lots(settled):
        notes.append(f"volumes are read as {LOT} each, as Eastmoney counts lots")
    return notes
