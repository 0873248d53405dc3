"""What is known of the stored bars' quality: sessions without bars,
corrected bars, rejected rows.
"""

from apiflask import APIBlueprint

from api.http.paging import Listed, build_page, decode_cursor
from api.http.state import get_database
from api.schemas.data_quality import (
    CoverageQuery,
    RejectedPage,
    RejectedQuery,
    RevisionPage,
    RevisionQuery,
    SeriesCoverage,
)
from market.tickers import normalize_ticker
from records.database import Document
from records.market import rejected, revisions
from records.market.documents import RejectedDocument, RevisionDocument
from records.market.series import get_series

data_quality = APIBlueprint("data_quality", __name__, tag="bars")


@data_quality.get("/tickers/<ticker>/coverage")
@data_quality.input(CoverageQuery, location="query")
@data_quality.output(SeriesCoverage)
def get_coverage(ticker: str, query_data: CoverageQuery) -> Document:
    """Say which sessions, from its first bar to its last, a series has no bar of."""
    series = get_series(get_database(), normalize_ticker(ticker), query_data.interval)
    return {**series, **series.get("coverage", {})}


@data_quality.get("/data/revisions")
@data_quality.input(RevisionQuery, location="query")
@data_quality.output(RevisionPage)
def list_revisions(query_data: RevisionQuery) -> Listed[RevisionDocument]:
    """List what changed in stored bars, the newest first."""
    found = revisions.find_revisions(
        get_database(),
        ticker=query_data.ticker,
        interval=query_data.interval,
        after=decode_cursor(query_data.cursor, revisions.NEWEST_FIRST.types),
        limit=query_data.limit + 1,
    )
    return build_page(found, query_data.limit, revisions.NEWEST_FIRST.locate)


@data_quality.get("/data/rejected")
@data_quality.input(RejectedQuery, location="query")
@data_quality.output(RejectedPage)
def list_rejected(query_data: RejectedQuery) -> Listed[RejectedDocument]:
    """List rows that imports kept aside.

    Those of the newest import come first, each import's in the order of its source.
    """
    found = rejected.find_rejected(
        get_database(),
        ticker=query_data.ticker,
        interval=query_data.interval,
        reason=query_data.reason,
        after=decode_cursor(query_data.cursor, rejected.NEWEST_FIRST.types),
        limit=query_data.limit + 1,
    )
    return build_page(found, query_data.limit, rejected.NEWEST_FIRST.locate)
