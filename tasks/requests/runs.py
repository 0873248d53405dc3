"""The API and the command line ask for runs through one function a kind."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import IO, Any, Literal
from uuid import uuid4

from celery import Celery

from alerts.learned import find_enough_votes
from core.errors import BadInput, Conflict, NotFound
from core.words import Trigger
from detection.detectors.weights import MEASURED
from detection.models.plan import TrainingPlan, find_training_series
from detection.models.single_series import FitRequest
from market.imports.options import NO_OPTIONS, ReadingOptions
from market.intervals import parse_period, period_start
from market.markets import load_markets
from market.sessions.freshness import count_sessions_behind
from records.database import Db
from records.findings.verifications import find_any_selected
from records.leftovers import RETRIED_WITHIN
from records.market import uploads
from records.market.series import find_ends, find_sizes
from records.market.session_days import find_session_days
from records.models.champions import find_champions
from records.models.models import get_model_record
from records.models.single_series import write_points
from records.work import audits, runs, watchlists
from records.work.documents import RunDocument, WatchlistDocument
from records.work.requests import COMMAND_LINE, NOT_ONCE, Once, RunRequest
from tasks.engine.accept import accept_run
from tasks.requests.selection import Selection, select_tickers

NAMED_STALE = 100
MOST_KEPT_SCORES = 5_000_000


@dataclass(frozen=True, slots=True)
class PeriodicScan:
    """What a periodic scan is besides: of which markets (None: all of its watchlist),
    and after which fetch of bars.
    """

    only_markets: tuple[str, ...] | None = None
    fetch_run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What a caller who waits for what is found asks besides.

    Attributes:
        detector: by which; None for the champions.
        store: whether what is found is kept, and becomes alerts.
        include_explanation, include_root_cause: what the answer is to have.
    """

    detector: str | None = None
    store: bool = True
    include_explanation: bool = True
    include_root_cause: bool = True


LATEST_BARS = "5d"


def request_look(
    database: Db,
    celery: Celery,
    selection: Selection,
    look: Look,
    *,
    interval: str,
    period: str | None,
    now: datetime,
    once: Once = NOT_ONCE,
) -> RunDocument:
    """Accept a detection whose caller wants to see what is found, and return its run.

    Stored, it looks at what has come since each series' watermark or, with a period, is a backfill
    that raises alerts; not stored, it looks at the last five days, or at the period.

    Raises as `request_detection`, and BadInput where another detector than a champion's would
    decide what is stored.
    """
    if look.store and look.detector is not None:
        _check_detector(database, selection, interval, look.detector)
    is_backfill = look.store and period is not None
    return request_detection(
        database,
        celery,
        selection,
        task="backfill" if is_backfill else "incremental",
        trigger="backfill" if is_backfill else "manual",
        interval=interval,
        period=period if look.store else period or LATEST_BARS,
        raise_alerts=is_backfill,
        look=look,
        now=now,
        once=once,
    )


def _check_detector(database: Db, selection: Selection, interval: str, detector: str) -> None:
    """Raise BadInput where the champion of a ticker is of another detector."""
    tickers, _ = select_tickers(database, selection, interval)
    markets = {series["market"] for series in find_ends(database, tickers, interval)}
    for market in sorted(markets):
        found = find_champions(database, market, interval, tickers, watchlist=selection.watchlist)
        for version in sorted({champion.version for champion in found.values()}):
            used = get_model_record(database, version)["parameters"]["detector"]
            if used != detector:
                raise BadInput(
                    f"what is stored is what the champion says, and {version} is of the detector"
                    f" {used}, not {detector}; ask with store false, or promote a model of it",
                    reason="not_the_champions_detector",
                )


def request_detection(  # noqa: PLR0913 - each is one thing that callers ask for, by its name
    database: Db,
    celery: Celery,
    selection: Selection,
    *,
    interval: str,
    now: datetime,
    task: Literal["backfill", "incremental"] = "incremental",
    trigger: Trigger = "manual",
    period: str | None = None,
    force: bool = False,
    walk_forward: bool = False,
    keep_scores: bool = False,
    raise_alerts: bool = False,
    scan: PeriodicScan | None = None,
    look: Look | None = None,
    once: Once = NOT_ONCE,
) -> RunDocument:
    """Accept a detection and return its run.

    With `force`, backfills in the way of a backfill are cancelled.

    With `walk_forward` each stretch is scored by the latest model that had not seen it, not by the
    champion. With `keep_scores` the score of every bar is kept. With `raise_alerts` a backfill's
    anomalies become alerts, as a scan's do. Of a watchlist a periodic `scan` may be of some markets
    only; those without bars are named in the run's options, and where a scheduled scan finds no bar
    of the last session, those tickers too. A watchlist may ask for an overview of its markets in
    the run's result.

    Raises:
        NotFound: a ticker has no stored bars.
        Conflict: a backfill of one of these series is open (`run_id` names it).
        BadInput: the key of `once` belongs to another request, or the scores of so many bars cannot
            be kept.
    """
    only_markets = scan.only_markets if scan else None
    tickers, without_bars = select_tickers(database, selection, interval, only_markets)
    if keep_scores:
        _check_kept(database, tickers, interval)
    options: dict[str, Any] = {
        "walk_forward": walk_forward,
        "keep_scores": keep_scores,
        "raise_alerts": raise_alerts,
        "without_bars": without_bars,
    }
    if look is not None:
        options |= {"detector": None if look.store else look.detector}
    if scan is not None:
        options |= {"only_markets": list(only_markets or ()), "fetch_run_id": scan.fetch_run_id}
        options["stale"] = _find_stale(database, tickers, interval, now)
    if selection.watchlist:
        watchlist = watchlists.get_watchlist(database, selection.watchlist)
        options["with_overview"] = watchlist.get("with_overview", False)
    options["not_looked_at"] = _find_left_out(database, tickers, interval, period)
    request = RunRequest(
        task,
        trigger,
        tickers=tickers,
        interval=interval,
        period=period,
        market=selection.market,
        watchlist=selection.watchlist,
        options={name: value for name, value in options.items() if value}
        | ({} if look is None else _describe_look(look)),
        once=once,
    )
    run = accept_run(database, celery, request, now=now, force=force)
    is_stored = look is None or look.store
    if task == "incremental" and selection.watchlist and is_stored:
        watchlists.note_last_scan(database, selection.watchlist, run)
    return run


def _check_kept(database: Db, tickers: Sequence[str], interval: str) -> None:
    bars = sum(
        series["bars"] for series in find_sizes(database, tickers=tickers, interval=interval)
    )
    if bars > MOST_KEPT_SCORES:
        raise BadInput(
            f"these series have {bars:,} bars, and the scores of {MOST_KEPT_SCORES:,} at the most"
            " are kept; name fewer tickers",
            reason="too_many_bars",
        )


def _describe_look(look: Look) -> dict[str, Any]:
    return {
        "store": look.store,
        "include_explanation": look.include_explanation,
        "include_root_cause": look.include_root_cause,
    }


def _find_stale(
    database: Db, tickers: Sequence[str], interval: str, now: datetime
) -> dict[str, Any] | None:
    """Return of how many tickers, some of them by name, there is no bar of the last session."""
    noted = find_session_days(database)
    behind = {
        end["_id"].partition("::")[0]: count_sessions_behind(
            end, noted.get(end["market"]), now, timedelta(0)
        )
        for end in find_ends(database, tickers, interval)
    }
    stale = sorted(ticker for ticker, sessions in behind.items() if sessions)
    return {"tickers": len(stale), "named": stale[:NAMED_STALE]} if stale else None


def _find_left_out(
    database: Db, tickers: Sequence[str], interval: str, period: str | None
) -> dict[str, Any] | None:
    """Return of how many tickers, from which day on,
    a period leaves bars out; None where of none.
    """
    if period is None:
        return None
    asked = parse_period(period)
    left = []
    for series in find_ends(database, tickers, interval):
        start = period_start(asked, series["last_bar"])
        if start is not None and series["first_bar"] < start:
            left.append((series["first_bar"], start))
    if not left:
        return None
    return {
        "tickers": len(left),
        "first": min(first for first, _ in left),
        "before": max(start for _, start in left),
    }


def request_training(
    database: Db,
    celery: Celery,
    market: str,
    *,
    interval: str,
    tickers: Sequence[str],
    options: Mapping[str, Any],
    now: datetime,
    trigger: Trigger = "manual",
    once: Once = NOT_ONCE,
) -> RunDocument:
    """Accept a training and return its run. `options` are those of `TrainingPlan.from_options`.

    Raises BadInput at once where an option cannot be used or there are no bars to learn from, and
    NotFound where too few labels are there for weights that are to be measured by them.
    """
    plan = TrainingPlan.from_options(
        market, markets=load_markets(database), interval=interval, tickers=tickers, options=options
    )
    find_training_series(database, plan)
    if plan.parameters.get("weights") == MEASURED:
        find_enough_votes(database, plan.market, plan.interval)
    request = RunRequest(
        "train",
        trigger,
        tickers=plan.tickers,
        interval=plan.interval,
        market=plan.market,
        options=options,
        once=once,
    )
    return accept_run(database, celery, request, now=now)


def request_verification(
    database: Db,
    celery: Celery,
    options: Mapping[str, Any],
    *,
    now: datetime,
    once: Once = NOT_ONCE,
) -> RunDocument:
    """Accept a verification and return its run; `options` are those of
    `verifications.build_selection`.

    Raises NotFound where there is no such anomaly or model version, and BadInput.
    """
    if "model_version" in options:
        get_model_record(database, options["model_version"])
    anomaly = find_any_selected(database, options)
    if anomaly is None:
        asked = ", ".join(f"{name} {value}" for name, value in options.items())
        advice = ""
        if "run_id" in options:
            advice = (
                "; an anomaly belongs to the run that found it first, so verify a ticker or a model"
                " version instead"
            )
        elif "model_version" in options:
            advice = "; each belongs to the version that found it first: verify a ticker instead"
        raise NotFound(f"there is no anomaly to verify for {asked}{advice}", reason="no_anomalies")
    is_single = len(options.get("anomaly_ids", ())) == 1 or "ticker" in options
    request = RunRequest(
        "verify",
        "verification",
        tickers=(anomaly["Ticker"],) if is_single else (),
        interval=anomaly["interval"],
        market=anomaly["market"] if is_single else None,
        options=options,
        once=once,
    )
    return accept_run(database, celery, request, now=now)


@dataclass(frozen=True, slots=True)
class Sent:
    """Bars as they came in; the ending of the name says what they are.

    Checked: candles whose shape is known.
    """

    content: bytes | IO[bytes]
    filename: str
    is_checked: bool = False


def request_fetch(
    database: Db,
    celery: Celery,
    watchlist: WatchlistDocument,
    *,
    now: datetime,
    once: Once = NOT_ONCE,
) -> RunDocument:
    """Accept a fetch of the bars of a watchlist's tickers from its source, and return its run."""
    request = RunRequest(
        "fetch",
        "scheduler",
        tickers=tuple(watchlist["tickers"]),
        interval=watchlist["interval"],
        watchlist=watchlist["_id"],
        options={"source": watchlist.get("source"), "folder": watchlist.get("folder")},
        once=once,
    )
    return accept_run(database, celery, request, now=now)


def request_import(
    database: Db,
    celery: Celery,
    sent: Sent,
    *,
    interval: str,
    ticker: str | None,
    market: str | None,
    now: datetime,
    reading: ReadingOptions = NO_OPTIONS,
    once: Once = NOT_ONCE,
) -> RunDocument:
    """Keep what was sent and accept its import; return the run.

    Options of the run: upload_id, filename, ticker (whose the bars are where they do not say),
    reading (how the file is to be read where it does not settle that itself) and pushed (whether
    these are candles that the API has checked). Raises BadInput on a market that is not known.
    """
    code = load_markets(database).choose(market).code if market else None
    upload_id = uploads.store_upload(database, sent.filename, sent.content)
    request = RunRequest(
        "import",
        "manual",
        tickers=(ticker,) if ticker else (),
        interval=interval,
        market=code,
        options={
            "upload_id": upload_id,
            "filename": sent.filename,
            "ticker": ticker,
            "market": code,
            "reading": reading.to_dict(),
            "pushed": sent.is_checked,
        },
        once=once,
    )
    run = accept_run(database, celery, request, now=now)
    if run["options"]["upload_id"] != upload_id:  # the same request came in twice at once
        uploads.delete_upload(database, upload_id)
    return run


def request_retry(
    database: Db, celery: Celery, run_id: str, *, now: datetime, once: Once = NOT_ONCE
) -> RunDocument:
    """Accept a run of what another left undone: its failed tickers or,
    where it is about none, the whole of it.

    Raises:
        NotFound: there is no such run.
        Conflict: it goes on (`run_in_progress`), left nothing undone (`nothing_to_retry`), what it
            would import is no longer kept (`upload_gone`), or another backfill of one of its series
            is open.
    """
    run = runs.get_run(database, run_id)
    if run["status"] in runs.OPEN_STATUSES:
        raise Conflict(
            f"run {run_id} is {run['status']}; retry it when it has ended", reason="run_in_progress"
        )
    is_detection = run["task"] in {"backfill", "incremental"}
    tickers = audits.find_unfinished(database, run) if is_detection else run["tickers"]
    if run["status"] == "complete" or (is_detection and not tickers):
        raise Conflict(f"run {run_id} left nothing undone", reason="nothing_to_retry")
    if run["options"].get("by") == COMMAND_LINE:
        raise Conflict(
            f"run {run_id} was done at the command line, which has what it imported; do it there"
            " again",
            reason="upload_gone",
        )
    upload_id = run["options"].get("upload_id")
    if upload_id is not None and not uploads.has_upload(database, upload_id):
        days = RETRIED_WITHIN.days
        raise Conflict(
            f"what run {run_id} imported was kept for {days} days; send it again",
            reason="upload_gone",
        )
    request = RunRequest(
        run["task"],
        run["trigger"],
        tickers=tuple(tickers),
        interval=run["interval"],
        period=run["period"],
        market=run["market"],
        watchlist=run["watchlist"],
        options=run["options"],
        retry_of=run_id,
        once=once,
    )
    return accept_run(database, celery, request, now=now)


def request_series_fit(
    database: Db, celery: Celery, request: FitRequest, *, now: datetime, once: Once = NOT_ONCE
) -> RunDocument:
    """Keep a long history and accept its fit; return the run.

    Options of the run: fit_id (under which the history is stored), series_id, detector, parameters.
    """
    fit_id = uuid4().hex
    write_points(database, fit_id, request.timestamps, request.values, now)
    options = {
        "fit_id": fit_id,
        "series_id": request.series_id,
        "detector": request.kind.name,
        "parameters": asdict(request.parameters),
        "points": request.count,
    }
    wanted = RunRequest("fit_series", "manual", options=options, once=once)
    return accept_run(database, celery, wanted, now=now)
