"""Features as a table: the inputs of every bar to the model in use for its ticker, without
warm-up.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from core.arrays import Float32, Int64
from core.errors import BadInput
from detection.market_days import has_days, refresh_days
from detection.models.manager import LoadedModel, ModelManager
from detection.pipeline.job import Job
from detection.pipeline.load import load
from detection.pipeline.plan import plan_stretches
from detection.pipeline.score import show
from detection.pipeline.stretches import Stretch
from market.exports.tables import Asked, Column, Row, Table, name_columns
from market.ticks.fields import MICROSECONDS
from records.database import Db
from records.market.series import find_sizes

PART_TICKERS = 100


@dataclass(frozen=True, slots=True)
class _Group:
    """Tickers of a market that share a model."""

    market: str
    model: LoadedModel
    tickers: tuple[str, ...]


def open_features(database: Db, models: ModelManager, asked: Asked) -> Table:
    """Return a table of the model's inputs of every bar that can be scored, with a row for each
    bar, or for each feature of each bar.

    Where models have different features, a table with a row for each bar has all of them. Raises
    NoModel, ModelIntegrity, and BadInput where none of the tickers has bars.
    """
    sizes = find_sizes(database, tickers=asked.tickers, interval=asked.one_interval)
    if not sizes:
        raise BadInput(f"none of these tickers has {asked.one_interval} bars", reason="no_bars")
    by_market: dict[str, list[str]] = {}
    for size in sizes:
        by_market.setdefault(size["market"], []).append(size["ticker"])
    groups = [
        _Group(market, model, members)
        for market, tickers in by_market.items()
        for model, members in models.group_by_model(market, asked.one_interval, tickers)
    ]
    names = list(
        dict.fromkeys(name for group in groups for name in group.model.feature_set.columns)
    )
    head = name_columns(ticker="text", interval="text", time="time", model_version="text")
    most = sum(size["bars"] for size in sizes)
    if asked.layout == "wide":
        columns = head + tuple(Column(name, "number") for name in names)
        return Table(columns, _list_wide(database, groups, names, asked), most)
    columns = head + name_columns(feature="text", value="number")
    return Table(columns, _list_long(database, groups, asked), most * len(names))


def _list_wide(database: Db, groups: list[_Group], names: list[str], asked: Asked) -> Iterator[Row]:
    for group in groups:
        own = group.model.feature_set.columns
        places = [own.index(name) if name in own else None for name in names]
        for whose, inputs in _list_rows(database, group, asked):
            yield (*whose, *(None if place is None else inputs[place] for place in places))


def _list_long(database: Db, groups: list[_Group], asked: Asked) -> Iterator[Row]:
    for group in groups:
        own = group.model.feature_set.columns
        for whose, inputs in _list_rows(database, group, asked):
            for name, value in zip(own, inputs, strict=True):
                yield (*whose, name, value)


def _list_rows(
    database: Db, group: _Group, asked: Asked
) -> Iterator[tuple[tuple[str, str, int, str], list[float]]]:
    """Yield for each bar its ticker, interval, time and model, and its inputs."""
    for ticker, times, inputs in _read(database, group, asked):
        for time, row in zip(times.tolist(), inputs.tolist(), strict=True):
            yield (ticker, asked.one_interval, time * MICROSECONDS, group.model.version), row


def _read(database: Db, group: _Group, asked: Asked) -> Iterator[tuple[str, Int64, Float32]]:
    """Yield each ticker with the times of its bars (n,) and their inputs (n, d)."""
    now = datetime.now(UTC)
    first, last = (None if at is None else int(at.timestamp()) for at in (asked.start, asked.end))
    if group.model.feature_set.sees_market and has_days(asked.one_interval):
        refresh_days(database, group.market, asked.one_interval, now)
    for start in range(0, len(group.tickers), PART_TICKERS):
        tickers = group.tickers[start : start + PART_TICKERS]
        job = Job(
            run_id="export",
            task="evaluate",
            trigger="manual",
            market=group.market,
            tickers=tickers,
            interval=asked.one_interval,
            period=None,
            started_at=now,
        )
        wanted = {ticker: (Stretch(first, last=last),) for ticker in tickers}
        with database.client.start_session(snapshot=True) as session:
            plan = plan_stretches(database, job, wanted, session)
            known = {ticker: wanted[ticker] for ticker in tickers if ticker in plan.series}
            loaded = load(database, plan, group.model, known, session)
        seen = show(loaded)
        panel, inputs = loaded.panel, seen.shown.get_wanted()
        bounds = np.searchsorted(seen.rows, panel.offsets)
        for position, ticker in enumerate(panel.tickers):
            rows = slice(bounds[position], bounds[position + 1])
            yield ticker, panel.times[seen.rows[rows]], inputs[rows]
