"""Computing the metrics of a batch's tickers, with what their market did."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from pymongo.client_session import ClientSession

from analytics.calendar import count_bars_per_year, count_expected_bars
from analytics.market import MarketBar, arrange, describe_market, surround
from analytics.metric import SET
from analytics.snapshot import compute_snapshots
from analytics.subject import (
    CONTEXT_BARS,
    FAST,
    YEAR,
    Depth,
    Subject,
    Taken,
    build_subject,
    count_market_days,
    find_first_rows,
    find_reach,
    find_season_start,
)
from core.arrays import Int64
from market.bars.fingerprint import PanelFingerprints
from market.bars.panel import BarPanel, join_panels, keep_series
from market.bars.sound import read_sound_bars
from market.bars.store import Wanted
from market.intervals import DAY_SECONDS, is_intraday
from market.markets import Market, load_markets
from market.sessions.calendar import Sessions, local_seconds
from market.sessions.overrides import find_sessions
from records.analytics import markets, overview, snapshots
from records.analytics.documents import FailureDocument, MarketSnapshotDocument, SnapshotDocument
from records.analytics.snapshots import build_snapshot_id
from records.database import Db, in_transaction
from records.market.documents import PanelSeries
from records.market.series import build_series_id, find_market_panel_series
from records.work.batches import Batch
from records.work.documents import BatchResult, RunDocument, TickerFailure
from tasks.engine.kind import Result
from tasks.kinds.bar_ticks import find_books, find_bounds, sum_takers
from tasks.kinds.parts import build_checkpoint, build_finish
from tasks.process.worker import Worker

INTRADAY_DAYS = 90
"""How long snapshots of intraday bars are kept; those of a day and longer are for ever."""
PART_BARS = 2_000
"""Bars asked about that are computed at once: what their windows take stays in the tens of MB."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a batch asks for: the last `bars` bars of tickers of one market and interval."""

    run_id: str
    market: Market
    interval: str
    bars: int
    sessions: Sessions
    now: datetime


@dataclass(frozen=True, slots=True)
class Load:
    """The bars of a batch's tickers, those of their market, and what could not be used.

    Attributes:
        series: the documents of all series of the market, by ticker.
        panel: of the batch's tickers, None where nothing of them is left.
        around: of all the market's tickers, as far back as the market of the bars asked about is
            looked at.
        failures: for each ticker of the batch that is left out a reason and an error.
        books: the latest order book of each bar asked about, None where no ticker has any.
        taken: what takers bought and sold in each bar of the panel, None where there are no trades.
    """

    series: Mapping[str, PanelSeries]
    panel: BarPanel | None
    around: BarPanel | None
    failures: dict[str, tuple[str, str]]
    books: Sequence[Depth | None] | None = None
    taken: Taken | None = None


def compute(worker: Worker, run: RunDocument, batch: Batch) -> Result:
    """Compute and store the snapshots of the batch's tickers, and their market's."""
    database, market = worker.database, load_markets(worker.database).choose(str(batch.market))
    checkpoint, finish = build_checkpoint(worker, batch), build_finish(database, batch)
    sessions, bars = find_sessions(database, market), int(run["options"].get("bars", 1))
    work = Work(run["_id"], market, run["interval"], bars, sessions, datetime.now(UTC))
    checkpoint(0.0)
    loaded = load(database, work, batch.tickers)
    checkpoint(0.3)
    documents, market_bars = describe(work, loaded, checkpoint)
    failures: list[TickerFailure] = [
        {"ticker": ticker, "reason": reason, "error": error}
        for ticker, (reason, error) in loaded.failures.items()
    ]
    result: BatchResult = {
        "tickers_done": len(batch.tickers) - len(failures),
        "tickers_failed": len(failures),
        "failures": failures,
        "rows_loaded": 0 if loaded.panel is None else int(loaded.panel.times.size),
        "rows_processed": len(documents),
    }

    computed = sorted(
        {build_series_id(document["ticker"], work.interval) for document in documents}
    )
    unusable = [
        _build_failure(work, loaded.series[ticker], error)
        for ticker, (_, error) in loaded.failures.items()
        if ticker in loaded.series
    ]

    def write(session: ClientSession) -> None:
        write_documents(database, work, documents, market_bars, session)
        overview.note_failures(database, unusable, computed, session)
        finish(session, result)

    in_transaction(database, write)
    return {"detection_run_id": run["_id"], "snapshots": len(documents)}


def load(database: Db, work: Work, tickers: Sequence[str]) -> Load:
    """Return the bars of a batch's tickers, and of their market, in one snapshot."""
    with database.client.start_session(snapshot=True) as session:
        series = find_market_panel_series(database, work.market.code, work.interval, session)
        lasts = {ticker: int(s["last_bar"].timestamp()) for ticker, s in series.items()}
        failures = {
            ticker: _explain_absent(ticker, work) for ticker in tickers if ticker not in series
        }
        own = [ticker for ticker in tickers if ticker in series]
        # The season of intraday bars is counted in days: of many bars the first's is not known.
        is_counted_in_days = is_intraday(work.interval) and work.bars > 1
        mine: dict[str, Wanted] = {
            ticker: (
                None if is_counted_in_days else find_season_start(lasts[ticker], work.interval),
                None,
            )
            for ticker in own
        }

        def reach(index: int, interval: str) -> int:
            return find_reach(max(0, index - work.bars + 1), interval)

        panel, unusable = read_sound_bars(database, work.interval, series, mine, session, reach)
        failures |= {ticker: ("bad_bars", error) for ticker, error in unusable.items()}
        if panel is None:
            return Load(series, None, None, failures)
        rows = choose_rows(panel, work.bars)
        since = find_market_start(panel, rows)
        # Of a series that goes on after another ended, the bars beside that one's are not there
        # yet.
        reaching = [s for s, ticker in enumerate(panel.tickers) if _reaches(panel, s, since)]
        seen = {panel.tickers[s] for s in reaching}
        others: dict[str, Wanted] = {
            ticker: (min(since, lasts[ticker]), None)
            for ticker in sorted(series.keys() - seen - failures.keys())
        }
        around = [keep_series(panel, reaching)] if reaching else []
        if others:
            beside, _ = read_sound_bars(
                database, work.interval, series, others, session, find_context_reach
            )
            around += [] if beside is None else [beside]
        bounds = find_bounds(panel, rows, work.market, work.sessions)
        return Load(
            series,
            panel,
            join_panels(around) if around else None,
            failures,
            books=find_books(database, panel, rows, bounds),
            taken=sum_takers(database, panel, rows, work.market, work.sessions),
        )


def _reaches(panel: BarPanel, series: int, since: int) -> bool:
    """Whether a panel has all stored bars of a series from a time on."""
    return bool(panel.first_index[series] == 0 or panel.times[panel.offsets[series]] <= since)


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


def choose_rows(panel: BarPanel, bars: int) -> Int64:
    """Return the rows of the last `bars` bars of each series, in the panel's order."""
    lengths = np.minimum(np.diff(panel.offsets), bars)
    firsts = panel.offsets[1:] - lengths
    ends = np.cumsum(lengths)
    rows: Int64 = np.arange(ends[-1]) + np.repeat(firsts - (ends - lengths), lengths)
    return rows


def find_market_start(panel: BarPanel, rows: Int64) -> int:
    """Return the time from which the market of the bars asked about is looked at."""
    return int(panel.times[rows].min()) - count_market_days(panel.interval) * DAY_SECONDS


def find_context_reach(index: int, _interval: str) -> int:
    """Return the position of the first bar by which another series of the market is judged."""
    return max(0, index - CONTEXT_BARS)


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
    # A bar on a day of which the calendar knows no session is held all the same.
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


def write_documents(
    database: Db,
    work: Work,
    documents: Sequence[SnapshotDocument],
    market_bars: Sequence[MarketBar],
    session: ClientSession,
) -> None:
    """Write snapshots, the overview of the latest of each series, and market snapshots."""
    latest = {document["ticker"]: document for document in documents}
    bars = {ticker: document["time"] for ticker, document in latest.items()}
    grades = overview.find_grades(database, work.interval, bars, session)
    shown = [
        overview.build_overview_document(document, work.market.code, grades.get(ticker))
        for ticker, document in latest.items()
    ]
    snapshots.write_snapshots(database, documents, session)
    overview.write_overview(database, shown, session)
    if shown:
        overview.raise_version(database, work.market.code, work.interval, session)
    markets.write_market_snapshots(
        database, [_build_market_snapshot(work, bar) for bar in market_bars], session
    )


def _build_market_snapshot(work: Work, bar: MarketBar) -> MarketSnapshotDocument:
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


def _build_failure(work: Work, series: PanelSeries, error: str) -> FailureDocument:
    return {
        "_id": series["_id"],
        "as_of": series["last_bar"],
        "bars_revision": series["revision"],
        "set": SET,
        "error": error,
        "run_id": work.run_id,
    }


def _explain_absent(ticker: str, work: Work) -> tuple[str, str]:
    text = f"{ticker} has no stored {work.interval} bars in market {work.market.code}"
    return ("no_bars", f"{text}; import some (`flask bars import FILE`)")
