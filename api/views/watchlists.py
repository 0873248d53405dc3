"""Watchlists: made, changed and removed; and the switch of the scheduler that scans them."""

import re
from typing import Any

from apiflask import APIBlueprint
from flask import url_for

from api.http.auth import get_person, needs_scope, require_scope
from api.http.notes import change_noted
from api.http.paging import Listed, build_page, decode_cursor
from api.http.state import get_database, get_markets, get_now, get_settings
from api.schemas.watchlists import (
    MatchHeaders,
    NewWatchlist,
    Scheduler,
    SchedulerBody,
    Threshold,
    Watchlist,
    WatchlistBody,
    WatchlistPage,
    WatchlistQuery,
)
from core.errors import BadInput
from detection.models.plan import ThresholdPolicy
from detection.models.registry import check_policy
from market.imports.folders import resolve_folder
from records.alerts.trail import write_noted
from records.keyset import BY_ID
from records.market.series import find_sizes, find_tickers
from records.models.champions import Scope, find_versions
from records.models.documents import PolicyFields
from records.tenancy import get_tenant, qualify
from records.work import scan_switch, watchlists
from records.work.documents import ScanSwitch, ShownWatchlist, WatchlistDocument, WatchlistFields
from tasks.requests.gaps import check_source

lists = APIBlueprint("watchlists", __name__, tag="watchlists")

EXAMPLE = {
    "tickers": ["AAPL", "MSFT"],
    "interval": "1d",
    "schedule": "after_close",
    "enabled": True,
}
# A proxy that compresses answers marks their ETags as weak.
ETAG = re.compile(r'(?:W/)?"(?P<version>[0-9]{1,9})"')
MOVED: Any = {412: "the version of If-Match is not the present one"}
TAKEN: Any = {409: "there is one of this name, or its threshold lets nothing pass, or far too much"}
Answer = tuple[ShownWatchlist, int, dict[str, str]]


class SchedulerState(ScanSwitch):
    """The switch of the periodic scans, and what they scan."""

    watchlists: list[WatchlistDocument]


@lists.get("/watchlists")
@lists.input(WatchlistQuery, location="query")
@lists.output(WatchlistPage)
def list_watchlists(query_data: WatchlistQuery) -> Listed[ShownWatchlist]:
    """List watchlists by name."""
    after = decode_cursor(query_data.cursor, BY_ID.types)
    limit = watchlists.fit_watchlists(get_database(), after=after, limit=query_data.limit)
    found = watchlists.find_watchlists(get_database(), after=after, limit=limit + 1)
    is_on = scan_switch.get_switch(get_database())["enabled"]
    shown = [_show(watchlist, is_on=is_on) for watchlist in found]
    return build_page(shown, limit, BY_ID.locate)


@lists.post("/watchlists")
@lists.input(NewWatchlist, example={"name": "tech", **EXAMPLE})
@lists.output(Watchlist, 201)
@lists.doc(responses=TAKEN)
def add_watchlist(json_data: NewWatchlist) -> Answer:
    """Make a watchlist. One with a threshold or a champion of its own is an admin's."""
    fields = _build_fields(json_data)
    _check_scope(json_data.name, fields)
    _check_threshold(json_data.name, fields, None)
    database, name, now = get_database(), json_data.name, get_now()
    made = write_noted(
        database,
        lambda session: watchlists.add_watchlist(database, name, fields, now, session),
        watchlists.note_watchlist(None, name, fields, by=get_person(), at=now),
    )
    return _answer(made, 201, Location=url_for("watchlists.get_watchlist", name=made["name"]))


@lists.get("/watchlists/<name>")
@lists.output(Watchlist)
def get_watchlist(name: str) -> Answer:
    """Return a watchlist, with its version as ETag."""
    return _answer(watchlists.get_watchlist(get_database(), name))


@lists.put("/watchlists/<name>")
@lists.input(WatchlistBody, example=EXAMPLE)
@lists.input(MatchHeaders, location="headers")
@lists.output(Watchlist)
@lists.doc(responses=MOVED | {409: "its threshold lets nothing pass, or far too much"})
def replace_watchlist(name: str, json_data: WatchlistBody, headers_data: MatchHeaders) -> Answer:
    """Change a watchlist; with `If-Match`, only if nobody else did since it was read.

    Which tickers a threshold or champion of its own is for, and the threshold, are an admin's to
    change.
    """
    fields = _build_fields(json_data)
    _check_scope(name, fields)
    database, now, version = get_database(), get_now(), _read_version(headers_data)
    before = watchlists.get_watchlist(database, name)
    _check_threshold(name, fields, before)
    changed = write_noted(
        database,
        lambda session: watchlists.replace_watchlist(
            database, name, fields, now, version=version, session=session
        ),
        watchlists.note_watchlist(before, name, fields, by=get_person(), at=now),
    )
    return _answer(changed)


@lists.delete("/watchlists/<name>")
@lists.input(MatchHeaders, location="headers")
@lists.output({}, 204)
@lists.doc(responses=MOVED)
def remove_watchlist(name: str, headers_data: MatchHeaders) -> str:
    """Remove a watchlist; its runs and anomalies stay.

    One with a threshold of its own is an admin's.
    """
    _check_scope(name, None)
    database, version = get_database(), _read_version(headers_data)
    change_noted(
        lambda session: watchlists.remove_watchlist(
            database, name, version=version, session=session
        ),
        "remove",
        f"watchlist {name}",
    )
    return ""


@lists.get("/scheduler")
@lists.output(Scheduler)
def get_scheduler() -> SchedulerState:
    """Say whether periodic scans run, and when each watchlist is scanned."""
    return _describe_scheduler(scan_switch.get_switch(get_database()))


@lists.post("/scheduler/toggle")
@needs_scope("admin")
@lists.input(SchedulerBody, example={"enabled": False})
@lists.output(Scheduler)
def toggle_scheduler(json_data: SchedulerBody) -> SchedulerState:
    """Switch periodic scans on or off, for as long as nobody switches again."""
    database, now, enabled = get_database(), get_now(), json_data.enabled
    turned = change_noted(
        lambda session: scan_switch.turn_switch(database, now, enabled=enabled, session=session),
        "change",
        "scheduler",
        {"enabled": "the other" if enabled is None else enabled},
    )
    return _describe_scheduler(turned)


def _describe_scheduler(switch: ScanSwitch) -> SchedulerState:
    lists = watchlists.find_scans(get_database())
    if not switch["enabled"]:
        lists = [{**watchlist, "next_scan": None} for watchlist in lists]
    return {**switch, "watchlists": lists}


def _build_fields(body: WatchlistBody) -> WatchlistFields:
    """Return a watchlist's fields. Raises BadInput where the market of a ticker cannot be told."""
    known = get_markets()
    _check_source(body)
    tickers = list(dict.fromkeys(known.spell(ticker) for ticker in body.tickers))
    stored = find_sizes(get_database(), tickers=tickers, interval=body.interval)
    markets = {series["ticker"]: series["market"] for series in stored}
    of = [markets.get(ticker) or known.get_of(ticker).code for ticker in tickers]
    return {
        "markets": list(dict.fromkeys(of)),
        "tickers": tickers,
        "interval": body.interval,
        "schedule": body.schedule,
        "delay_minutes": body.delay_minutes,
        "threshold": _build_policy(body.threshold),
        "min_confidence": body.min_confidence,
        "enabled": body.enabled,
        "source": body.source,
        "folder": body.folder,
        "with_overview": body.with_overview,
    }


def _check_scope(name: str, wanted: WatchlistFields | None) -> None:
    """Raise ScopeMissing where a watchlist's own threshold or champion is put in force,
    or out of it, by no admin.
    """
    present = watchlists.find_watchlist(get_database(), name)
    policies = [found["threshold"] for found in (present, wanted) if found is not None]
    own = Scope("watchlist", qualify(get_tenant(get_database()), name))
    if not any(policies) and not find_versions(get_database(), [own]):
        return
    if present is not None and wanted is not None:
        same_threshold = present["threshold"] == wanted["threshold"]
        if same_threshold and set(present["tickers"]) == set(wanted["tickers"]):
            return
    deed = f"what decides which bars of watchlist {name!r} are anomalies"
    require_scope("admin", deed, of_tenant=True)


def _check_threshold(name: str, wanted: WatchlistFields, present: WatchlistDocument | None) -> None:
    """Raise Conflict where a threshold that is new lets nothing pass, or far too much."""
    policy = wanted["threshold"]
    if policy is not None and (present is None or present["threshold"] != policy):
        scope = Scope("watchlist", qualify(get_tenant(get_database()), name))
        check_policy(get_database(), scope, ThresholdPolicy(**policy), wanted)


def _check_source(body: WatchlistBody) -> None:
    """Raise BadInput where a folder is named and is no source,
    or is one and not below the watched folder.
    """
    check_source(body.source, body.folder)
    if body.folder is not None:
        resolve_folder(get_settings().watched_folder, body.folder)


def _build_policy(threshold: float | Threshold | None) -> PolicyFields | None:
    """Return a threshold as it is stored. Raises BadInput where its value is out of bounds."""
    if threshold is None:
        return None
    given = (
        threshold if isinstance(threshold, Threshold) else Threshold(kind="grade", value=threshold)
    )
    policy = ThresholdPolicy.choose({given.kind: given.value})
    return {"kind": policy.kind, "value": policy.value}


def _read_version(headers: MatchHeaders) -> int | None:
    """Return the version that the caller last saw; None if any will do."""
    if headers.if_match in (None, "*"):
        return None
    tag = ETAG.fullmatch(headers.if_match)
    if tag is None:
        raise BadInput(f'If-Match {headers.if_match!r} is none of our ETags; they look like "3"')
    return int(tag["version"])


def _answer(watchlist: WatchlistDocument, status: int = 200, **headers: str) -> Answer:
    is_on = scan_switch.get_switch(get_database())["enabled"]
    return _show(watchlist, is_on=is_on), status, {"ETag": f'"{watchlist["version"]}"'} | headers


def _show(watchlist: WatchlistDocument, *, is_on: bool) -> ShownWatchlist:
    """Return a watchlist with its tickers that have no stored bars, and without its next scan where
    periodic scans are off.
    """
    tickers = watchlist["tickers"]
    stored = set(find_tickers(get_database(), watchlist["interval"], tickers=tickers))
    return {
        **watchlist,
        "next_scan": watchlist["next_scan"] if is_on else None,
        "without_bars": [ticker for ticker in tickers if ticker not in stored],
    }
