"""Analytics: metrics of a series by category, correlations of a set, a market at a glance."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from apiflask import APIBlueprint
from flask import Response

from analytics.catalogue import CATEGORIES, METRICS, list_metrics, tabulate
from analytics.metric import SET, Category, Metric
from api.http.auth import has_scope
from api.http.conditional import NOT_MODIFIED, build_etag, find_unchanged, get_validators
from api.http.idempotency import enqueues
from api.http.paging import Listed, build_page, decode_cursor
from api.http.state import get_database, get_now, get_state
from api.schemas.analytics import (
    AnalysisAnswer,
    AnalysisQuery,
    ComputeBody,
    Correlation,
    CorrelationQuery,
    Overview,
    OverviewQuery,
    describe_window,
)
from records.analytics import markets, overview, snapshots
from records.analytics.documents import OverviewDocument, SnapshotDocument
from records.analytics.sets import build_bars_key, build_set_id, find_set
from records.database import Document
from records.market.series import find_sizes, find_states
from records.work.documents import RunDocument
from records.work.requests import Once
from records.work.watchlists import get_watchlist
from tasks.requests.analytics import request_analytics, request_correlation
from tasks.requests.selection import Selection, select_tickers

analyses = APIBlueprint("analytics", __name__, tag="analytics")

Answer = tuple[Document | Listed[Document], int, dict[str, str]] | Response
UNITS = {metric.name: metric.unit for metric in METRICS}
HEAD = ("ticker", "interval", "time", "bars_per_year", "set", "bars_used", "completeness")
LINEAGE = ("computed_at", "fingerprint", "run_id", "synthetic")


def _describe(category: Category) -> str:
    """Return the description of a category's route for the OpenAPI document."""
    return (
        f"Return {category} as of a series' last bar, or of"
        f" several.\n\n{tabulate(list_metrics(category))}"
    )


def _add_route(category: Category) -> None:
    """Add the route of one category; the seven routes differ only in the metrics they show."""

    def view(query_data: AnalysisQuery) -> Answer:
        return _analyse(category, query_data)

    view.__name__ = f"get_{category}"
    view.__doc__ = _describe(category)
    documented = analyses.doc(responses=NOT_MODIFIED)(analyses.output(AnalysisAnswer)(view))
    bound = analyses.input(AnalysisQuery, location="query")(documented)
    analyses.get(f"/analysis/{category}")(bound)


for _category in CATEGORIES:
    if _category != "correlation":  # which is about a set of tickers and has a route of its own
        _add_route(_category)


def _analyse(category: Category, query: AnalysisQuery) -> Answer:
    database, names = get_database(), query.choose_names(category)
    position = decode_cursor(query.cursor, (datetime,))
    fields = (*HEAD, *LINEAGE, *snapshots.name_fields(names))
    found = snapshots.find_snapshots(
        database,
        query.ticker,
        query.interval,
        as_of=query.as_of,
        start=query.start,
        before=position[0] if position else None,
        limit=query.limit + query.is_list,
        fields=fields,
    )
    if not found and position is None:
        absent = snapshots.explain_absent(database, query.ticker, query.interval, query.as_of)
        if not query.is_list:  # for a series with bars, nothing computed means an empty list
            raise absent
    shown = [(document["_id"], document["computed_at"].isoformat()) for document in found]
    etag = build_etag(category, query.window, query.limit, *shown)
    unchanged = find_unchanged(etag)
    if unchanged is not None:
        return unchanged
    window = query.window or describe_window(names, category)
    documents = [_show(document, category, names, window) for document in found]
    if not query.is_list:
        return documents[0], 200, get_validators(etag)
    page = build_page(documents, query.limit, lambda item: (item["as_of"],))
    return page, 200, get_validators(etag)


def _show(
    document: SnapshotDocument, category: Category, names: Sequence[str], window: int | None
) -> Document:
    return {
        "ticker": document["ticker"],
        "interval": document["interval"],
        "metric": category,
        "as_of": document["time"],
        "window": window,
        "values": {name: document["values"].get(name) for name in names},
        "units": {name: UNITS[name] for name in names},
        "bars_per_year": document["bars_per_year"],
        "missing": document.get("missing", {}),
        "metadata": {
            "set": document["set"],
            "bars_used": document["bars_used"],
            "completeness": document["completeness"],
            "computed_at": document["computed_at"],
            "fingerprint": document["fingerprint"],
            "run_id": document["run_id"],
            "synthetic": document["synthetic"],
        },
    }


def _of_set(metrics: Sequence[Metric]) -> Callable[[Any], Any]:
    """Insert the table of a set's metrics into the description of its view."""

    def document(view: Any) -> Any:
        view.__doc__ = f"{view.__doc__}\n\n{tabulate(metrics)}"
        return view

    return document


@analyses.get("/analysis/correlation")
@analyses.input(CorrelationQuery, location="query")
@analyses.output(Correlation)
@_of_set(list_metrics("correlation"))
def get_correlation(query_data: CorrelationQuery) -> Document:
    """Return how tickers move together, and each with its market.

    What is not computed of the present bars is computed by a run, which is named, if the key may.
    """
    state, interval, as_of = get_state(), query_data.interval, query_data.as_of
    database, selection = state.database, query_data.select()
    if selection.market is not None:
        tickers = overview.find_most_traded(
            database, interval, query_data.limit, market=selection.market
        )
    else:
        tickers = list(select_tickers(database, selection, interval)[0])
    if selection.watchlist is not None and len(tickers) > query_data.limit:
        tickers = overview.find_most_traded(database, interval, query_data.limit, tickers=tickers)
    answer: Document = {
        "interval": interval,
        "tickers": tickers,
        "series": _list_series(tickers, interval, as_of),
    }
    if len(tickers) < 2:
        return answer | {"missing": {"correlation_matrix": {"reason": "too_few_tickers"}}}
    key = build_bars_key(find_states(database, tickers=tickers, interval=interval), SET)
    stored = find_set(database, build_set_id(tickers, interval, as_of))
    if stored is not None and stored["bars_key"] == key:
        return answer | stored
    missing = {"correlation_matrix": {"reason": "not_computed"}}
    if not has_scope("enqueue"):
        return answer | {"missing": missing}
    run = request_correlation(
        database,
        state.celery,
        tuple(sorted(tickers)),
        interval=interval,
        as_of=as_of,
        bars_key=key,
        now=get_now(),
    )
    return answer | {"missing": missing, "run_id": run["_id"]}


@analyses.post("/analysis/compute")
@analyses.input(ComputeBody, example={"market": "US", "interval": "1d"})
@enqueues(analyses)
def compute_metrics(json_data: ComputeBody, once: Once) -> RunDocument:
    """Compute the metrics of a ticker, or of a market's tickers, now.

    By themselves they are computed once a slot, of what has new bars.
    """
    state = get_state()
    (run,) = request_analytics(
        state.database,
        state.celery,
        json_data.select(),
        interval=json_data.interval,
        bars=json_data.bars,
        now=get_now(),
        once=once,
    )
    return run


def _list_series(tickers: Sequence[str], interval: str, as_of: datetime | None) -> list[Document]:
    """Return each ticker's metrics with its benchmark, for the tickers that were computed."""
    names = [metric.name for metric in list_metrics("correlation") if metric.scope != "set"]
    found = snapshots.find_latest(get_database(), tickers, interval, names, as_of)
    return [
        {
            "ticker": document["ticker"],
            "as_of": document["time"],
            "values": {name: document["values"].get(name) for name in names},
            "missing": document.get("missing", {}),
        }
        for document in found
    ]


@analyses.get("/analysis/market-overview")
@analyses.input(OverviewQuery, location="query")
@analyses.output(Overview)
@analyses.doc(responses=NOT_MODIFIED)
def get_market_overview(query_data: OverviewQuery) -> Answer:
    """Return tickers as of their last bar, and what their market does, with an ETag.

    Anything that changes the answer changes the ETag: who brings it back is told 304.
    """
    database, interval = get_database(), query_data.interval
    members = _find_members(query_data.select(), interval)
    codes = members.markets
    versions = [overview.get_version(database, code, interval) for code in codes]
    etag = build_etag(SET, members.version, *codes, *versions, query_data.model_dump_json())
    unchanged = find_unchanged(etag)
    if unchanged is not None:
        return unchanged
    bars = []
    if len(codes) == 1:
        bars = markets.find_market_snapshots(
            database, codes[0], interval, limit=max(1, query_data.history)
        )
    found, locate = _find_overview(query_data, members)
    latest = bars[0]["time"] if bars else max((d["as_of"] for d in found), default=None)
    items = [{**item, "stale": latest is not None and item["as_of"] < latest} for item in found]
    page = build_page(items, query_data.limit, locate)
    market = None
    if len(codes) == 1:
        market = {"code": codes[0], "as_of": latest, "bars": bars[: query_data.history]}
    return {**page, "interval": interval, "market": market}, 200, get_validators(etag)


class _Members(NamedTuple):
    """Of which tickers an overview is (None: all of a market), of which markets these are,
    and the version of the watchlist that they are on; 0 where they are on none.
    """

    tickers: list[str] | None
    markets: list[str]
    version: int = 0


def _find_members(selection: Selection, interval: str) -> _Members:
    """Return the tickers and markets of a selection. Raises NotFound where there is no such
    watchlist.
    """
    if selection.watchlist is not None:
        watchlist = get_watchlist(get_database(), selection.watchlist)
        return _Members(watchlist["tickers"], watchlist["markets"], watchlist["version"])
    if selection.tickers:
        tickers = list(selection.tickers)
        held = find_sizes(get_database(), tickers=tickers, interval=interval)
        return _Members(tickers, sorted({series["market"] for series in held}))
    return _Members(None, [selection.market] if selection.market else [])


def _find_overview(
    query: OverviewQuery, members: _Members
) -> tuple[list[OverviewDocument], Callable[[Document], tuple[bool, Any, str]]]:
    """Return the rows of a page of the overview with one more, and the function that returns a
    row's place.
    """
    kind = str if query.sort_by in {"ticker", "regime"} else float
    position = decode_cursor(query.cursor, (bool, kind, str))
    found = overview.find_overview(
        get_database(),
        query.interval,
        market=query.select().market,
        tickers=members.tickers,
        regime=query.regime,
        prefix=query.prefix.upper(),
        sort_by=query.sort_by,
        descending=query.sort_order == "desc",
        after=(
            overview.Place(position[1] if position[0] else None, position[2]) if position else None
        ),
        limit=query.limit + 1,
    )
    field = overview.SORTS[query.sort_by]

    def locate(document: Document) -> tuple[bool, Any, str]:
        value = document[field]
        return value is not None, kind() if value is None else value, document["ticker"]

    return found, locate
