"""What is known of the stored bars' quality: gaps, corrected bars, rejected rows."""

from dataclasses import asdict

from apiflask import APIBlueprint

from api.http.idempotency import enqueues
from api.http.paging import Listed, ask_page, build_page
from api.http.state import check_market, get_database, get_markets, get_now, get_state
from api.schemas.data_quality import (
    AcceptBody,
    CoverageQuery,
    FillBody,
    GapPage,
    GapQuery,
    QualityPage,
    QualityQuery,
    RejectedPage,
    RejectedQuery,
    RevisionPage,
    RevisionQuery,
    SeriesCoverage,
)
from market.bars.quality import RULES, WORST_FIRST, find_quality
from market.imports.folders import resolve_folder
from market.tickers import normalize_ticker
from records.database import Document
from records.market import gaps, rejected, revisions
from records.market.documents import GapDocument, RejectedDocument, RevisionDocument
from records.market.series import get_series
from records.work.documents import RunDocument
from records.work.requests import Once
from tasks.requests.gaps import choose_gaps, choose_source, request_fill

LISTED_GAPS = 100

data_quality = APIBlueprint("data_quality", __name__, tag="bars")


@data_quality.get("/tickers/<ticker>/coverage")
@data_quality.input(CoverageQuery, location="query")
@data_quality.output(SeriesCoverage)
def get_coverage(ticker: str, query_data: CoverageQuery) -> Document:
    """Say which sessions, from its first bar to its last, a series has no bar of."""
    series = get_series(get_database(), normalize_ticker(ticker), query_data.interval)
    lacking = gaps.find_lacking(get_database(), series["ticker"], series["interval"], LISTED_GAPS)
    return {**series, **series.get("coverage", {}), "gaps": lacking}


@data_quality.get("/data/gaps")
@data_quality.input(GapQuery, location="query")
@data_quality.output(GapPage)
def list_gaps(query_data: GapQuery) -> Listed[GapDocument]:
    """List the gaps of series: what they lack, the newest sessions first."""
    market = check_market(query_data.market)
    page = ask_page(query_data, gaps.NEWEST_FIRST)
    states = gaps.LACKING if query_data.state is None else (query_data.state,)
    found = gaps.find_gaps(
        get_database(),
        tickers=None if query_data.ticker is None else [query_data.ticker],
        market=market,
        interval=query_data.interval,
        states=states,
        after=page.after,
        limit=page.limit,
    )
    return page.build(found)


@data_quality.post("/data/gaps/fill")
@data_quality.input(FillBody, example={"tickers": ["AAPL"], "source": "yahoo"})
@enqueues(data_quality)
@data_quality.doc(responses={404: "none of these lacks anything that can be filled"})
def fill_gaps(json_data: FillBody, once: Once) -> RunDocument:
    """Ask a source for the bars that series lack.

    Without `source` it is that of the watchlists that hold the tickers. A gap that stays is asked
    for again after 1 h, 6 h, 1 d and 3 d where a watchlist has a source, and is then an `error`.
    """
    state = get_state()
    found = choose_gaps(
        state.database,
        ids=json_data.gaps or None,
        tickers=json_data.tickers or None,
        market=check_market(json_data.market),
        interval=json_data.interval,
    )
    if json_data.folder is not None:
        resolve_folder(state.settings.watched_folder, json_data.folder)
    source = choose_source(state.database, found, json_data.source, json_data.folder)
    return request_fill(state.database, state.celery, found, source, now=get_now(), once=once)


@data_quality.post("/data/gaps/accept")
@data_quality.input(AcceptBody, example={"gaps": ["AAPL::1d::2012-10-31"], "reason": "halt"})
@data_quality.output(GapPage)
@data_quality.doc(responses={404: "there is no such gap"})
def accept_gaps(json_data: AcceptBody) -> Listed[GapDocument]:
    """Say why gaps are as they are: they are expected then, and nobody is asked for them."""
    gaps.accept_gaps(get_database(), json_data.gaps, json_data.reason)
    found = gaps.find_gaps(get_database(), ids=json_data.gaps)
    return build_page(found, len(found), gaps.NEWEST_FIRST.locate)


@data_quality.get("/data/quality")
@data_quality.input(QualityQuery, location="query")
@data_quality.output(QualityPage)
def list_quality(query_data: QualityQuery) -> Document:
    """Say how good the stored bars of each series are, the worst first.

    A score is 100 less, for each figure, the figure times `points`, at most `most`: `formula` has
    these.
    """
    market = check_market(query_data.market)
    page = ask_page(query_data, WORST_FIRST)
    found = find_quality(
        get_database(),
        get_markets(),
        get_now(),
        market=market,
        interval=query_data.interval,
        ticker=query_data.ticker,
        after=page.after,
        limit=page.limit,
    )
    return {**page.build(found), "formula": [asdict(rule) for rule in RULES]}


@data_quality.get("/data/revisions")
@data_quality.input(RevisionQuery, location="query")
@data_quality.output(RevisionPage)
def list_revisions(query_data: RevisionQuery) -> Listed[RevisionDocument]:
    """List what changed in stored bars, the newest first."""
    page = ask_page(query_data, revisions.NEWEST_FIRST)
    found = revisions.find_revisions(
        get_database(),
        ticker=query_data.ticker,
        interval=query_data.interval,
        after=page.after,
        limit=page.limit,
    )
    return page.build(found)


@data_quality.get("/data/rejected")
@data_quality.input(RejectedQuery, location="query")
@data_quality.output(RejectedPage)
def list_rejected(query_data: RejectedQuery) -> Listed[RejectedDocument]:
    """List rows that imports kept aside.

    Those of the newest import come first, each import's in the order of its source.
    """
    page = ask_page(query_data, rejected.NEWEST_FIRST)
    found = rejected.find_rejected(
        get_database(),
        ticker=query_data.ticker,
        interval=query_data.interval,
        reason=query_data.reason,
        after=page.after,
        limit=page.limit,
    )
    return page.build(found)
