"""Computing the correlations of a set of tickers, and which of its pairs move together."""

import math
from datetime import UTC, datetime
from typing import cast

import numpy as np
from pymongo.client_session import ClientSession

from analytics.metric import SET
from analytics.sets import MOST_PAIRS, compute_cointegration, compute_correlation_matrix
from analytics.subject import find_reach
from core.arrays import Float64
from core.errors import BadInput
from market.bars.sound import read_sound_bars
from market.bars.store import Wanted
from records.analytics.documents import PairFields, SetDocument
from records.analytics.sets import write_set
from records.database import in_transaction
from records.market.series import find_panel_series
from records.work.batches import Batch
from records.work.documents import RunDocument
from tasks.engine.kind import Result
from tasks.kinds.parts import build_checkpoint, build_finish, count_done
from tasks.process.worker import Worker


def correlate(worker: Worker, run: RunDocument, batch: Batch) -> Result:
    """Compute and store a set's correlations; of at most ten tickers also what their pairs show.

    Raises BadInput where none of the tickers has bars that can be used.
    """
    database, options, interval = worker.database, run["options"], run["interval"]
    checkpoint, finish = build_checkpoint(worker, batch), build_finish(database, batch)
    now = datetime.now(UTC)
    as_of = datetime.fromisoformat(options["as_of"]) if options["as_of"] else None
    with database.client.start_session(snapshot=True) as session:
        series = find_panel_series(database, run["tickers"], interval, session)
        lasts = {t: min(s["last_bar"], as_of or s["last_bar"]) for t, s in series.items()}
        times = {ticker: int(last.timestamp()) for ticker, last in lasts.items()}
        wanted: dict[str, Wanted] = {
            ticker: (times[ticker], times[ticker]) for ticker in run["tickers"] if ticker in times
        }
        panel, unusable = read_sound_bars(database, interval, series, wanted, session, find_reach)
    if panel is None:
        raise BadInput(f"none of {', '.join(run['tickers'][:10])} has {interval} bars to correlate")
    checkpoint(0.3)
    last = int(as_of.timestamp()) if as_of is not None else max(times.values())
    with np.errstate(all="ignore"):
        found = compute_correlation_matrix(panel, last)
        checkpoint(0.5)
        count = len(panel.tickers)
        pairs: list[PairFields] | None = None
        if count * (count - 1) // 2 <= MOST_PAIRS:
            tested = compute_cointegration(panel, last, lambda done: checkpoint(0.5 + done / 2))
            pairs = cast("list[PairFields]", tested)
    document: SetDocument = {
        "_id": options["set_id"],
        "set": SET,
        "bars_key": options["bars_key"],
        "tickers": list(panel.tickers),
        "unusable": unusable,
        "interval": interval,
        "as_of": datetime.fromtimestamp(int(panel.times[panel.times <= last].max()), UTC),
        "matrix": _list_numbers(found.matrix),
        "common": found.common.tolist(),
        "order": found.order.tolist(),
        "clusters": found.clusters.tolist(),
        "pairs": pairs,
        "computed_at": now,
        "run_id": run["_id"],
    }

    def write(session: ClientSession) -> None:
        write_set(database, document, session)
        finish(session, count_done(tickers=1))

    in_transaction(database, write)
    return {"detection_run_id": run["_id"], "set": options["set_id"]}


def _list_numbers(matrix: Float64) -> list[list[float | None]]:
    return [[None if math.isnan(x) else x for x in row] for row in matrix.tolist()]
