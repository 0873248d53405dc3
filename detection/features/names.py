"""The names of the 14 documented features, in the order of every document and matrix."""

FEATURES: tuple[str, ...] = (
    "return_1",
    "return_3",
    "return_6",
    "zscore_20",
    "ATR_14",
    "bb_width",
    "RSI",
    "MACD",
    "MACD_hist",
    "VWAP",
    "body",
    "upper_wick",
    "lower_wick",
    "wick_ratio",
)
