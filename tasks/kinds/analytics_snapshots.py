"""What was computed of bars, as it is stored."""

import math
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

import numpy as np

from analytics.calendar import count_bars_per_year, count_expected_bars
from analytics.market import MarketBar, arrange, describe_market, surround
from analytics.metric import SET
from analytics.snapshot import compute_snapshots
from analytics.subject import FAST, YEAR, Subject, build_subject, find_first_rows
from market.bars.fingerprint import PanelFingerprints
from market.intervals import is_intraday
from market.sessions.calendar import local_seconds
from records.analytics import markets
from records.analytics.documents import MarketSnapshotDocument, SnapshotDocument
from records.analytics.snapshots import build_snapshot_id
from records.market.documents import PanelSeries
from tasks.kinds.analytics_bars import Load, Work, choose_rows, find_market_start

INTRADAY_DAYS = 90
"""How long snapshots of intraday bars are kept; those of a day and longer are for ever."""
PART_BARS = 2_000
"""Bars asked about that are computed at once: what their windows take stays in the tens of MB."""


def describe(
    work: Work, loaded: Load, checkpoint: Callable[[float], None]
) -> tuple[list[SnapshotDocument], list[MarketBar]]:
    """Return the snapshots of the last bars of each series of a load, and of their market."""
    panel = loaded.panel
    if panel is None:
        return [], []
    rows = choose_rows(panel, work.bars)
    arranged = arrange(loaded.around or panel, work.market.code, find_market_start(panel, rows))
    clock = local_seconds(panel.times, work.market.zone) if is_intraday(work.interval) else None
    documents: list[SnapshotDocument] = []
    done = 0
    for some in np.array_split(rows, -(-rows.size // PART_BARS)):
        rates = count_bars_per_year(work.sessions, work.interval, panel.times[some])
        subject = build_subject(
            panel,
            some,
            bars_per_year=rates,
            clock=clock,
            around=surround(arranged, panel, some),
            depth=None if loaded.books is None else loaded.books[done : done + some.size],
            taken=loaded.taken,
        )
        documents += build_snapshots(work, loaded.series, subject)
        done += some.size
        checkpoint(0.3 + 0.6 * len(documents) / rows.size)
    return documents, describe_market(arranged, np.unique(panel.times[rows]))


def build_snapshots(
    work: Work, series: Mapping[str, PanelSeries], subject: Subject
) -> Iterator[SnapshotDocument]:
    """Yield the documents of a subject's snapshots."""
    panel, rows = subject.panel, subject.rows
    firsts = find_first_rows(panel, rows, subject.series)
    fingerprints = PanelFingerprints(panel)
    year = np.maximum(rows - YEAR + 1, subject.firsts)
    expected = count_expected_bars(
        work.sessions, work.interval, panel.times[year], panel.times[rows]
    )
    held = rows - year + 1
    # A bar on a day without a session in the calendar still counts as one bar held.
    completeness = np.where(expected > 0, np.minimum(1.0, held / np.maximum(expected, 1)), 1.0)
    notional = panel.close * panel.volume
    usual = [
        notional[max(first, row - FAST + 1) : row + 1].mean()
        for first, row in zip(firsts, rows, strict=True)
    ]
    facts = (firsts, rows, panel.close[rows], subject.returns[rows], completeness)
    listed = zip(*(column.tolist() for column in facts), usual, strict=True)
    ends = work.now + timedelta(days=INTRADAY_DAYS) if is_intraday(work.interval) else None
    for snapshot, row in zip(compute_snapshots(subject), listed, strict=True):
        time = datetime.fromtimestamp(snapshot.time, UTC)
        document: SnapshotDocument = {
            "_id": build_snapshot_id(snapshot.ticker, work.interval, time),
            "set": SET,
            "ticker": snapshot.ticker,
            "interval": work.interval,
            "time": time,
            "values": snapshot.values,
            "missing": snapshot.missing,
            "close": row[2],
            "return_1": None if math.isnan(row[3]) else math.expm1(row[3]),
            "notional": float(row[5]),
            "bars_per_year": snapshot.bars_per_year,
            "bars_used": row[1] - row[0] + 1,
            "completeness": row[4],
            "fingerprint": fingerprints.compute(row[0], row[1] + 1),
            "bars_revision": series[snapshot.ticker]["revision"],
            "synthetic": series[snapshot.ticker]["synthetic"],
            "computed_at": work.now,
            "run_id": work.run_id,
        }
        if ends is not None:
            document["expires_at"] = ends
        yield document


def build_market_snapshot(work: Work, bar: MarketBar) -> MarketSnapshotDocument:
    """Return the document of what a market did on a bar."""
    time = datetime.fromtimestamp(bar.time, UTC)
    document: MarketSnapshotDocument = {
        "_id": markets.build_market_snapshot_id(work.market.code, work.interval, time),
        "set": SET,
        "market": work.market.code,
        "interval": work.interval,
        "time": time,
        "tickers": bar.tickers,
        "breadth": {"advance_decline": bar.advance_decline, "above_sma_50": bar.above_sma_50},
        "return": bar.market_return,
        "z": bar.z,
        "regimes": bar.regimes,
        "computed_at": work.now,
        "run_id": work.run_id,
    }
    if is_intraday(work.interval):
        document["expires_at"] = work.now + timedelta(days=INTRADAY_DAYS)
    return document
