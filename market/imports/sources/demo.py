"""The demo's real daily bars, from two Python packages; nothing is downloaded.

`bokeh_sampledata` has AAPL, FB, GOOG, IBM and MSFT from 2000 to 2013, as quoted (three splits are
in them); `arch` has the S&P 500 and the NASDAQ Composite from 1999 to 2018.
"""

from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from core.errors import BadInput

INDICES = {"^GSPC": "data/sp500/sp500.csv.gz", "^IXIC": "data/nasdaq/nasdaq.csv.gz"}


def read_demo() -> pd.DataFrame:
    """Return the bars of all seven tickers as one table.

    Raises BadInput where a package is not installed.
    """
    stocks = pd.read_csv(
        _locate("bokeh_sampledata") / "_data" / "stocks.csv.gz", parse_dates=["Date"]
    )
    indices = [
        pd.read_csv(_locate("arch") / path, parse_dates=["Date"], date_format="%m/%d/%Y").assign(
            Ticker=ticker
        )
        for ticker, path in INDICES.items()
    ]
    return pd.concat([stocks, *indices], ignore_index=True).drop(columns="Adj Close")


def _locate(package: str) -> Path:
    """Return a package's folder without importing it, as arch would import all of statsmodels."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise BadInput(
            f"the demo's bars come with the package {package}, which is not installed: pip install"
            f" {package}"
        )
    return Path(spec.origin).parent
