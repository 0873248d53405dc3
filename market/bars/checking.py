"""Checks that stored bars are those that were written, and that metrics were computed from them."""

from collections.abc import Iterator

from market.bars.buckets import hash_columns, read_columns
from market.bars.fingerprint import PanelFingerprints
from market.bars.oddities import sum_up
from market.bars.packing import BUCKET_FIELDS
from market.bars.sound import read_sound_bars
from records.analytics.documents import OverviewDocument
from records.analytics.overview import find_all
from records.analytics.snapshots import find_lineage
from records.consistency import MEASURE_AGAIN, Disagreement
from records.database import Db
from records.market.documents import bars_in
from records.market.series import find_figured, find_panel_series


def find_damaged_buckets(database: Db) -> Iterator[Disagreement]:
    """Yield each bucket that cannot be read, or whose bars differ from those that were written."""
    fields = {**BUCKET_FIELDS, "sha256": 1}
    advice = "restore it from a backup, or delete the ticker's bars and import them again"
    for bucket in bars_in(database).find({}, fields):
        try:
            is_sound = hash_columns(read_columns(bucket)) == bucket["sha256"]
            found = None if is_sound else "its bars are not those that were written"
        except ValueError as error:
            found = str(error)
        if found is not None:
            yield Disagreement(f"bars {bucket['_id']}", found, advice)


def find_wrong_sums(database: Db) -> Iterator[Disagreement]:
    """Yield each series whose stored oddities are not the sums of its buckets' figures."""
    for series in find_figured(database):
        if series.get("oddities") != sum_up(series["figures"], series["fingerprint"]):
            yield Disagreement(
                f"quality of {series['_id'].replace('::', ' ')}",
                "what looks odd in its bars was not summed up as they are",
                MEASURE_AGAIN,
            )


def find_changed_bars(database: Db) -> Iterator[Disagreement]:
    """Yield each series whose latest metrics were computed from other bars than the stored ones,
    although its revision says that nothing has changed since.
    """
    for shown in find_all(database):
        found = _describe_change(database, shown)
        if found is not None:
            ticker, interval = shown["ticker"], shown["interval"]
            advice = f"import them again, or compute it: `flask analytics run {ticker}`"
            yield Disagreement(f"metrics of {ticker} {interval}", found, advice)


def _describe_change(database: Db, shown: OverviewDocument) -> str | None:
    ticker, interval, time = shown["ticker"], shown["interval"], shown["as_of"]
    snapshot = find_lineage(database, shown["snapshot_id"])
    with database.client.start_session(snapshot=True) as session:
        series = find_panel_series(database, [ticker], interval, session)
        if snapshot is None or ticker not in series:
            return None  # The check of the documents reports this.
        if series[ticker]["revision"] != snapshot["bars_revision"]:
            return None  # The next slot computes it again.
        seconds, used = int(time.timestamp()), snapshot["bars_used"]
        panel, unusable = read_sound_bars(
            database,
            interval,
            series,
            {ticker: (seconds, seconds)},
            session,
            lambda index, _interval: max(0, index - used + 1),
        )
    if panel is None:
        return f"its bars cannot be used: {unusable[ticker]}"
    stop = int((panel.times <= seconds).sum())
    if PanelFingerprints(panel).compute(max(0, stop - used), stop) == snapshot["fingerprint"]:
        return None
    return f"its bars up to {time:%Y-%m-%d %H:%M} are not those that it was computed from"
