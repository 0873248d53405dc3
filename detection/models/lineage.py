"""Finds bars that a model learned from and that are gone by now (plain Python)."""

from datetime import datetime
from typing import TypedDict

from core.words import RevisionKind
from records.database import Db
from records.market.bar_imports import has_import_since
from records.market.documents import RevisionDocument, SeriesEnds
from records.market.revisions import find_removals
from records.market.series import find_ends
from records.models.documents import ModelDocument


class GoneBars(TypedDict):
    """Bars of a ticker that a model learned from and that are gone: why, since when and
    how many.
    """

    ticker: str
    kind: RevisionKind
    at: datetime
    bars: int


def find_gone_bars(database: Db, model: ModelDocument) -> list[GoneBars]:
    """Return, by ticker, the latest removal of bars of a model's training window (deleted, renamed
    or undone) since the model was made, for tickers whose bars were not imported again.
    """
    learned = [trained["ticker"] for trained in model["tickers"]]
    removals = find_removals(
        database,
        learned,
        model["interval"],
        since=model["created_at"],
        start=model["window_start"],
        end=model["window_end"],
    )
    if not removals:
        return []
    latest = {removal["ticker"]: removal for removal in removals}
    ends = {end["ticker"]: end for end in find_ends(database, list(latest), model["interval"])}
    return [
        {
            "ticker": ticker,
            "kind": removal["kind"],
            "at": removal["at"],
            "bars": removal["bars"],
        }
        for ticker, removal in sorted(latest.items())
        if not _are_back(database, model, removal, ends.get(ticker))
    ]


def _are_back(
    database: Db, model: ModelDocument, removal: RevisionDocument, ends: SeriesEnds | None
) -> bool:
    """Return whether a later import has brought back bars over the range of a removal."""
    if ends is None:
        return False
    first = max(removal["first"], model["window_start"])
    last = min(removal["last"], model["window_end"])
    reaches = ends["first_bar"] <= first and ends["last_bar"] >= last
    return reaches and has_import_since(
        database, removal["ticker"], model["interval"], removal["at"]
    )
