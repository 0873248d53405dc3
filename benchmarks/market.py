"""The market that is detected: synthetic bars, a model, and the same bars in the naive way's
form.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.ensemble import IsolationForest

from benchmarks import naive
from detection.detectors.isolation_forest import fit_forest
from detection.features.compute import compute_features
from detection.features.feature_sets import FeatureSet, get_feature_set
from detection.market_days import read_days
from detection.models.learning import MOST_ROWS
from detection.models.manager import LoadedModel
from detection.models.plan import TrainingPlan
from detection.models.sampling import RowSample
from detection.models.training import train_model
from detection.scoring.faults import mark_wrong
from market.bars.panel import BarPanel
from market.bars.store import ALL_BARS, load_panel
from market.imports.bulk import import_synthetic
from market.markets import SHIPPED
from records.database import Db
from records.indexes import ensure_indexes

MARKET = "US"
INTERVAL = "1d"
BARS = 1_260
SEED = 7
END = datetime(2025, 12, 31, tzinfo=UTC)
PORTION_TICKERS = 100
RESULTS = ("anomalies", "batches", "detection_metadata", "detection_runs", "outbox")


def fill(database: Db, tickers: Sequence[str], compared: Sequence[str]) -> None:
    """Store bars of all `tickers`, train a model on the tickers in `compared`, and store the bars
    of these in the naive way's form too.
    """
    ensure_indexes(database)
    now = datetime.now(UTC)
    import_synthetic(database, tickers, SHIPPED[MARKET], bars=BARS, seed=SEED, end=END, now=now)
    train(database, compared, get_feature_set("market14"))
    for panel in load_portions(database, compared):
        naive.store_bars(database, build_table(panel))


def train(database: Db, tickers: Sequence[str], feature_set: FeatureSet) -> None:
    """Train a model on these tickers, and promote it."""
    own = tuple(sorted(tickers))
    plan = TrainingPlan(MARKET, tickers=own, feature_set=feature_set, seed=SEED, promote=True)
    train_model(database, plan, now=datetime.now(UTC))


def train_ensemble(database: Db, tickers: Sequence[str]) -> None:
    """Train an ensemble with the default weights on these tickers, without promoting it."""
    options = {"detector": "ensemble", "seed": SEED, "promote": False}
    plan = TrainingPlan.from_options(MARKET, markets=SHIPPED, tickers=tickers, options=options)
    train_model(database, plan, now=datetime.now(UTC))


def load_portions(database: Db, tickers: Sequence[str]) -> list[BarPanel]:
    """Return all bars of the tickers."""
    portions = (
        tickers[start : start + PORTION_TICKERS]
        for start in range(0, len(tickers), PORTION_TICKERS)
    )
    return [
        load_panel(database, INTERVAL, dict.fromkeys(portion, ALL_BARS)) for portion in portions
    ]


def build_table(panel: BarPanel) -> pd.DataFrame:
    """Return a panel as a table with a row a bar."""
    values = {name: getattr(panel, name) for name in ("open", "high", "low", "close", "volume")}
    tickers = np.repeat(panel.tickers, np.diff(panel.offsets))
    return pd.DataFrame(
        {"ticker": tickers, "time": pd.to_datetime(panel.times, unit="s", utc=True), **values}
    )


def build_matrix(
    database: Db, tickers: Sequence[str], model: LoadedModel, *, as_learned: bool = False
) -> np.ndarray:
    """Return the model's inputs of all bars of the tickers; with `as_learned`, without those that a
    training leaves out.
    """
    days = read_days(database, MARKET, INTERVAL) if model.feature_set.sees_market else None
    parts = []
    for panel in load_portions(database, tickers):
        features = compute_features(panel, panel.offsets[:-1].copy(), model.feature_set, days)
        inputs = features.inputs
        if as_learned:
            inputs = inputs[~mark_wrong(panel, features.rows, features, days)]
        parts.append(inputs)
    return np.concatenate(parts)


def refit(database: Db, model: LoadedModel, tickers: Sequence[str]) -> IsolationForest:
    """Return scikit-learn's own object of a model of these tickers, whose `predict` uses the
    model's threshold.

    Only the nodes of a model are stored; fitting again with the same rows, seed and parameters
    gives the same trees.
    """
    rows = build_matrix(database, sorted(tickers), model, as_learned=True)
    given = {name: model.parameters[name] for name in ("trees", "sample", "seed")}
    sample = RowSample(MOST_ROWS, rows.shape[1], given["seed"])
    sample.add(rows)
    forest = fit_forest(sample.get_rows(), **given)
    forest.offset_ = model.threshold
    return forest


def store_file(forest: IsolationForest, folder: Path) -> Path:
    """Store a forest as a file, for the naive way."""
    path = folder / "model.joblib"
    joblib.dump(forest, path)
    return path


def find_bars_found(
    database: Db, collection: str, kind: str | None = None
) -> set[tuple[str, datetime]]:
    """Return ticker and time of the anomalies in a collection, of one kind or of all."""
    query = {} if kind is None else {"kind": kind}
    return {
        (a["Ticker"], a["Datetime"])
        for a in database[collection].find(query, {"Ticker": 1, "Datetime": 1})
    }


def forget_results(database: Db) -> None:
    """Restore the database to the state before anything was detected."""
    for name in RESULTS:
        database[name].drop()
    ensure_indexes(database)


def forget_last_bar(database: Db, ticker: str) -> None:
    """Restore the database to the state before the last bar, which has the same time for all
    tickers, was detected.
    """
    before, last = (
        datetime.fromtimestamp(t, UTC)
        for t in load_panel(database, INTERVAL, {ticker: ALL_BARS}).times[-2:]
    )
    database.detection_metadata.update_many({}, {"$set": {"last_detected_timestamp": before}})
    database.anomalies.delete_many({"Datetime": last})
