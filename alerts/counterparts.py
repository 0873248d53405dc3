"""What a ticker can be compared with: another, the index of its market, its sector."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from alerts.groups import load_graph
from core.errors import NotFound
from market.markets import Markets
from records.database import Db
from records.market.documents import SeriesDocument
from records.market.series import find_tickers

MOST_MEMBERS = 50


CounterpartKind = Literal["ticker", "index", "sector"]


class Counterpart(NamedTuple):
    """What a ticker is compared with.

    Attributes:
        kind: the kind of the counterpart; None without a counterpart.
        name: the name of the other ticker, the index or the sector.
        tickers: the tickers whose bars make the second line.
        left_out: the number of the sector's tickers that are left out.
    """

    kind: CounterpartKind | None
    name: str | None
    tickers: Sequence[str]
    left_out: int


@dataclass(frozen=True, slots=True)
class Counterparts:
    """The possible counterparts of a ticker: the index of its market if its bars are stored, the
    sector that groups give it, and the sector's other tickers.
    """

    ticker: str
    interval: str
    market: str
    index: str | None
    sector: str | None
    members: Sequence[str]

    def choose(self, other: str | None, against: Literal["index", "sector"] | None) -> Counterpart:
        """Return another ticker, or the counterpart that is named. Raises NotFound where there is
        none.
        """
        if other is not None:
            return Counterpart("ticker", other, (other,), 0)
        if against is None:
            return Counterpart(None, None, (), 0)
        if against == "index":
            if self.index is None:
                raise NotFound(
                    f"no {self.interval} bars are stored of an index of {self.market} other than"
                    f" {self.ticker} itself; import them, or compare with another ticker"
                )
            return Counterpart("index", self.index, (self.index,), 0)
        if self.sector is None or not self.members:
            raise NotFound(
                f"{self.ticker} is of no sector of which {self.interval} bars of others are stored;"
                " `PUT /groups` says which ticker is of which sector"
            )
        shown = self.members[:MOST_MEMBERS]
        return Counterpart("sector", self.sector, shown, len(self.members) - len(shown))


def find_counterparts(database: Db, markets: Markets, series: SeriesDocument) -> Counterparts:
    """Return the possible counterparts of a series."""
    ticker, interval = series["ticker"], series["interval"]
    graph = load_graph(database)
    sector = graph.find_sector(ticker)
    siblings = graph.list_siblings([sector])[sector] if sector else []
    others = sorted(set(siblings) - {ticker})
    market = markets.get(series["market"])
    named = [market.index_ticker] if market and market.index_ticker else []
    named += market.indices if market else ()
    stored = set(find_tickers(database, interval, tickers=[*others, *named]))
    return Counterparts(
        ticker,
        interval,
        series["market"],
        next((name for name in named if name in stored and name != ticker), None),
        sector,
        [name for name in others if name in stored],
    )
