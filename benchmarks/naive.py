"""The naive way, as it is often written: a document for each bar, and pandas and scikit-learn a
ticker at a time.
"""

from datetime import UTC, datetime
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.ensemble import IsolationForest

from market.bars.history import HISTORY_BARS
from records.database import Db

WARM_UP_BARS = 40


def store_bars(database: Db, frame: pd.DataFrame) -> None:
    """Store a table of bars as a document a bar, indexed by ticker and time."""
    database.naive_bars.create_index([("ticker", 1), ("time", 1)])
    database.naive_bars.insert_many(
        [{str(name): value for name, value in bar.items()} for bar in frame.to_dict("records")]
    )


def backfill(database: Db, ticker: str, model_file: Path) -> int:
    """Detect all bars of a ticker with a model that is loaded for this call; return how many were
    scored.
    """
    bars = list(database.naive_bars.find({"ticker": ticker}).sort("time", 1))
    return _detect(database, ticker, pd.DataFrame(bars), joblib.load(model_file), WARM_UP_BARS)


def scan(database: Db, ticker: str, model: IsolationForest) -> int:
    """Detect the newest bar of a ticker with a model that is kept in memory; return how many bars
    were scored.
    """
    bars = list(
        database.naive_bars.find({"ticker": ticker}).sort("time", -1).limit(HISTORY_BARS + 1)
    )
    return _detect(database, ticker, pd.DataFrame(bars[::-1]), model, HISTORY_BARS)


def _detect(
    database: Db, ticker: str, bars: pd.DataFrame, model: IsolationForest, first: int
) -> int:
    features = compute_features(bars)
    inputs = free_of_scale(features, bars).iloc[first:]
    labels = model.predict(inputs.to_numpy())
    scores = model.score_samples(inputs.to_numpy())
    now = datetime.now(UTC)
    for position in np.flatnonzero(labels == -1):
        bar = bars.iloc[first + position]
        anomaly = {
            "Ticker": ticker,
            "Datetime": bar["time"],
            "Close": float(bar["close"]),
            "Volume": float(bar["volume"]),
            "features": features.iloc[first + position].to_dict(),
            "anomaly_score": float(scores[position]),
            "created_at": now,
        }
        database.naive_anomalies.insert_one(anomaly)
    mark = {"last_detected_timestamp": bars["time"].iloc[-1], "updated_at": now}
    database.naive_metadata.update_one({"_id": ticker}, {"$set": mark}, upsert=True)
    database.naive_runs.insert_one(
        {"ticker": ticker, "rows": len(inputs), "completed_at": datetime.now(UTC)}
    )
    return len(inputs)


def compute_features(bars: pd.DataFrame) -> pd.DataFrame:
    """Return the 14 documented features."""
    opened, high, low, close, volume = (
        bars[name] for name in ("open", "high", "low", "close", "volume")
    )
    before = close.shift()
    typical = (high + low + close) / 3
    weight = volume.rolling(20).sum()
    mean, deviation = close.rolling(20).mean(), close.rolling(20).std(ddof=0)
    true_range = pd.concat([high - low, (high - before).abs(), (low - before).abs()], axis=1).max(
        axis=1
    )
    move = close.diff()
    gain, loss = (_smooth(part.clip(lower=0), 1 / 14) for part in (move, -move))
    macd = _smooth(close, 2 / 13) - _smooth(close, 2 / 27)
    body = (close - opened).abs()
    upper = high - np.maximum(opened, close)
    lower = np.minimum(opened, close) - low
    return pd.DataFrame(
        {
            "return_1": close.pct_change(),
            "return_3": close.pct_change(3),
            "return_6": close.pct_change(6),
            "zscore_20": ((close - mean) / deviation).where(deviation > 0, 0.0),
            "ATR_14": _smooth(true_range, 1 / 14),
            "bb_width": 4 * deviation,
            "RSI": (100 * gain / (gain + loss)).where(gain + loss > 0, 50.0),
            "MACD": macd,
            "MACD_hist": macd - _smooth(macd, 2 / 10),
            "VWAP": (
                ((typical * volume).rolling(20).sum() / weight).where(
                    weight > 0, typical.rolling(20).mean()
                )
            ),
            "body": body,
            "upper_wick": upper,
            "lower_wick": lower,
            "wick_ratio": (upper + lower) / np.maximum(body, close / 10_000),
        }
    )


def free_of_scale(features: pd.DataFrame, bars: pd.DataFrame) -> pd.DataFrame:
    """Return the inputs of a model of the feature set market14: prices in units of yesterday's
    ATR_14.
    """
    close = bars["close"]
    unit = features["ATR_14"].clip(lower=close / 10_000).shift()
    inputs = features.copy()
    for bars_back in (1, 3, 6):
        inputs[f"return_{bars_back}"] = close.diff(bars_back) / unit
    for name in ("ATR_14", "bb_width", "MACD", "MACD_hist", "body", "upper_wick", "lower_wick"):
        inputs[name] = features[name] / unit
    inputs["VWAP"] = (close - features["VWAP"]) / unit
    # The grid of detection/features/kernel.py, so that both sides score the same numbers.
    return (inputs.clip(-127, 127) * 65_536).round() / 65_536


def _smooth(values: pd.Series, alpha: float) -> pd.Series:
    return values.ewm(alpha=alpha, adjust=False).mean()
