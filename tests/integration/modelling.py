"""Creates small models, fitted on noise in an instant and stored like any other, for tests of what
is done with models.
"""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from detection.detectors import isolation_forest
from detection.models.artefacts import dump_artefact
from detection.models.fitting import Fit
from detection.models.learning import Seen
from detection.models.plan import TrainingPlan
from detection.models.training import save_model
from detection.scoring.drift import InputTable
from detection.scoring.grades import ColumnTails, GradeTable
from records.database import Db

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


def make_fit(seed: int = 7, *, market: str = "US", **changes: Any) -> Fit:
    """Return a small forest fitted on noise; `changes` are fields of its plan."""
    plan = replace(
        TrainingPlan(market, seed=seed, parameters={"trees": 5, "sample": 64}), **changes
    )
    rows = (
        np.random.default_rng(seed)
        .normal(size=(400, len(plan.feature_set.columns)))
        .astype(np.float32)
    )
    forest = isolation_forest.fit(rows, **plan.parameters, seed=seed)
    scores = isolation_forest.load(forest).score_samples(rows)
    columns = plan.feature_set.columns
    tails = ColumnTails.from_inputs(columns, rows)
    seen = Seen(first=946_684_800, last=1_000_684_800)
    seen.rows["AAPL"] = len(rows)
    return Fit(
        plan=plan,
        artefact=dump_artefact(forest),
        threshold=float(np.quantile(scores, 0.01)),
        grades=GradeTable.from_scores(scores, tails.find_rarity(columns, rows)),
        rows_fitted=len(rows),
        inputs=InputTable.from_inputs(columns, rows),
        tails=tails,
        seen=seen,
    )


def add_model(database: Db, seed: int = 7, *, market: str = "US", **changes: Any) -> str:
    """Store a small model and return its version; the first of a market becomes its champion."""
    version: str = save_model(database, make_fit(seed, market=market, **changes), now=NOW)[
        "version"
    ]
    return version
