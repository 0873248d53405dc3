"""Ask Tapewatch from Python.

>>> client = Client("http://127.0.0.1:5000", key="...")
>>> client.anomalies(ticker="AAPL", sort="-grade", limit=10).to_frame()
>>> run = client.start_backfill(ticker="AAPL").wait()

A method that reads a list returns `Pages`: it asks for page after page as it is iterated, and
puts them in order. A method that has work done returns `Started`, whose `wait` shows a progress
bar. What the API refuses is raised as `ApiRefused`, which says why.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, NotRequired, TypedDict, TypeVar, cast
from urllib.parse import quote
from uuid import uuid4

import httpx
from tqdm import tqdm

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self, TypeAlias

    import pandas as pd

TRIES = 5
LONGEST_PAUSE_SECONDS = 30.0
SHORTEST_PAUSE_SECONDS = 0.2
SHORTEST_POLL_SECONDS, LONGEST_POLL_SECONDS = 0.1, 1.0
LONGEST_SILENCE_SECONDS = 60.0
BUSY = {429, 503}
PASSING = {429, 502, 503, 504}
BROKEN = (httpx.NetworkError, httpx.RemoteProtocolError)
BAR = "{desc} {percentage:3.0f}% {bar} {elapsed}"
THIS_MACHINE = {"127.0.0.1", "localhost", "::1"}
ENDED = {"complete", "partial", "failed", "cancelled"}

Item = TypeVar("Item")
Json = dict[str, Any]
Kind = Literal["float64", "int64", "bool"]


class Kept(Enum):
    """That something is left as it is, where None is to take it back."""

    KEPT = "kept"


KEPT = Kept.KEPT
_NULL = object()
# What a field holds that is no list and no choice: float, NotRequired[int | None], RootCause.
_PLAIN = re.compile(r"(?:NotRequired\[)?(?P<type>\w+)(?P<none> \| None)?\]?")
_KINDS: dict[str, Kind] = {"float": "float64", "int": "int64", "bool": "bool"}
Time = str | datetime | date


class TapewatchError(Exception):
    """What this client raises."""


class ApiUnreachable(TapewatchError):
    """The API does not answer."""


class ApiRefused(TapewatchError):
    """The API answered with a problem; its text is what the problem's `detail` says.

    `status` is the HTTP status, `reason` the word to switch on, `errors` has an entry for each
    wrong value, `request_id` is in the server's log, and `document` is all of it.
    """

    def __init__(self, status: int, document: Mapping[str, Any]) -> None:
        self.document = document
        self.status = status
        self.detail = str(document.get("detail") or f"the API answered {status}")
        self.reason = str(document.get("reason") or "")
        self.errors: list[Json] = list(document.get("errors") or [])
        self.request_id = document.get("request_id")
        super().__init__(self.detail)


class RunFailed(TapewatchError):
    """A run ended failed or cancelled; `run` is its document."""

    def __init__(self, run: Run) -> None:
        self.run = run
        said = run.get("error") or "; ".join(run.get("errors", [])[:3]) or "it says no more"
        super().__init__(f"run {run['_id']} ended {run['status']}: {said}")


class RunUnfinished(TapewatchError):
    """A run goes on after the time that it was waited for; ask again, nothing is lost."""


@dataclass(frozen=True)
class Pages(Generic[Item]):
    """A list that comes in pages: iterate it, or take all of it by `to_list` or `to_frame`.

    Nothing is asked before that, and each iteration asks anew.
    """

    _ask: Callable[[Mapping[str, Any]], Json]
    _limit: int | None
    _most: int
    _times: tuple[str, ...] = ()
    _backwards: bool = False
    _columns: tuple[str, ...] = ()
    _kinds: Mapping[str, Kind] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Item]:
        """Yield the items, in the order of the list; bars in the order of time."""
        # Such a list begins with its latest page, and each page is ascending.
        pages = reversed(list(self.pages())) if self._backwards else self.pages()
        for page in pages:
            yield from page["items"]

    def pages(self) -> Iterator[Json]:
        """Yield the pages as the API answers them, with what it says beside `items`."""
        left, cursor = self._limit, None
        while left is None or left > 0:
            size = self._most if left is None else min(left, self._most)
            page = self._ask({"limit": size, "cursor": cursor})
            yield page
            cursor = page["next_cursor"]
            if cursor is None:
                return
            left = None if left is None else left - len(page["items"])

    def to_list(self) -> list[Item]:
        """Return all items."""
        return list(self)

    def to_frame(self) -> pd.DataFrame:
        """Return all items as a data frame: times are times in UTC, numbers are numbers, NaN where
        there is none, and what lies in an object has a column with its path, as
        `features.return_1`. Of no items it has the columns all the same, but none of a path.

        Raises ImportError where pandas is not installed.
        """
        try:
            import pandas as pd  # noqa: PLC0415 - wanted by this alone
        except ImportError as error:
            raise ImportError(
                "to_frame() needs pandas: pip install 'tapewatch-client[frames]'"
            ) from error
        items = cast("list[Json]", list(self))
        frame = pd.json_normalize(items) if items else pd.DataFrame(columns=[*self._columns])
        for name in self._times:
            if name in frame:
                frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601")
        for name, kind in self._kinds.items():
            # Of None alone, or of nothing, a column would be one of objects.
            if name in frame and (kind == "float64" or frame.empty):
                frame[name] = frame[name].astype(kind)
        return frame


@dataclass(frozen=True)
class Started:
    """A run that was accepted and is worked on, whether anybody waits for it or not."""

    accepted: Accepted
    _client: Connection

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self.accepted["run_id"]

    def wait(self, *, progress: bool = True, timeout_seconds: float | None = None) -> Run:
        """Return the run once it has ended; see `Client.wait_for`."""
        return self._client.wait_for(
            self.run_id, progress=progress, timeout_seconds=timeout_seconds
        )


class Connection:
    """How the API is asked; `Client` has a method for each of its operations."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:5000",
        key: str | None = None,
        *,
        prefix: str = "/py",
        timeout_seconds: float = 60.0,
    ) -> None:
        """Keep the address; nothing is asked yet. `prefix` is the server's URL_PREFIX.

        Raises ValueError where the key is none that can be sent.
        """
        self.url = url.rstrip("/").removesuffix(prefix)
        self._prefix = prefix
        self._timeout_seconds = timeout_seconds
        self._http = httpx.Client(
            base_url=self.url,
            timeout=timeout_seconds,
            headers=_authorize(key),
            # Which no proxy of the environment is asked for.
            trust_env=httpx.URL(self.url).host not in THIS_MACHINE,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def wait_for(
        self, run_id: str, *, progress: bool = True, timeout_seconds: float | None = None
    ) -> Run:
        """Return a run's document once it has ended, complete or partial (then `failures` names the
        tickers), and show a bar meanwhile.

        An API that is started again meanwhile is waited for. Raises RunFailed; RunUnfinished after
        `timeout_seconds`, where they are given; and ApiUnreachable or ApiRefused where the API has
        not told of the run for a minute.
        """
        started = told = time.monotonic()
        pause, status = SHORTEST_POLL_SECONDS, "not told of yet"
        with tqdm(total=100, disable=not progress, ncols=80, bar_format=BAR) as bar:
            while True:
                try:
                    run = cast("Run", self._ask("GET", f"/detection-runs/{_quote(run_id)}"))
                except (ApiUnreachable, ApiRefused) as error:
                    silent = time.monotonic() - told
                    if not _is_passing(error) or silent > LONGEST_SILENCE_SECONDS:
                        raise
                    bar.set_description_str("no answer, asking again")
                else:
                    told, status = time.monotonic(), run["status"]
                    bar.set_description_str(f"{run['task']} {status}")
                    bar.update(int(run["progress"]["percent"]) - bar.n)
                    if status in ENDED:
                        break
                waited = time.monotonic() - started
                if timeout_seconds is not None and waited > timeout_seconds:
                    raise RunUnfinished(
                        f"run {run_id} is {status} after {waited:.0f} s; it goes on, and"
                        f" wait_for({run_id!r}) waits again"
                    )
                time.sleep(pause)
                pause = min(pause * 1.5, LONGEST_POLL_SECONDS)
        if run["status"] in {"failed", "cancelled"}:
            raise RunFailed(run)
        return run

    def _ask(
        self, method: str, path: str, *, root: bool = False, is_text: bool = False, **sent: Any
    ) -> Any:
        """Return what an operation answers: its JSON, its text, the bytes of a file, or None where
        it has no content.
        """
        response = self._send(method, path, root=root, **sent)
        if response.status_code == httpx.codes.NO_CONTENT:
            return None
        if "octet-stream" in _media_type(response):
            return response.content
        return response.text if is_text else _read_json(response)

    def _start(self, method: str, path: str, **sent: Any) -> Any:
        """Have work done, once however often the network makes it be asked; return `Started`, or
        what was answered at once.
        """
        response = self._send(method, path, headers={"Idempotency-Key": uuid4().hex}, **sent)
        document = _read_json(response)
        if response.status_code == httpx.codes.ACCEPTED:
            return Started(document, self)
        return document

    def _upload(self, path: str, fields: Mapping[str, Any], *, starts: bool) -> Any:
        """Send a form whose `file` is a path."""
        file = Path(fields["file"])
        with file.open("rb") as content:
            sent: Json = {
                "files": {"file": (file.name, content)},
                "data": {
                    name: str(value).lower() if isinstance(value, bool) else value
                    for name, value in _clean(fields).items()
                    if name != "file"
                },
            }
            return self._start("POST", path, **sent) if starts else self._ask("POST", path, **sent)

    def _pages(
        self,
        path: str,
        params: Mapping[str, Any],
        limit: int | None,
        *,
        most: int,
        item: type,
        times: tuple[str, ...] = (),
        backwards: bool = False,
    ) -> Pages[Any]:
        def ask(page: Mapping[str, Any]) -> Json:
            answer: Json = self._ask("GET", path, params={**params, **page})
            return answer

        named = params.get("fields")
        columns = tuple(named.split(",") if named else item.__annotations__)
        return Pages(ask, limit, most, times, backwards, columns, _find_kinds(item))

    def _lines(self, method: str, path: str, **sent: Any) -> Iterator[str]:
        """Yield the lines of an answer as they come.

        It may go on for hours, but is never silent for long.
        """
        sent["params"] = _clean(sent.get("params") or {})
        silence = max(self._timeout_seconds, LONGEST_SILENCE_SECONDS)
        timeout = httpx.Timeout(self._timeout_seconds, read=silence)
        with ExitStack() as stack:
            try:
                response = stack.enter_context(
                    self._http.stream(method, self._prefix + path, timeout=timeout, **sent)
                )
                if not response.is_success:
                    response.read()
                    raise _explain(response)
                if response.status_code == httpx.codes.ACCEPTED:
                    response.read()
                    run_id = _read_json(response)["run_id"]
                    raise RunUnfinished(
                        f"run {run_id} still writes it: after wait_for({run_id!r}) the files are"
                        f" named by export({run_id!r})"
                    )
                if "parquet" in _media_type(response):
                    raise TypeError(
                        f"{_media_type(response)} is no text: start_export() has it written, and"
                        " export_file() brings it"
                    )
                yield from response.iter_lines()
            except httpx.RequestError as error:
                raise self._describe(error) from error

    def _send(self, method: str, path: str, *, root: bool = False, **sent: Any) -> httpx.Response:
        """Return the answer. What may be asked twice is, where the API says that it is busy, and
        where the connection breaks.

        Raises ApiRefused and ApiUnreachable.
        """
        sent["params"] = _clean(sent.get("params") or {})
        if "json" in sent and isinstance(sent["json"], Mapping):
            sent["json"] = _clean(sent["json"])
        may_repeat = (method == "GET" or "headers" in sent) and "files" not in sent
        url = path if root else self._prefix + path
        for attempt in range(1, TRIES + 1):
            is_last = not may_repeat or attempt == TRIES
            try:
                response = self._http.request(method, url, **sent)
            except httpx.RequestError as error:
                if is_last or not isinstance(error, BROKEN):
                    raise self._describe(error) from error
                pause: float | None = SHORTEST_PAUSE_SECONDS * 2 ** (attempt - 1)
            else:
                pause = _read_pause(response)
            if is_last or pause is None:
                break
            time.sleep(pause)
        if not response.is_success:
            raise _explain(response)
        return response

    def _describe(self, error: httpx.RequestError) -> ApiUnreachable:
        return ApiUnreachable(
            f"Tapewatch at {self.url} does not answer: {error or type(error).__name__}; is it"
            " running, and is that its address?"
        )


def _authorize(key: str | None) -> dict[str, str]:
    """Return the header of a key; blanks around it are what files and shells put there."""
    key = (key or "").strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError("the key has characters that no API key has; was it copied whole, alone?")
    return {"Authorization": f"Bearer {key}"} if key else {}


def _is_passing(error: ApiUnreachable | ApiRefused) -> bool:
    """Whether it may be otherwise in a moment, as where the API is started again."""
    return isinstance(error, ApiUnreachable) or error.status in PASSING


def _read_json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError as error:
        raise _explain(response) from error


def _explain(response: httpx.Response) -> ApiRefused:
    try:
        document = response.json()
    except ValueError:
        document = None
    if not isinstance(document, dict):
        address = response.url.copy_with(query=None)
        text = f"{address} answered {response.status_code}: {response.text[:200]!r}"
        if location := response.headers.get("Location"):
            text = f"{address} answered {response.status_code} and names {location[:200]!r}"
        document = {"detail": f"{text}; is it Tapewatch that listens there?"}
    return ApiRefused(response.status_code, document)


def _media_type(response: httpx.Response) -> str:
    return str(response.headers.get("Content-Type", "")).partition(";")[0]


def _read_pause(response: httpx.Response) -> float | None:
    """Return the seconds after which a busy API says that it may be asked again."""
    told = response.headers.get("Retry-After", "")
    if response.status_code not in BUSY or not told.isdigit():
        return None
    return min(float(told), LONGEST_PAUSE_SECONDS)


def _clean(values: Mapping[str, Any]) -> Json:
    """Return what was given, as it is sent: what is None is not, and times have their zone."""
    return {name: _plain(value) for name, value in values.items() if value is not None}


def _plain(value: Any) -> Any:
    if value is _NULL:
        return None
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    return value.isoformat() if isinstance(value, date) else value


def _write_null(value: Any) -> Any:
    """Return what `_clean` sends as null where None was given, and leaves out where KEPT was."""
    return None if value is KEPT else _NULL if value is None else value


def _join(values: str | Sequence[str] | None) -> str | None:
    """Return a list of values as a query has them: with commas between."""
    return values if values is None or isinstance(values, str) else ",".join(values)


def _find_kinds(item: type, path: str = "") -> dict[str, Kind]:
    """Return the kinds of a frame's columns that hold numbers, or whether something is so."""
    kinds: dict[str, Kind] = {}
    for name, annotation in item.__annotations__.items():
        match = _PLAIN.fullmatch(getattr(annotation, "__forward_arg__", ""))
        if match is None:
            continue
        column, inner = f"{path}{name}", globals().get(match["type"])
        if match["type"] in _KINDS:
            # Where an object may lack, so may what lies in it.
            may_lack = bool(path or match["none"])
            if not may_lack or match["type"] != "bool":
                kinds[column] = "float64" if may_lack else _KINDS[match["type"]]
        elif inner is not None and hasattr(inner, "__required_keys__"):
            kinds |= _find_kinds(inner, f"{column}.")
    return kinds


def _quote(part: str) -> str:
    return quote(part, safe="")


# What follows is written from the OpenAPI document:

# WRITE_CLIENT=1 make test ARGS='-k client_follows'


class Accepted(TypedDict):
    """A run was written and will be worked on; `Location` is its address."""

    status: str
    run_id: str
    ticker: NotRequired[str | None]
    tickers: list[str]
    market: NotRequired[str | None]
    interval: str
    max_period: NotRequired[str | None]
    message: str


class Access(TypedDict):
    """What the key of this request may do."""

    name: str
    scopes: list[Literal["read", "enqueue", "respond", "admin"]]
    tenant: str | None


class Agreement(TypedDict):
    """How far two versions flag the same, of the bars that both scored."""

    bars: int
    flagged_by_both: int
    only_by_first: int
    only_by_second: int
    strangest_in_common: float | None


class Alert(TypedDict):
    """An alert with what the model read."""

    _id: str
    watchlist: str | None
    entity_type: Literal["ticker", "market", "feed", "series"]
    entity_id: str
    market: str
    interval: str
    direction: Literal["up", "down"]
    bar_time: str
    last_bar: str
    count: int
    anomaly_ids: list[str]
    anomaly_score: float | None
    threshold: float | None
    grade: float
    severity: Literal["low", "medium", "high", "critical"]
    confidence: NotRequired[float | None]
    detector_type: NotRequired[str | None]
    explanation: dict[str, float]
    reasons: list[str]
    metric_name: NotRequired[str | None]
    actual_value: NotRequired[float | None]
    expected_value: NotRequired[float | None]
    scope: NotRequired[Literal["market", "sector", "own", "mixed", "quiet"] | None]
    root_causes: NotRequired[list[str]]
    root_cause: NotRequired[RootCause | None]
    model_version: str | None
    detection_timestamp: str
    parent_id: NotRequired[str | None]
    muted_by: NotRequired[str | None]
    breadth: NotRequired[Widespread | None]
    run_id: str
    state: Literal["active", "acknowledged", "snoozed", "resolved", "expired"]
    owner: NotRequired[str | None]
    acknowledged_at: NotRequired[str | None]
    acknowledged_by: NotRequired[str | None]
    resolved_at: NotRequired[str | None]
    resolved_by: NotRequired[str | None]
    resolution_notes: NotRequired[str | None]
    feedback: NotRequired[Literal["confirmed", "expected", "false_alarm", "new_trend"] | None]
    cause: NotRequired[
        Literal["earnings", "corporate_action", "news", "data_error", "market_wide", "other"] | None
    ]
    snoozed_until: NotRequired[str | None]
    comments: NotRequired[list[Comment]]
    created_at: str
    updated_at: str
    inputs: NotRequired[list[ModelInput]]


class AlertDetail(TypedDict):
    """An alert with its trail and, of a market-wide bar, its tickers' alerts."""

    _id: str
    watchlist: str | None
    entity_type: Literal["ticker", "market", "feed", "series"]
    entity_id: str
    market: str
    interval: str
    direction: Literal["up", "down"]
    bar_time: str
    last_bar: str
    count: int
    anomaly_ids: list[str]
    anomaly_score: float | None
    threshold: float | None
    grade: float
    severity: Literal["low", "medium", "high", "critical"]
    confidence: NotRequired[float | None]
    detector_type: NotRequired[str | None]
    explanation: dict[str, float]
    reasons: list[str]
    metric_name: NotRequired[str | None]
    actual_value: NotRequired[float | None]
    expected_value: NotRequired[float | None]
    scope: NotRequired[Literal["market", "sector", "own", "mixed", "quiet"] | None]
    root_causes: NotRequired[list[str]]
    root_cause: NotRequired[RootCause | None]
    model_version: str | None
    detection_timestamp: str
    parent_id: NotRequired[str | None]
    muted_by: NotRequired[str | None]
    breadth: NotRequired[Widespread | None]
    run_id: str
    state: Literal["active", "acknowledged", "snoozed", "resolved", "expired"]
    owner: NotRequired[str | None]
    acknowledged_at: NotRequired[str | None]
    acknowledged_by: NotRequired[str | None]
    resolved_at: NotRequired[str | None]
    resolved_by: NotRequired[str | None]
    resolution_notes: NotRequired[str | None]
    feedback: NotRequired[Literal["confirmed", "expected", "false_alarm", "new_trend"] | None]
    cause: NotRequired[
        Literal["earnings", "corporate_action", "news", "data_error", "market_wide", "other"] | None
    ]
    snoozed_until: NotRequired[str | None]
    comments: NotRequired[list[Comment]]
    created_at: str
    updated_at: str
    inputs: NotRequired[list[ModelInput]]
    trail: list[TrailEntry]
    trail_cursor: str | None
    children: list[ListedAlert]
    children_cursor: str | None
    archived: bool


class AlertPage(TypedDict):
    """Alerts in the order that was asked for."""

    items: list[ListedAlert]
    next_cursor: str | None


class Alive(TypedDict):
    """A process that answers."""

    status: NotRequired[Literal["ok"]]


class Analysis(TypedDict):
    """The metrics of one category of one series at one bar."""

    ticker: str
    interval: str
    metric: str
    as_of: str
    window: int | None
    values: dict[str, Any]
    units: dict[str, str]
    bars_per_year: float
    missing: dict[str, dict[str, int | str]]
    metadata: SnapshotMetadata


if TYPE_CHECKING:
    AnalysisAnswer: TypeAlias = "Analysis | AnalysisPage"


class AnalysisPage(TypedDict):
    """The same of several bars, the newest first."""

    items: list[Analysis]
    next_cursor: str | None


class Anomaly(TypedDict):
    """A bar whose score passed the threshold, with what is needed to understand it and to
    derive it again.
    """

    _id: str
    Ticker: str
    Datetime: str
    interval: str
    market: str
    Close: float
    Volume: float
    anomaly_score: float
    threshold: float
    grade: float
    severity: Literal["low", "medium", "high", "critical"]
    confidence: NotRequired[float | None]
    confidence_factors: NotRequired[ConfidenceFactors | None]
    members: NotRequired[list[Vote]]
    kind: Literal["event", "fault"]
    detector: NotRequired[str | None]
    fault: NotRequired[
        Literal["level", "split", "price", "stale", "no_volume", "wick", "volume", "move"] | None
    ]
    features: dict[str, float | None]
    inputs: NotRequired[list[ModelInput]]
    attribution: NotRequired[dict[str, float]]
    reasons: NotRequired[list[str]]
    status: Literal["new", "superseded", "bars_gone"]
    sent: bool
    detection_run_id: str
    detection_timestamp: str
    model_version: str
    model_hash: str
    feature_set: str
    bars_fingerprint: str
    market_fingerprint: NotRequired[str | None]
    in_training_window: bool
    suspected_split: NotRequired[float | None]
    scope: NotRequired[Literal["market", "sector", "own", "mixed", "quiet"] | None]
    root_causes: NotRequired[list[str]]
    root_cause: NotRequired[RootCause | None]
    opinions: NotRequired[list[Opinion]]
    superseded_by: NotRequired[str | None]
    superseded_at: NotRequired[str | None]
    bars_gone_at: NotRequired[str | None]
    review: NotRequired[Review | None]
    created_at: str


class AnomalyHistogram(TypedDict):
    """Anomalies counted over time, in spans of whole days."""

    start: str
    span_seconds: int
    spans: list[SpanCount]


class AnomalyInFull(TypedDict):
    """An anomaly, and what its market was like."""

    _id: str
    Ticker: str
    Datetime: str
    interval: str
    market: str
    Close: float
    Volume: float
    anomaly_score: float
    threshold: float
    grade: float
    severity: Literal["low", "medium", "high", "critical"]
    confidence: NotRequired[float | None]
    confidence_factors: NotRequired[ConfidenceFactors | None]
    members: NotRequired[list[Vote]]
    kind: Literal["event", "fault"]
    detector: NotRequired[str | None]
    fault: NotRequired[
        Literal["level", "split", "price", "stale", "no_volume", "wick", "volume", "move"] | None
    ]
    features: dict[str, float | None]
    inputs: NotRequired[list[ModelInput]]
    attribution: NotRequired[dict[str, float]]
    reasons: NotRequired[list[str]]
    status: Literal["new", "superseded", "bars_gone"]
    sent: bool
    detection_run_id: str
    detection_timestamp: str
    model_version: str
    model_hash: str
    feature_set: str
    bars_fingerprint: str
    market_fingerprint: NotRequired[str | None]
    in_training_window: bool
    suspected_split: NotRequired[float | None]
    scope: NotRequired[Literal["market", "sector", "own", "mixed", "quiet"] | None]
    root_causes: NotRequired[list[str]]
    root_cause: NotRequired[RootCause | None]
    opinions: NotRequired[list[Opinion]]
    superseded_by: NotRequired[str | None]
    superseded_at: NotRequired[str | None]
    bars_gone_at: NotRequired[str | None]
    review: NotRequired[Review | None]
    created_at: str
    market_conditions: BarConditions | None


class AnomalyPage(TypedDict):
    """Anomalies, whole unless `fields` were named."""

    items: list[Anomaly | AnomalyPart]
    next_cursor: str | None


if TYPE_CHECKING:
    AnomalyPart: TypeAlias = "dict[str, Any]"


class AnomalySummary(TypedDict):
    """How many anomalies there are, counted four ways."""

    total: int
    by_kind: dict[str, int]
    by_severity: dict[str, int]
    by_market: dict[str, dict[str, int]]
    by_ticker: list[TickerCount]


BarConditions = TypedDict(
    "BarConditions",
    {
        "time": "str",
        "words": "list[str]",
        "regime": "dict[str, Any] | None",
        "regimes": "dict[str, int]",
        "turbulent_share": "float | None",
        "breadth": "Breadth",
        "return": "float | None",
        "z": "float | None",
        "set": "str",
        "computed_at": "str",
        "run_id": "str",
    },
)


class BarRevision(TypedDict):
    """Something that changed at or before a series' last bar."""

    _id: str
    ticker: str
    interval: str
    revision: int
    kind: Literal["changed", "inserted", "split", "replaced", "deleted", "renamed", "undone"]
    first: str
    last: str
    bars: NotRequired[int | None]
    inserted_until: NotRequired[str | None]
    session: NotRequired[str | None]
    old: NotRequired[Any]
    new: NotRequired[Any]
    source: str
    at: str


class Breadth(TypedDict):
    """Of at least ten tickers."""

    advance_decline: float | None
    above_sma_50: float | None


class BulkAnswer(TypedDict):
    """Of which alerts the step was taken, and of which not."""

    success: list[str]
    failed: list[Refused]


class CandlePage(TypedDict):
    """Bars of one series, ascending; the first page has the latest, the next goes back in time."""

    items: list[ShownCandle]
    next_cursor: str | None
    ticker: str
    interval: str


if TYPE_CHECKING:
    CcxtBook: TypeAlias = "dict[str, Any]"

if TYPE_CHECKING:
    CcxtCandles: TypeAlias = "list[list[Any]]"

if TYPE_CHECKING:
    CcxtObjects: TypeAlias = "list[dict[str, Any]]"


class Challenger(TypedDict):
    """A version that was trained because a champion had drifted, and how the two compare."""

    _id: str
    market: str
    interval: str
    champion: str
    reasons: list[str]
    held_out_from: str
    last_bar: str
    state: Literal["training", "judging", "judged", "failed"]
    version: str | None
    evaluation: str | None
    gates: list[Gate]
    passed: bool | None
    promoted_at: str | None
    error: str | None
    created_at: str
    updated_at: str


class ChallengerPage(TypedDict):
    """Challengers, the newest first."""

    items: list[Challenger]
    next_cursor: str | None


class Chart(TypedDict):
    """Bars, with what belongs to each of them; `indicators` has one value a bar, null where too
    little came before.
    """

    ticker: str
    interval: str
    period: str
    synthetic: bool
    bars: list[ShownCandle]
    cut_at: NotRequired[str | None]
    indicators: dict[str, list[float | None]]
    markers: list[Marker]
    watermark: NotRequired[str | None]
    run_id: NotRequired[str | None]


class Comment(TypedDict):
    """What somebody wrote under an alert."""

    by: str
    at: str
    text: str


class Comparison(TypedDict):
    """The closes of two lines on the bars that either has, null where one has none.

    A sector's line begins at 100 and moves by the mean log return of its other tickers.
    """

    ticker: str
    interval: str
    market: str
    index: str | None
    sector: str | None
    kind: Literal["ticker", "index", "sector"] | None
    name: str | None
    tickers: list[str]
    left_out: int
    times: list[str]
    closes: list[float | None]
    others: list[float | None]


class ConfidenceFactors(TypedDict):
    """What a confidence is the product of, each from 0 to 1."""

    stability: float
    agreement: float
    completeness: float


class Correlation(TypedDict):
    """The correlations of a set; `matrix` is null, and `run_id` names the run, until they are
    computed.
    """

    interval: str
    tickers: list[str]
    as_of: NotRequired[str | None]
    window: NotRequired[int]
    matrix: NotRequired[list[list[float | None]] | None]
    common: NotRequired[list[list[int]] | None]
    order: NotRequired[list[int] | None]
    clusters: NotRequired[list[int] | None]
    pairs: NotRequired[list[PairTest] | None]
    series: list[SeriesCorrelation]
    unusable: NotRequired[dict[str, str]]
    computed_at: NotRequired[str | None]
    run_id: NotRequired[str | None]
    missing: NotRequired[dict[str, dict[str, str]]]


class CoverageCounts(TypedDict):
    """Of how many sessions of its exchange a series has bars, from its first bar to its last."""

    sessions: int
    missing: int
    gap_count: int
    bars_expected: int
    bars_held: int
    no_trade: int


class Delivery(TypedDict):
    """One message to one channel."""

    _id: str
    rule: str
    kind: NotRequired[Literal["alerts", "failure", "escalation", "digest", "model"]]
    shown_channel: str
    run_id: NotRequired[str | None]
    title: str
    body: str
    state: Literal["pending", "sent", "failed", "not_needed"]
    attempts: int
    due_at: str
    created_at: str
    sent_at: NotRequired[str | None]
    error: NotRequired[str | None]


class DeliveryPage(TypedDict):
    """Deliveries, the newest first."""

    items: list[Delivery]
    next_cursor: str | None


class DepthPage(TypedDict):
    """Snapshots of one order book."""

    items: list[ShownDepth]
    next_cursor: str | None
    ticker: str
    venue: str


class Detected(TypedDict):
    """What was looked at, and what is strange."""

    run_id: str
    status: str
    total_entities_checked: int
    anomalies_detected: int
    critical_count: int
    high_count: int
    medium_count: int
    low_count: int
    warnings: list[str]
    alerts: list[Alert]
    anomalies: list[Anomaly]
    execution_time_ms: float


class DetectorList(TypedDict):
    """All detectors."""

    detectors: list[DetectorSummary]


class DetectorParameter(TypedDict):
    """What a detector is fitted with."""

    name: str
    default: int | str
    low: NotRequired[int | None]
    high: NotRequired[int | None]
    choices: NotRequired[list[str]]
    meaning: str


class DetectorSummary(TypedDict):
    """An algorithm that a model can be trained with."""

    name: str
    summary: str
    is_default: bool
    feature_set: str
    intraday_feature_set: str
    only_its_sets: bool
    warm_up_bars: int
    history_bars: int
    parameters: list[DetectorParameter]


class Drift(TypedDict):
    """Whether the bars of a stretch look to a version as its training bars did."""

    stability_index: float | None
    distance: float | None
    flagged_share: float | None
    asked_share: float | None
    age_days: float
    unknown_tickers: float
    inputs: dict[str, float]
    reasons: list[str]


class DriftPage(TypedDict):
    """What was noted of champions, the latest first."""

    items: list[SessionDrift]
    next_cursor: str | None


class EndedAlert(TypedDict):
    """An alert of the history."""

    _id: str
    watchlist: str | None
    entity_type: Literal["ticker", "market", "feed", "series"]
    entity_id: str
    market: str
    interval: str
    direction: Literal["up", "down"]
    bar_time: str
    last_bar: str
    count: int
    anomaly_ids: list[str]
    anomaly_score: float | None
    threshold: float | None
    grade: float
    severity: Literal["low", "medium", "high", "critical"]
    confidence: NotRequired[float | None]
    detector_type: NotRequired[str | None]
    explanation: dict[str, float]
    reasons: list[str]
    metric_name: NotRequired[str | None]
    actual_value: NotRequired[float | None]
    expected_value: NotRequired[float | None]
    scope: NotRequired[Literal["market", "sector", "own", "mixed", "quiet"] | None]
    root_causes: NotRequired[list[str]]
    root_cause: NotRequired[RootCause | None]
    model_version: str | None
    detection_timestamp: str
    parent_id: NotRequired[str | None]
    muted_by: NotRequired[str | None]
    breadth: NotRequired[Widespread | None]
    run_id: str
    state: Literal["active", "acknowledged", "snoozed", "resolved", "expired"]
    owner: NotRequired[str | None]
    acknowledged_at: NotRequired[str | None]
    acknowledged_by: NotRequired[str | None]
    resolved_at: NotRequired[str | None]
    resolved_by: NotRequired[str | None]
    resolution_notes: NotRequired[str | None]
    feedback: NotRequired[Literal["confirmed", "expected", "false_alarm", "new_trend"] | None]
    cause: NotRequired[
        Literal["earnings", "corporate_action", "news", "data_error", "market_wide", "other"] | None
    ]
    snoozed_until: NotRequired[str | None]
    comments: NotRequired[list[Comment]]
    created_at: str
    updated_at: str
    market_conditions: MarketConditions
    was_resolved: bool
    resolution_time_minutes: float
    resolution_action: str
    return_after_1: float | None
    return_after_5: float | None
    return_after_20: float | None
    archived_at: str


class EndedPage(TypedDict):
    """Alerts of the history, the latest bar first."""

    items: list[EndedAlert]
    next_cursor: str | None


class EvaluationResult(TypedDict):
    """What came of an evaluation."""

    _id: str
    market: str
    interval: str
    versions: list[str]
    start: str | None
    end: str | None
    tickers: list[str]
    keep_scores: bool
    created_at: str
    run_id: str | None
    judgements: list[Judgement] | None
    agreement: Agreement | None
    errors: dict[str, str] | None
    done_at: str | None


class Export(TypedDict):
    """An export that a worker writes, or has written."""

    run_id: str
    status: Literal["queued", "in_progress", "complete", "partial", "failed", "cancelled"]
    manifest: NotRequired[Manifest | None]
    files: dict[str, str]


class ExportColumn(TypedDict):
    """A column, and what it holds."""

    name: str
    kind: Literal["time", "text", "number", "count", "flag"]


class ExportPart(TypedDict):
    """One file of an export."""

    name: str
    rows: int
    bytes: int
    sha256: str


class Failure(TypedDict):
    """Why one ticker has no result."""

    ticker: str
    reason: NotRequired[str | None]
    error: NotRequired[str | None]


class FeedPosition(TypedDict):
    """How far one stream was stored, and what it brought."""

    stream: str
    last_id: str
    producers: dict[str, ProducerPosition]
    consumer: str | None
    records: int
    rejected: int
    doubles: int
    missing: NotRequired[int]
    entries: int
    runs: int
    lag_entries: int
    lag_seconds: float
    seen_at: str | None
    committed_at: str | None


class FeedPositions(TypedDict):
    """How far each stream of the feed was stored."""

    streams: list[FeedPosition]


class FileImport(TypedDict):
    """What became of one file: read, failed or skipped."""

    name: str
    columns: NotRequired[dict[str, str]]
    aside: NotRequired[list[str]]
    notes: NotRequired[list[str]]
    error: NotRequired[str | None]
    skipped: NotRequired[str | None]


class Fitted(TypedDict):
    """The version that holds what was learned."""

    series_id: str
    version: str
    points_used: int


class FlaggedDay(TypedDict):
    """A day seen across its market: how many of its tickers were flagged, and of which sectors."""

    market: str
    interval: str
    day: str
    flagged: int
    of: int
    by_sector: list[SectorDay]
    previous: str | None
    next: str | None
    conditions: BarConditions | None


class Followed(TypedDict):
    """What followed the anomalies whose bar went one way."""

    after_1: Quartiles
    after_5: Quartiles
    after_20: Quartiles


class FollowedAlike(TypedDict):
    """What followed anomalies like an alert's, whichever ticker's."""

    like: Likeness
    followed: Followed


class FundingPage(TypedDict):
    """Funding rates of one ticker at one venue."""

    items: list[ShownFunding]
    next_cursor: str | None
    ticker: str
    venue: str


class Gap(TypedDict):
    """A gap of a series, with what was done about it."""

    _id: str
    first: str
    last: str
    sessions: int
    bars_expected: int
    bars_held: int
    state: Literal["open", "filling", "partial", "filled", "error", "expected"]
    reason: NotRequired[
        Literal["halt", "holiday", "delisted", "before_listing", "source_empty"] | None
    ]
    ticker: str
    interval: str
    market: str
    attempts: int
    next_try: NotRequired[str | None]
    tried_at: NotRequired[str | None]
    source: NotRequired[str | None]
    run_id: NotRequired[str | None]
    found_at: str
    filled_at: NotRequired[str | None]


class GapPage(TypedDict):
    """Gaps, the newest sessions first."""

    items: list[Gap]
    next_cursor: str | None


class Gate(TypedDict):
    """A condition that a challenger must pass before it is put in use."""

    name: Literal["unseen", "flagged", "steady", "overlap", "events", "faults", "labels", "cost"]
    passed: bool
    words: str


class GoneBars(TypedDict):
    """Bars of a ticker that a model learned from and that are gone since."""

    ticker: str
    kind: Literal["changed", "inserted", "split", "replaced", "deleted", "renamed", "undone"]
    at: str
    bars: int


class Group(TypedDict):
    """One edge."""

    child: str
    child_type: Literal["ticker", "index", "industry", "sector", "market"]
    parent: str
    parent_type: Literal["ticker", "index", "industry", "sector", "market"]
    source: str


class GroupBody(TypedDict):
    """One edge: what belongs to what."""

    child: str
    child_type: Literal["ticker", "index", "industry", "sector", "market"]
    parent: str
    parent_type: Literal["ticker", "index", "industry", "sector", "market"]
    source: NotRequired[str]


class GroupPage(TypedDict):
    """Edges by child."""

    items: list[Group]
    next_cursor: str | None


class GroupsAnswer(TypedDict):
    """How many are stored, and what is wrong with them; they are walked all the same."""

    groups: int
    problems: list[str]


class Health(TypedDict):
    """How the service is."""

    status: Literal["ok", "degraded", "unavailable"]
    version: str
    build: str
    access: Literal["open", "keys", "unknown"]
    mongodb: ServerHealth
    redis: ServerHealth
    workers: ServerHealth
    sweeper: ServerHealth
    scheduler: ServerHealth
    flower_url: NotRequired[str | None]
    oldest_pending_seconds: NotRequired[float | None]


class ImportReport(TypedDict):
    """What became of what was sent."""

    run_id: str
    status: str
    source: str
    interval: str
    read: int
    new: int
    changed: int
    unchanged: int
    rejected_rows: int
    series: list[SeriesImport]
    files: NotRequired[list[FileImport]]


class JudgedLabels(TypedDict):
    """How a version's alarms fit labels."""

    true_alarms: int
    false_alarms: int
    missed: int
    rightly_quiet: int
    not_scored: int
    contradictory: NotRequired[int]
    precision: float | None
    recall: float | None


class Judgement(TypedDict):
    """What a version flags of a stretch."""

    version: str
    threshold: float
    thresholds: NotRequired[dict[str, float]]
    bars: int
    tickers: int
    alarms: int
    alarms_per_thousand: float | None
    large_moves: int
    large_moves_flagged: int
    faults_planted: NotRequired[int]
    faults_found: NotRequired[int]
    microseconds_a_bar: float | None
    labels: JudgedLabels | None
    drift: Drift


class Label(TypedDict):
    """What somebody said of an anomaly when they resolved its alert."""

    anomaly_id: str
    alert_id: str
    ticker: str
    interval: str
    features: dict[str, float | None]
    feedback: Literal["confirmed", "expected", "false_alarm", "new_trend"]
    is_true_anomaly: bool
    cause: (
        Literal["earnings", "corporate_action", "news", "data_error", "market_wide", "other"] | None
    )
    labelled_by: str
    labelled_at: str
    predicted_score: float
    grade: float
    model_version: str
    was_correct: bool


class LabelPage(TypedDict):
    """Labels, the latest first."""

    items: list[Label]
    next_cursor: str | None


class LabelledBar(TypedDict):
    """What a person says of one bar."""

    ticker: str
    time: str
    is_anomaly: bool
    interval: NotRequired[Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None]


class LastRun(TypedDict):
    """The newest detection of a series."""

    run_id: str
    status: str
    started_at: NotRequired[str | None]
    completed_at: NotRequired[str | None]
    rows_processed: NotRequired[int | None]
    anomalies_found: NotRequired[int | None]
    reason: NotRequired[str | None]
    error: NotRequired[str | None]


class Latency(TypedDict):
    """Latencies of the last 100 successful requests of a kind, over all processes; 0 where
    there were none.
    """

    avg: float
    p95: float


class LeftOut(TypedDict):
    """A ticker that a model could not learn from."""

    ticker: str
    reason: str


class LibraryChange(TypedDict):
    """A library whose version moved."""

    name: str
    then: NotRequired[str | None]
    now: str


class Likeness(TypedDict):
    """What anomalies like an alert's have in common, and how many there are."""

    market: str
    interval: str
    direction: Literal["up", "down"]
    severity: Literal["low", "medium", "high", "critical"]
    scope: Literal["market", "sector", "own", "mixed", "quiet"] | None
    tickers: int
    anomalies: int


class LineLogin(TypedDict):
    """Where to log in."""

    address: str
    expires_at: str


class LineTied(TypedDict):
    """Who is told by a rule from now on."""

    rule: Rule
    name: str | None
    is_friend: bool | None


class ListedAlert(TypedDict):
    """What somebody must look at: strange bars of one ticker of a watchlist, or of its market;
    or that its bars stopped coming. What the model read is told of a single alert.
    """

    _id: str
    watchlist: str | None
    entity_type: Literal["ticker", "market", "feed", "series"]
    entity_id: str
    market: str
    interval: str
    direction: Literal["up", "down"]
    bar_time: str
    last_bar: str
    count: int
    anomaly_ids: list[str]
    anomaly_score: float | None
    threshold: float | None
    grade: float
    severity: Literal["low", "medium", "high", "critical"]
    confidence: NotRequired[float | None]
    detector_type: NotRequired[str | None]
    explanation: dict[str, float]
    reasons: list[str]
    metric_name: NotRequired[str | None]
    actual_value: NotRequired[float | None]
    expected_value: NotRequired[float | None]
    scope: NotRequired[Literal["market", "sector", "own", "mixed", "quiet"] | None]
    root_causes: NotRequired[list[str]]
    root_cause: NotRequired[RootCause | None]
    model_version: str | None
    detection_timestamp: str
    parent_id: NotRequired[str | None]
    muted_by: NotRequired[str | None]
    breadth: NotRequired[Widespread | None]
    run_id: str
    state: Literal["active", "acknowledged", "snoozed", "resolved", "expired"]
    owner: NotRequired[str | None]
    acknowledged_at: NotRequired[str | None]
    acknowledged_by: NotRequired[str | None]
    resolved_at: NotRequired[str | None]
    resolved_by: NotRequired[str | None]
    resolution_notes: NotRequired[str | None]
    feedback: NotRequired[Literal["confirmed", "expected", "false_alarm", "new_trend"] | None]
    cause: NotRequired[
        Literal["earnings", "corporate_action", "news", "data_error", "market_wide", "other"] | None
    ]
    snoozed_until: NotRequired[str | None]
    comments: NotRequired[list[Comment]]
    created_at: str
    updated_at: str


class Manifest(TypedDict):
    """What an export holds: `manifest.json` beside its parts."""

    format: Literal["csv", "ndjson", "parquet"]
    query: dict[str, Any]
    columns: list[ExportColumn]
    rows: int
    parts: list[ExportPart]
    fingerprints: dict[str, str]
    models: dict[str, str]
    made_at: str


class Marker(TypedDict):
    """An anomaly, as a mark on the chart."""

    _id: str
    Datetime: str
    grade: float
    severity: str
    anomaly_score: float
    reasons: list[str]


MarketBarItem = TypedDict(
    "MarketBarItem",
    {
        "time": "str",
        "tickers": "int",
        "breadth": "Breadth",
        "regimes": "dict[str, int]",
        "return": "float | None",
        "z": "float | None",
        "computed_at": "str",
    },
)


class MarketConditions(TypedDict):
    """What the market did on the alert's bar; null where no metrics of it are stored."""

    regime: str | None
    breadth: float | None
    z: float | None


class MarketPage(TypedDict):
    """Markets, by code."""

    items: list[ShownMarket]
    next_cursor: str | None


class MarketState(TypedDict):
    """The market of an overview."""

    code: str
    as_of: NotRequired[str | None]
    bars: list[MarketBarItem]


class Model(TypedDict):
    """A version with all that is known of it."""

    version: str
    state: Literal["candidate", "champion", "retired"]
    champion_of: list[str]
    market: str
    interval: str
    sha256: str
    feature_set: str
    columns: list[str]
    warm_up_bars: int
    window_start: NotRequired[str | None]
    window_end: NotRequired[str | None]
    rows: int
    ticker_count: int
    synthetic: bool
    seed: int
    parameters: dict[str, Any]
    library_versions: dict[str, str]
    threshold: float
    training_run_id: NotRequired[str | None]
    created_at: str
    promoted_at: NotRequired[str | None]
    retired_at: NotRequired[str | None]
    tickers: list[TrainedTicker]
    left_out: list[LeftOut]
    bars_gone: list[GoneBars]
    score_quantiles: Any
    by_market: NotRequired[dict[str, Tail]]


class ModelInput(TypedDict):
    """One input that the model read: its value, and the range of the 250 bars before."""

    name: str
    label: str
    actual: float | None
    low: float | None
    median: float | None
    high: float | None
    share: float | None


class ModelPage(TypedDict):
    """Versions, the newest first."""

    items: list[ModelSummary]
    next_cursor: str | None


class ModelStats(TypedDict):
    """What the workers' caches really hold."""

    cached_models: list[str]
    model_versions: list[str]
    total_cached: int
    workers: list[WorkerCaches]


class ModelSummary(TypedDict):
    """A version of a market's model, as lists show it."""

    version: str
    state: Literal["candidate", "champion", "retired"]
    champion_of: list[str]
    market: str
    interval: str
    sha256: str
    feature_set: str
    columns: list[str]
    warm_up_bars: int
    window_start: NotRequired[str | None]
    window_end: NotRequired[str | None]
    rows: int
    ticker_count: int
    synthetic: bool
    seed: int
    parameters: dict[str, Any]
    library_versions: dict[str, str]
    threshold: float
    training_run_id: NotRequired[str | None]
    created_at: str
    promoted_at: NotRequired[str | None]
    retired_at: NotRequired[str | None]


class Mute(TypedDict):
    """A mute, and what it silenced."""

    _id: str
    ticker: str | None
    watchlist: str | None
    market: str | None
    interval: str | None
    direction: Literal["up", "down"] | None
    scope: Literal["market", "sector", "own", "mixed", "quiet"] | None
    until: str
    reason: str
    alert_id: str | None
    created_by: str
    created_at: str
    ended_at: str | None
    ended_by: str | None
    silenced: int
    last_silenced_at: str | None


class MutePage(TypedDict):
    """Mutes, the newest first."""

    items: list[Mute]
    next_cursor: str | None


class Opinion(TypedDict):
    """What a later run found of the same bar, under another model or from other bars."""

    kind: Literal["event", "fault"]
    fault: NotRequired[
        Literal["level", "split", "price", "stale", "no_volume", "wick", "volume", "move"] | None
    ]
    Close: NotRequired[float | None]
    reasons: NotRequired[list[str]]
    detection_run_id: str
    detection_timestamp: str
    model_version: str
    model_hash: str
    anomaly_score: float
    grade: float
    threshold: float
    bars_fingerprint: str


class Overview(TypedDict):
    """A market, or part of it, at a glance."""

    items: list[OverviewItem]
    next_cursor: str | None
    interval: str
    market: MarketState | None


class OverviewItem(TypedDict):
    """A series as of its last bar."""

    ticker: str
    close: float
    return_1: float | None
    annualized_volatility: float | None
    volume_spike_ratio: float | None
    rate_of_change: float | None
    crossover: str | None
    crossed: bool
    regime: str | None
    confidence: float | None
    anomaly_grade: float | None
    as_of: str
    computed_at: str
    stale: bool


class PairTest(TypedDict):
    """Whether the prices of two tickers move together (Engle and Granger 1987)."""

    tickers: list[str]
    p_value: float | None
    hedge_ratio: float | None
    half_life: float | None
    bars: NotRequired[int | None]
    missing: NotRequired[dict[str, int | str] | None]


class Part(TypedDict):
    """One part of the service."""

    name: str
    state: Literal["ok", "warning", "failed", "unused"]
    found: str
    todo: NotRequired[str | None]
    since: NotRequired[str | None]
    is_first_seen: NotRequired[bool]


class Parts(TypedDict):
    """The parts of the service, in the order in which to look at them."""

    parts: list[Part]


class Plot(TypedDict):
    """What a plot shows: of long series the lowest and highest point of each stretch."""

    series_id: str
    version: str
    detector: str
    versions: list[str]
    training: list[PlotPoint]
    predictions: list[PlotPoint]


class PlotPoint(TypedDict):
    """A point with what the version says of it, as far as it does."""

    timestamp: int
    value: float
    anomaly: bool
    expected: float | None
    lower: float | None
    upper: float | None


class Pointer(TypedDict):
    """Which version is in use for whom."""

    _id: str
    version: str | None
    sha256: str | None
    market: str
    interval: str
    changed_at: str


class Policy(TypedDict):
    """A threshold that is set."""

    kind: Literal["contamination", "grade", "score"]
    value: float


class Prediction(TypedDict):
    """What a version says of one point."""

    anomaly: bool
    model_version: str
    score: float
    expected: float
    lower: float | None
    upper: float | None


class PredictionLabel(TypedDict):
    """What somebody said of a prediction."""

    feedback: Literal["confirmed", "expected", "false_alarm", "new_trend"]
    labelled_by: str
    labelled_at: str


if TYPE_CHECKING:
    Predictions: TypeAlias = "list[Prediction]"


class Preview(TypedDict):
    """What a file looks like; nothing of it is stored."""

    source: str
    parts: list[str]
    columns: list[PreviewColumn]
    rows: list[list[str]]
    ticker: str | None
    problem: str | None
    notes: list[str]
    read: PreviewRead | None


class PreviewColumn(TypedDict):
    """One column of a file."""

    position: int
    name: str
    field: str | None


class PreviewRead(TypedDict):
    """What reading the whole file came to."""

    rows: int
    times: int
    numbers: int
    has_ticker: bool
    interval: str | None


class ProcessCache(TypedDict):
    """What one worker process holds, as it said after its last batch."""

    pid: int
    models: list[str]
    hits: int
    misses: int
    loads: int
    capacity: int
    at: str


class ProducerPosition(TypedDict):
    """A producer's last message that was stored."""

    seq: int
    sent: int


class Profile(TypedDict):
    """What is known of a ticker's strange bars."""

    ticker: str
    interval: str
    anomalies: int
    by_severity: dict[str, int]
    open_alerts: int
    labels: dict[str, int]
    regime: str | None
    followed: dict[str, Followed]


class Progress(TypedDict):
    """How far a run is, counted from its batches."""

    percent: float
    batches_total: int
    batches_done: int
    tickers_total: int
    tickers_done: int
    tickers_failed: int
    rows_loaded: NotRequired[int]
    rows_preprocessed: NotRequired[int]
    rows_processed: NotRequired[int]
    anomalies_found: NotRequired[int]
    new_anomalies: NotRequired[int]
    eta_seconds: NotRequired[float | None]
    rows_per_second: NotRequired[float | None]


class ProposedSession(TypedDict):
    """A day on which most of a market traded though its calendar calls it closed."""

    day: str
    tickers: int
    of: int
    opens: str | None
    closes: str | None


class Quality(TypedDict):
    """How labelled anomalies fare at a threshold."""

    precision: float | None
    recall: float | None
    f1: float | None


class QualityPage(TypedDict):
    """Series, the worst first."""

    items: list[SeriesQuality]
    next_cursor: str | None
    formula: list[QualityRule]


class QualityRule(TypedDict):
    """What a figure takes off the score."""

    figure: Literal[
        "lacking_share",
        "sessions_behind",
        "rejected_share",
        "revisions",
        "open_gaps",
        "stale_runs",
        "no_volume_share",
        "suspected_splits",
    ]
    points: float
    most: float
    counts: str


class Quartiles(TypedDict):
    """Simple returns after so many bars: how many are known, and their quartiles."""

    count: int
    first_quartile: float | None
    median: float | None
    third_quartile: float | None


class Refused(TypedDict):
    """Why a step was not taken of an alert."""

    id: str
    reason: str
    error: str
    state: NotRequired[Literal["active", "acknowledged", "snoozed", "resolved", "expired"] | None]


class RejectedPage(TypedDict):
    """Rejected rows."""

    items: list[RejectedRow]
    next_cursor: str | None


class RejectedPlace(TypedDict):
    """Which record was kept aside, and why."""

    row: int
    reason: str


class RejectedRecord(TypedDict):
    """A record, or a message of the feed, that was kept aside."""

    _id: str
    kind: str
    ticker: str
    venue: str
    row: int
    reason: str
    error: NotRequired[str | None]
    content: str
    source: str
    rejected_at: str


class RejectedRecordPage(TypedDict):
    """Records that were kept aside, the newest first."""

    items: list[RejectedRecord]
    next_cursor: str | None


class RejectedRow(TypedDict):
    """A row that an import kept aside, as its source wrote it."""

    _id: str
    ticker: str
    interval: str
    row: int
    time: str
    reason: str
    values: dict[str, str]
    source: str
    rejected_at: str


class Review(TypedDict):
    """What people made of an anomaly: the state of its alert, and what they said it was."""

    alert_id: str
    state: Literal["active", "acknowledged", "snoozed", "resolved", "expired"]
    owner: NotRequired[str | None]
    feedback: NotRequired[Literal["confirmed", "expected", "false_alarm", "new_trend"] | None]


class RevisionPage(TypedDict):
    """Revisions, the newest first."""

    items: list[BarRevision]
    next_cursor: str | None


class RootCause(TypedDict):
    """A move taken apart; log returns, and each part in its usual deviations."""

    move: float | None
    alpha: float | None
    beta_market: float | None
    market: float | None
    z_market: float | None
    sector: str | None
    beta_sector: float | None
    sector_move: float | None
    z_sector: float | None
    own: float | None
    z_own: float | None
    causes: list[RootCauseCandidate]
    carriers: list[str]
    impact: list[str]
    flagged: NotRequired[int | None]
    of: NotRequired[int | None]


class RootCauseCandidate(TypedDict):
    """Something above a ticker that may be behind its move."""

    name: str
    type: Literal["ticker", "index", "industry", "sector", "market"]
    level: int
    move: float
    explained: float
    strange: int
    siblings: int
    z: float
    score: float
    sentence: str


class Rule(TypedDict):
    """A notification rule; of its channels only what kind they are, of its secret nothing."""

    name: str
    shown_channel: str
    watchlist: NotRequired[str | None]
    kind: NotRequired[Literal["event", "fault"] | None]
    min_grade: float
    min_confidence: NotRequired[float]
    quiet_from: NotRequired[str | None]
    quiet_until: NotRequired[str | None]
    timezone: str
    backfills: bool
    failures: bool
    enabled: bool
    scope: NotRequired[Literal["market", "sector", "own", "mixed", "quiet"] | None]
    ticker: NotRequired[str | None]
    signed: NotRequired[bool]
    shown_next_channel: NotRequired[str | None]
    escalate_after_minutes: NotRequired[int]
    digest: NotRequired[Literal["daily", "weekly"] | None]
    digest_at: NotRequired[str]
    updated_at: str


class RulePage(TypedDict):
    """Rules, by name."""

    items: list[Rule]
    next_cursor: str | None


class Run(TypedDict):
    """A run: live while it works, the audit record afterwards."""

    _id: str
    task: Literal[
        "backfill",
        "incremental",
        "verify",
        "train",
        "evaluate",
        "import",
        "fit_series",
        "analytics",
        "correlation",
        "fetch",
        "export",
        "fill",
        "correct",
    ]
    trigger: Literal["backfill", "scheduler", "chart_request", "verification", "manual", "feed"]
    status: Literal["queued", "in_progress", "complete", "partial", "failed", "cancelled"]
    ticker: NotRequired[str | None]
    tickers: NotRequired[list[str]]
    ticker_count: int
    market: NotRequired[str | None]
    markets: NotRequired[list[str]]
    watchlist: NotRequired[str | None]
    about: NotRequired[str | None]
    interval: NotRequired[str | None]
    period: NotRequired[str | None]
    requested_at: str
    started_at: NotRequired[str | None]
    completed_at: NotRequired[str | None]
    duration_seconds: NotRequired[float | None]
    cancel_requested: NotRequired[bool]
    retry_of: NotRequired[str | None]
    rows_loaded: NotRequired[int | None]
    rows_preprocessed: NotRequired[int | None]
    rows_processed: NotRequired[int | None]
    anomalies_found: NotRequired[int | None]
    new_anomalies: NotRequired[int | None]
    model_version: NotRequired[str | None]
    model_hash: NotRequired[str | None]
    error: NotRequired[str | None]
    errors: NotRequired[list[str]]
    reason: NotRequired[str | None]
    reasons: NotRequired[dict[str, int]]
    warnings: NotRequired[list[str]]
    verdicts: NotRequired[dict[str, int]]
    progress: Progress
    waits: NotRequired[Wait | None]
    anomaly_ids: NotRequired[list[str]]
    tickers_url: str
    failures: list[Failure]
    options: NotRequired[dict[str, Any]]
    result: NotRequired[dict[str, Any] | None]


class RunPage(TypedDict):
    """Runs, the newest first."""

    items: list[RunSummary]
    next_cursor: str | None


class RunSummary(TypedDict):
    """A run as lists show it."""

    _id: str
    task: Literal[
        "backfill",
        "incremental",
        "verify",
        "train",
        "evaluate",
        "import",
        "fit_series",
        "analytics",
        "correlation",
        "fetch",
        "export",
        "fill",
        "correct",
    ]
    trigger: Literal["backfill", "scheduler", "chart_request", "verification", "manual", "feed"]
    status: Literal["queued", "in_progress", "complete", "partial", "failed", "cancelled"]
    ticker: NotRequired[str | None]
    tickers: NotRequired[list[str]]
    ticker_count: int
    market: NotRequired[str | None]
    markets: NotRequired[list[str]]
    watchlist: NotRequired[str | None]
    about: NotRequired[str | None]
    interval: NotRequired[str | None]
    period: NotRequired[str | None]
    requested_at: str
    started_at: NotRequired[str | None]
    completed_at: NotRequired[str | None]
    duration_seconds: NotRequired[float | None]
    cancel_requested: NotRequired[bool]
    retry_of: NotRequired[str | None]
    rows_loaded: NotRequired[int | None]
    rows_preprocessed: NotRequired[int | None]
    rows_processed: NotRequired[int | None]
    anomalies_found: NotRequired[int | None]
    new_anomalies: NotRequired[int | None]
    model_version: NotRequired[str | None]
    model_hash: NotRequired[str | None]
    error: NotRequired[str | None]
    errors: NotRequired[list[str]]
    reason: NotRequired[str | None]
    reasons: NotRequired[dict[str, int]]
    warnings: NotRequired[list[str]]
    verdicts: NotRequired[dict[str, int]]


class Scheduler(TypedDict):
    """Whether periodic scans run."""

    enabled: bool
    changed_at: NotRequired[str | None]
    watchlists: list[WatchlistScans]


class ScoresOfBars(TypedDict):
    """The score of every bar of a ticker by one version."""

    ticker: str
    version: str
    times: list[str]
    scores: list[float]
    next_start: str | None


class SectorDay(TypedDict):
    """How many tickers of a sector were flagged, and which."""

    sector: str | None
    flagged: int
    of: int
    tickers: list[str]


class SentDepth(TypedDict):
    """A snapshot of an order book."""

    time: NotRequired[str | int | float | None]
    sequence: NotRequired[str | int | float | None]
    bids: NotRequired[list[list[str | int | float | None]]]
    asks: NotRequired[list[list[str | int | float | None]]]


class SentFunding(TypedDict):
    """A funding rate."""

    time: NotRequired[str | int | float | None]
    rate: NotRequired[str | int | float | None]
    mark_price: NotRequired[str | int | float | None]
    index_price: NotRequired[str | int | float | None]
    next_time: NotRequired[str | int | float | None]
    interval_hours: NotRequired[str | int | float | None]


class SentTrade(TypedDict):
    """A trade."""

    time: NotRequired[str | int | float | None]
    id: NotRequired[str | int | float | None]
    price: NotRequired[str | int | float | None]
    amount: NotRequired[str | int | float | None]
    side: NotRequired[str | int | float | None]


class Series(TypedDict):
    """One stored series."""

    ticker: str
    interval: str
    sessions_behind: NotRequired[int | None]
    market: str
    bars: int
    bars_needed: NotRequired[int | None]
    first_bar: str | None
    last_bar: str | None
    watermark: NotRequired[str | None]
    anomalies: dict[str, int]
    revision: int
    fingerprint: str
    synthetic: bool
    coverage: NotRequired[CoverageCounts | None]
    updated_at: str


class SeriesCorrelation(TypedDict):
    """What one ticker has with its benchmark, as of its last bar."""

    ticker: str
    as_of: str
    values: dict[str, Any]
    missing: dict[str, dict[str, int | str]]


class SeriesCoverage(TypedDict):
    """Which sessions of its exchange a series has bars of, from its first bar to its last."""

    ticker: str
    interval: str
    market: str
    first_bar: str
    last_bar: str
    sessions: NotRequired[int | None]
    missing: NotRequired[int | None]
    gap_count: NotRequired[int | None]
    bars_expected: NotRequired[int | None]
    bars_held: NotRequired[int | None]
    no_trade: NotRequired[int | None]
    gaps: NotRequired[list[SeriesGap]]


class SeriesGap(TypedDict):
    """Neighbouring sessions that lack bars."""

    _id: str
    first: str
    last: str
    sessions: int
    bars_expected: int
    bars_held: int
    state: Literal["open", "filling", "partial", "filled", "error", "expected"]
    reason: NotRequired[
        Literal["halt", "holiday", "delisted", "before_listing", "source_empty"] | None
    ]


class SeriesHealth(TypedDict):
    """How models of single series are."""

    series_trained: int
    inference_latency_ms: Latency
    training_latency_ms: Latency


class SeriesImport(TypedDict):
    """What became of one series' rows: each was new, changed, unchanged or rejected."""

    ticker: str
    interval: str
    read: int
    new: int
    changed: int
    unchanged: int
    rejected_rows: int
    rejected: list[dict[str, Any]]
    splits: NotRequired[int]
    revision: NotRequired[int | None]
    notes: NotRequired[list[str]]
    error: NotRequired[str | None]


class SeriesPage(TypedDict):
    """Stored series, by ticker."""

    items: list[Series]
    next_cursor: str | None


class SeriesQuality(TypedDict):
    """How good the stored bars of a series are."""

    ticker: str
    interval: str
    market: str
    bars: int
    last_bar: str
    completeness: float | None
    score: float
    figures: dict[str, float | None]
    deductions: dict[str, float]
    jumps: list[str]


class SeriesStatus(TypedDict):
    """Why a series has results up to where it has, or none."""

    ticker: str
    interval: str
    market: str | None
    bars: int
    bars_needed: int
    first_bar: NotRequired[str | None]
    last_bar: NotRequired[str | None]
    synthetic: bool
    watermark: NotRequired[str | None]
    model_version: NotRequired[str | None]
    last_run: NotRequired[LastRun | None]
    next_scan: NotRequired[str | None]
    sessions_behind: NotRequired[int | None]
    reason: str
    message: str


class SeriesTotal(TypedDict):
    """What several series have in all, and lack."""

    series: int
    bars: int
    missing: int
    with_gaps: int
    no_trade: int


class SeriesVersion(TypedDict):
    """A version as lists show it."""

    version: int
    detector: str
    parameters: dict[str, Any]
    points_used: int
    points_learned: int
    first_timestamp: int
    last_timestamp: int
    data_sha256: str
    created_at: str


class ServerHealth(TypedDict):
    """One server as this process sees it."""

    ok: bool
    detail: NotRequired[str | None]


class SessionDrift(TypedDict):
    """How a market's champion fared on its latest bars, noted once a session."""

    stability_index: float | None
    distance: float | None
    flagged_share: float | None
    asked_share: float | None
    age_days: float
    unknown_tickers: float
    inputs: dict[str, float]
    reasons: list[str]
    _id: str
    market: str
    interval: str
    session: str
    version: str
    start: str
    end: str
    bars: int
    labels: int
    precision: float | None
    run_id: str
    at: str


class SessionException(TypedDict):
    """A day on which an exchange does not keep to its calendar."""

    market: str
    day: str
    opens: NotRequired[str | None]
    closes: NotRequired[str | None]
    note: str
    changed_at: str


class SessionExceptions(TypedDict):
    """The days of a market that were set, and those that its calendar must be wrong of, by day."""

    sessions: list[SessionException]
    proposed: list[ProposedSession]


class ShownCandle(TypedDict):
    """One stored bar, adjusted for known splits."""

    time: str
    open: float
    high: float
    low: float
    close: float
    volume: float


class ShownDepth(TypedDict):
    """A snapshot of an order book: the last of its second."""

    time: str
    sequence: int
    bids: list[list[Any]]
    asks: list[list[Any]]


class ShownFunding(TypedDict):
    """A funding rate."""

    time: str
    rate: float
    mark_price: float | None
    index_price: float | None
    next_time: str | None
    interval_hours: float | None


class ShownMarket(TypedDict):
    """A market, and what is stored of it."""

    code: str
    name: str
    calendar: str
    timezone: str
    suffixes: list[str]
    aliases: list[str]
    indices: list[str]
    currency: str
    index_ticker: NotRequired[str | None]
    tick_delay_seconds: int
    series: int
    looked_at: NotRequired[int]
    up_to_date: NotRequired[int]
    too_short: NotRequired[int]
    missed: NotRequired[list[str]]
    behind: NotRequired[list[str]]
    tickers: NotRequired[int]
    intervals: NotRequired[list[str]]
    bars: NotRequired[int]
    first_bar: NotRequired[str | None]
    last_bar: NotRequired[str | None]
    synthetic: NotRequired[bool]


class ShownTrade(TypedDict):
    """A trade."""

    time: str
    id: str
    price: float
    amount: float
    side: Literal["buy", "sell", "unknown"]


class ShownTradeCandle(TypedDict):
    """A candle that trades were added up to."""

    time: str
    open: float
    high: float
    low: float
    close: float
    volume: float
    quote_volume: float
    trades: int


class SingleSeries(TypedDict):
    """A series with models."""

    _id: str
    latest: int
    detector: str
    predictions: int
    created_at: str
    updated_at: str


class SingleSeriesDetails(TypedDict):
    """A series with its versions."""

    _id: str
    latest: int
    detector: str
    predictions: int
    created_at: str
    updated_at: str
    versions: list[SeriesVersion]


class SingleSeriesPage(TypedDict):
    """Series, by id."""

    items: list[SingleSeries]
    next_cursor: str | None


class SnapshotMetadata(TypedDict):
    """What the values were computed from, by whom and when."""

    set: str
    bars_used: int
    completeness: float
    computed_at: str
    fingerprint: str
    run_id: str
    synthetic: bool


class SpanCount(TypedDict):
    """How many anomalies a span of time has."""

    start: str
    by_severity: dict[str, int]


class Statistics(TypedDict):
    """What all alerts come to, those of the history among them."""

    total_alerts: int
    unresolved_count: int
    critical_count: int
    high_count: int
    medium_count: int
    low_count: int
    avg_resolution_time_minutes: float | None
    most_common_entity_type: Literal["ticker", "market", "feed", "series"] | None
    most_common_root_cause: str | None
    detection_rate_last_24h: float | None
    detection_rate_last_7d: float | None
    precision: float | None


class StoredPrediction(TypedDict):
    """A prediction that was kept."""

    series_id: str
    version: int
    detector: str
    timestamp: int
    value: float
    anomaly: bool
    score: float
    expected: float
    lower: float | None
    upper: float | None
    label: PredictionLabel | None
    created_at: str


class StoredPredictionPage(TypedDict):
    """Stored predictions, the latest first."""

    items: list[StoredPrediction]
    next_cursor: str | None


class Suggestion(TypedDict):
    """A threshold for a watchlist, and what would have been otherwise in the last 90 days."""

    watchlist: str
    current: Policy | None
    suggested: float | None
    reason: str
    labels: int
    true: int
    false: int
    now: Quality
    then: Quality
    days: int
    alerts_lost: int
    alerts_gained: int
    lost: list[str]
    gained: list[str]


class Tail(TypedDict):
    """What a model says of one market's bars."""

    threshold: float
    score_quantiles: Any


class Threshold(TypedDict):
    """What passes as an anomaly, by a share of the bars, a grade or a score."""

    kind: Literal["contamination", "grade", "score"]
    value: float


class TickerAudit(TypedDict):
    """What happened to one ticker in a run."""

    run_id: str
    ticker: str
    interval: str
    period: NotRequired[str | None]
    status: Literal["queued", "in_progress", "complete", "partial", "failed", "cancelled"]
    started_at: NotRequired[str | None]
    completed_at: NotRequired[str | None]
    duration_seconds: NotRequired[float | None]
    rows_loaded: NotRequired[int | None]
    rows_preprocessed: NotRequired[int | None]
    rows_processed: NotRequired[int | None]
    anomalies_found: NotRequired[int | None]
    new_anomalies: NotRequired[int | None]
    anomaly_ids: NotRequired[list[str]]
    model_version: NotRequired[str | None]
    model_hash: NotRequired[str | None]
    reason: NotRequired[str | None]
    error: NotRequired[str | None]
    bars_needed: NotRequired[int | None]
    bars_present: NotRequired[int | None]
    warnings: NotRequired[list[str]]


class TickerAuditPage(TypedDict):
    """What happened to each ticker of a run so far, by ticker."""

    items: list[TickerAudit]
    next_cursor: str | None


class TickerCount(TypedDict):
    """How many anomalies a ticker has."""

    ticker: str
    count: int
    latest: str


class TickerMarket(TypedDict):
    """Of which market a ticker was said to be."""

    ticker: str
    market: str


class TickerThreshold(TypedDict):
    """What passes as an anomaly of a ticker, where that was set for it."""

    ticker: str
    threshold: Threshold | None


class TicksReport(TypedDict):
    """What became of what was sent: each record was new, changed, unchanged or kept aside."""

    kind: str
    ticker: str
    venue: str
    read: int
    new: int
    changed: int
    unchanged: int
    rejected_rows: int
    rejected: list[RejectedPlace]


class TradeCandlePage(TypedDict):
    """Candles of trades; a stretch without trades has none."""

    items: list[ShownTradeCandle]
    next_cursor: str | None
    ticker: str
    venue: str
    interval: str


class TradePage(TypedDict):
    """Trades of one ticker at one venue."""

    items: list[ShownTrade]
    next_cursor: str | None
    ticker: str
    venue: str


class TrailEntry(TypedDict):
    """One step: who did what, when."""

    _id: str
    alert_id: str | None
    subject: NotRequired[str | None]
    step: Literal[
        "acknowledge",
        "resolve",
        "snooze",
        "assign",
        "comment",
        "reopen",
        "raise",
        "extend",
        "wake",
        "expire",
        "supersede",
        "return",
        "mute",
        "unmute",
        "threshold",
        "make",
        "change",
        "remove",
        "promote",
        "rollback",
        "retire",
    ]
    by: str
    at: str
    from_state: Literal["active", "acknowledged", "snoozed", "resolved", "expired"] | None
    to_state: Literal["active", "acknowledged", "snoozed", "resolved", "expired"] | None
    details: dict[str, Any]


class TrailPage(TypedDict):
    """Steps, the latest first."""

    items: list[TrailEntry]
    next_cursor: str | None


class TrainedTicker(TypedDict):
    """A ticker that a model learned from."""

    ticker: str
    rows: int


class Trend(TypedDict):
    """The alerts that were raised on one day (UTC)."""

    day: str
    total: int
    resolved: int
    by_severity: dict[str, int]


class Trends(TypedDict):
    """Days on which alerts were raised, in order."""

    days: list[Trend]


class Tried(TypedDict):
    """What became of a message sent to try a channel."""

    sent: bool
    error: NotRequired[str | None]


class Verification(TypedDict):
    """What became of one anomaly when it was derived again from today's bars."""

    anomaly_id: str
    verification_run_id: str
    verified_at: str
    verified: bool
    verdict: Literal["identical", "score_moved", "vanished", "new"]
    cause: NotRequired[Literal["model", "code", "data", "market", "threshold"] | None]
    ticker: str
    interval: str
    datetime: str
    original_model: NotRequired[str | None]
    current_model: NotRequired[str | None]
    original_score: NotRequired[float | None]
    recomputed_score: NotRequired[float | None]
    current_score: NotRequired[float | None]
    original_features: NotRequired[dict[str, float | None] | None]
    current_features: NotRequired[dict[str, float | None] | None]
    data_changes: NotRequired[list[dict[str, Any]]]
    feature_set: str
    code_changes: NotRequired[list[LibraryChange]]


class VerificationPage(TypedDict):
    """Verifications, by anomaly."""

    items: list[Verification]
    next_cursor: str | None


class Vote(TypedDict):
    """What one member of an ensemble said of a bar."""

    detector: str
    weight: float
    score: float | None
    grade: float | None
    missing: str | None


class Wait(TypedDict):
    """Why nobody works on a run."""

    reason: str
    detail: str


class Watchlist(TypedDict):
    """A watchlist, with when it was scanned last and will be next."""

    name: str
    markets: list[str]
    tickers: list[str]
    without_bars: NotRequired[list[str] | None]
    interval: str
    schedule: str
    delay_minutes: int
    threshold: NotRequired[float | Threshold | None]
    min_confidence: NotRequired[float]
    enabled: bool
    source: NotRequired[Literal["none", "yahoo", "folder", "feed"]]
    folder: NotRequired[str | None]
    with_overview: NotRequired[bool]
    fetch_run_id: NotRequired[str | None]
    version: int
    created_at: str
    updated_at: str
    last_scan: NotRequired[str | None]
    last_run_id: NotRequired[str | None]
    next_scan: NotRequired[str | None]


class WatchlistPage(TypedDict):
    """Watchlists, by name."""

    items: list[Watchlist]
    next_cursor: str | None


class WatchlistScans(TypedDict):
    """When a watchlist is scanned."""

    name: str
    enabled: bool
    schedule: str
    last_scan: NotRequired[str | None]
    last_run_id: NotRequired[str | None]
    fetch_run_id: NotRequired[str | None]
    next_scan: NotRequired[str | None]
    version: int


class Widespread(TypedDict):
    """How many tickers were strange on one bar."""

    strange: int
    of: int


class WorkerCaches(TypedDict):
    """What the processes of one worker hold; those that have used no model yet are not named."""

    name: str
    queues: list[str]
    processes: list[ProcessCache]


class Client(Connection):
    """Asks Tapewatch: a method for each operation of its API."""

    def liveness(self) -> Alive:
        """Whether this process answers at all; asks no other."""
        return cast("Alive", self._ask("GET", "/healthz", root=True))

    def metrics(self) -> str:
        """Return the figures of all processes of this server, and of the work that waits."""
        return cast("str", self._ask("GET", "/metrics", root=True, is_text=True))

    def access(self) -> Access:
        """Say whose key this is, and what it may do; of open access, everything."""
        return cast("Access", self._ask("GET", "/access"))

    def alerts(
        self,
        *,
        start: Time | None = None,
        end: Time | None = None,
        severity: Literal["low", "medium", "high", "critical"] | None = None,
        scope: Literal["market", "sector", "own", "mixed", "quiet"] | None = None,
        watchlist: str | None = None,
        market: str | None = None,
        ticker: str | None = None,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        owner: str | None = None,
        parent_id: str | None = None,
        entity_type: Literal["ticker", "market", "feed", "series"] | None = None,
        muted: bool | None = None,
        text: str | None = None,
        sort: Literal["-created_at", "-grade"] | None = None,
        state: Literal["active", "acknowledged", "snoozed", "resolved", "expired"] | None = None,
        limit: int | None = None,
    ) -> Pages[ListedAlert]:
        """List alerts in any state, those resolved long ago are in the history.

        Args:
            limit: how many at the most in all; None: every one
            start: first bar time, inclusive; ISO 8601, in UTC where no zone is named; a day
                alone is its midnight
            end: last bar time, inclusive; ISO 8601, in UTC where no zone is named; a day
                alone is its midnight
            severity: low, medium from grade 50 on, high from 75 on, critical from 100 on
            scope: whose move it was: the whole market's, the sector's, the ticker's own,
                several of these (`mixed`), or none of the close (`quiet`)
            owner: only those that were assigned to this person
            parent_id: the `_id` of a market-wide alert: only those of its tickers
            entity_type: what it is about: a ticker, a whole market, a feed or a single
                series
            muted: those that a mute silenced, or all others
            text: words, each somewhere in its ticker, watchlist, owner, reasons, root
                causes, notes or comments
            sort: the one raised last first, or with `-grade` the strangest, of the greatest
                severity
            state: `active`: nobody has looked at it yet; without it, all of them
        """
        return self._pages(
            "/alerts",
            {
                "start": start,
                "end": end,
                "severity": severity,
                "scope": scope,
                "watchlist": watchlist,
                "market": market,
                "ticker": ticker,
                "interval": interval,
                "owner": owner,
                "parent_id": parent_id,
                "entity_type": entity_type,
                "muted": muted,
                "text": text,
                "sort": sort,
                "state": state,
            },
            limit,
            most=500,
            item=ListedAlert,
            times=(
                "acknowledged_at",
                "bar_time",
                "created_at",
                "detection_timestamp",
                "last_bar",
                "resolved_at",
                "snoozed_until",
                "updated_at",
            ),
        )

    def active_alerts(
        self,
        *,
        start: Time | None = None,
        end: Time | None = None,
        severity: Literal["low", "medium", "high", "critical"] | None = None,
        scope: Literal["market", "sector", "own", "mixed", "quiet"] | None = None,
        watchlist: str | None = None,
        market: str | None = None,
        ticker: str | None = None,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        owner: str | None = None,
        parent_id: str | None = None,
        entity_type: Literal["ticker", "market", "feed", "series"] | None = None,
        muted: bool | None = None,
        text: str | None = None,
        sort: Literal["-created_at", "-grade"] | None = None,
        limit: int | None = None,
    ) -> Pages[ListedAlert]:
        """List the alerts that are not done: active ones, and acknowledged ones.

        Args:
            limit: how many at the most in all; None: every one
            start: first bar time, inclusive; ISO 8601, in UTC where no zone is named; a day
                alone is its midnight
            end: last bar time, inclusive; ISO 8601, in UTC where no zone is named; a day
                alone is its midnight
            severity: low, medium from grade 50 on, high from 75 on, critical from 100 on
            scope: whose move it was: the whole market's, the sector's, the ticker's own,
                several of these (`mixed`), or none of the close (`quiet`)
            owner: only those that were assigned to this person
            parent_id: the `_id` of a market-wide alert: only those of its tickers
            entity_type: what it is about: a ticker, a whole market, a feed or a single
                series
            muted: those that a mute silenced, or all others
            text: words, each somewhere in its ticker, watchlist, owner, reasons, root
                causes, notes or comments
            sort: the one raised last first, or with `-grade` the strangest, of the greatest
                severity
        """
        return self._pages(
            "/alerts/active",
            {
                "start": start,
                "end": end,
                "severity": severity,
                "scope": scope,
                "watchlist": watchlist,
                "market": market,
                "ticker": ticker,
                "interval": interval,
                "owner": owner,
                "parent_id": parent_id,
                "entity_type": entity_type,
                "muted": muted,
                "text": text,
                "sort": sort,
            },
            limit,
            most=500,
            item=ListedAlert,
            times=(
                "acknowledged_at",
                "bar_time",
                "created_at",
                "detection_timestamp",
                "last_bar",
                "resolved_at",
                "snoozed_until",
                "updated_at",
            ),
        )

    def change_many_alerts(
        self,
        *,
        ids: Sequence[str],
        action: Literal["acknowledge", "resolve", "snooze", "assign", "comment", "reopen"],
        resolution_notes: str | None = None,
        feedback: Literal["confirmed", "expected", "false_alarm", "new_trend"] | None = None,
        cause: Literal["earnings", "corporate_action", "news", "data_error", "market_wide", "other"]
        | None = None,
        until: Time | None = None,
        mute_until: Time | None = None,
        owner: Kept | str | None = KEPT,
        text: str | None = None,
    ) -> BulkAnswer:
        """Take one step of many alerts, each by itself.

        Args:
            mute_until: with the feedback `expected`: silence alerts like these until then
            text: of a comment
        """
        return cast(
            "BulkAnswer",
            self._ask(
                "POST",
                "/alerts/bulk",
                json={
                    "ids": ids,
                    "action": action,
                    "resolution_notes": resolution_notes,
                    "feedback": feedback,
                    "cause": cause,
                    "until": until,
                    "mute_until": mute_until,
                    "owner": _write_null(owner),
                    "text": text,
                },
            ),
        )

    def alert_history(
        self,
        *,
        start: Time | None = None,
        end: Time | None = None,
        ticker: str | None = None,
        watchlist: str | None = None,
        feedback: Literal["confirmed", "expected", "false_alarm", "new_trend"] | None = None,
        limit: int | None = None,
    ) -> Pages[EndedAlert]:
        """List alerts that were resolved more than 90 days ago, with what followed them.

        Args:
            limit: how many at the most in all; None: every one
            start: first bar time, inclusive; ISO 8601, in UTC where no zone is named; a day
                alone is its midnight
            end: last bar time, inclusive; ISO 8601, in UTC where no zone is named; a day
                alone is its midnight
            feedback: what people said that it was when they resolved it
        """
        return self._pages(
            "/alerts/history",
            {
                "start": start,
                "end": end,
                "ticker": ticker,
                "watchlist": watchlist,
                "feedback": feedback,
            },
            limit,
            most=500,
            item=EndedAlert,
            times=(
                "acknowledged_at",
                "archived_at",
                "bar_time",
                "created_at",
                "detection_timestamp",
                "last_bar",
                "resolved_at",
                "snoozed_until",
                "updated_at",
            ),
        )

    def alert_statistics(self, *, watchlist: str | None = None) -> Statistics:
        """Count alerts, how long they take, and how many of the labelled ones were right."""
        return cast(
            "Statistics", self._ask("GET", "/alerts/statistics", params={"watchlist": watchlist})
        )

    def alert_trends(self, *, watchlist: str | None = None, days: int | None = None) -> Trends:
        """Count the alerts that were raised on each day.

        Args:
            days: how many days back from now
        """
        return cast(
            "Trends",
            self._ask("GET", "/alerts/trends", params={"watchlist": watchlist, "days": days}),
        )

    def alert(self, alert_id: str) -> AlertDetail:
        """Return one alert, also one of the history, with its last steps and first children."""
        return cast("AlertDetail", self._ask("GET", f"/alerts/{_quote(alert_id)}"))

    def acknowledge_alert(self, alert_id: str) -> Alert:
        """Say that somebody looks at an alert; of a market-wide one, at its tickers' too."""
        return cast("Alert", self._ask("PATCH", f"/alerts/{_quote(alert_id)}/acknowledge", json={}))

    def assign_alert(self, alert_id: str, *, owner: str | None) -> Alert:
        """Make an alert somebody's, or nobody's.

        Args:
            owner: null: nobody's
        """
        return cast(
            "Alert",
            self._ask(
                "POST", f"/alerts/{_quote(alert_id)}/assign", json={"owner": _write_null(owner)}
            ),
        )

    def comment_alert(self, alert_id: str, *, text: str) -> Alert:
        """Write a comment under an alert, in whatever state it is."""
        return cast(
            "Alert", self._ask("POST", f"/alerts/{_quote(alert_id)}/comments", json={"text": text})
        )

    def evidence(self, alert_id: str) -> bytes:
        """Return what an alert rests on, as a zip.

        It has the bars, the anomalies with their features, the models, what verifications said,
        a chart, the trail, and a manifest of hashes: `flask alerts evidence --check FILE` holds
        a file against it.
        """
        return cast("bytes", self._ask("GET", f"/alerts/{_quote(alert_id)}/evidence"))

    def followed(self, alert_id: str) -> FollowedAlike:
        """Return what followed anomalies like this alert's, whichever ticker's.

        Alike are those of the same market, interval, direction, severity and scope.
        """
        return cast("FollowedAlike", self._ask("GET", f"/alerts/{_quote(alert_id)}/followed"))

    def resolve_alert(
        self,
        alert_id: str,
        *,
        is_resolved: bool | None = None,
        resolution_notes: str | None = None,
        feedback: Literal["confirmed", "expected", "false_alarm", "new_trend"] | None = None,
        cause: Literal["earnings", "corporate_action", "news", "data_error", "market_wide", "other"]
        | None = None,
        mute_until: Time | None = None,
    ) -> Alert:
        """Resolve an alert, and say what it was; or take that back within 7 days.

        Args:
            feedback: writes a label of each of its anomalies; what it was
            cause: why; goes with a feedback
            mute_until: with the feedback `expected`: alerts of the same ticker, interval,
                direction and scope are silenced until then, at most 90 days
        """
        return cast(
            "Alert",
            self._ask(
                "PATCH",
                f"/alerts/{_quote(alert_id)}/resolve",
                json={
                    "is_resolved": is_resolved,
                    "resolution_notes": resolution_notes,
                    "feedback": feedback,
                    "cause": cause,
                    "mute_until": mute_until,
                },
            ),
        )

    def snooze_alert(self, alert_id: str, *, until: Time) -> Alert:
        """Put an alert away until a time; then it is active again.

        Args:
            until: at most 90 days ahead
        """
        return cast(
            "Alert", self._ask("POST", f"/alerts/{_quote(alert_id)}/snooze", json={"until": until})
        )

    def compute_metrics(
        self,
        *,
        ticker: str | None = None,
        market: str | None = None,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        bars: int | None = None,
    ) -> Started:
        """Compute the metrics of a ticker, or of a market's tickers, now.

        By themselves they are computed once a slot, of what has new bars.

        Args:
            market: all its series of the interval
            interval: how long a bar is: minutes, hours, a day or a week
            bars: of so many of each series' last bars
        """
        return cast(
            "Started",
            self._start(
                "POST",
                "/analysis/compute",
                json={"ticker": ticker, "market": market, "interval": interval, "bars": bars},
            ),
        )

    def correlation(
        self,
        *,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        tickers: str | Sequence[str] | None = None,
        market: str | None = None,
        watchlist: str | None = None,
        as_of: Time | None = None,
        limit: int | None = None,
    ) -> Correlation:
        """Return how tickers move together, and each with its market.

        Args:
            interval: how long a bar is: minutes, hours, a day or a week
            tickers: with commas between them
            as_of: no bar after this time
            limit: of a market or watchlist, so many that are traded most
        """
        return cast(
            "Correlation",
            self._ask(
                "GET",
                "/analysis/correlation",
                params={
                    "interval": interval,
                    "tickers": _join(tickers),
                    "market": market,
                    "watchlist": watchlist,
                    "as_of": as_of,
                    "limit": limit,
                },
            ),
        )

    def deviation(
        self,
        *,
        ticker: str,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        window: int | None = None,
        as_of: Time | None = None,
    ) -> Analysis:
        """Return deviation as of a series' last bar, or of several.

        Args:
            interval: how long a bar is: minutes, hours, a day or a week
            ticker: a ticker as it is stored, in any case, with its market's suffix where
                that has one (`7203.T`, `BTC-USD`)
            window: only the metrics of so many bars; others are refused
            as_of: the last bar at or before this time
        """
        return cast(
            "Analysis",
            self._ask(
                "GET",
                "/analysis/deviation",
                params={"interval": interval, "ticker": ticker, "window": window, "as_of": as_of},
            ),
        )

    def deviation_history(
        self,
        *,
        ticker: str,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        window: int | None = None,
        as_of: Time | None = None,
        start: Time | None = None,
        limit: int | None = None,
    ) -> Pages[Analysis]:
        """Return deviation as of a series' last bar, or of several.

        Args:
            limit: how many at the most in all; None: every one
            interval: how long a bar is: minutes, hours, a day or a week
            ticker: a ticker as it is stored, in any case, with its market's suffix where
                that has one (`7203.T`, `BTC-USD`)
            window: only the metrics of so many bars; others are refused
            as_of: the last bar at or before this time
            start: no bar before this time; asks for a list
        """
        return self._pages(
            "/analysis/deviation",
            {
                "interval": interval,
                "ticker": ticker,
                "window": window,
                "as_of": as_of,
                "start": start,
            },
            limit,
            most=500,
            item=Analysis,
            times=("as_of",),
        )

    def market_overview(
        self,
        *,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        tickers: str | Sequence[str] | None = None,
        market: str | None = None,
        watchlist: str | None = None,
        sort_by: Literal["ticker", "volatility", "volume", "trend", "regime", "grade"]
        | None = None,
        sort_order: Literal["asc", "desc"] | None = None,
        regime: Literal[
            "bullish_acceleration",
            "bearish_acceleration",
            "breakout_phase",
            "turbulent_illiquidity",
            "stable_accumulation",
            "consolidation",
            "balanced_market",
            "transitional",
        ]
        | None = None,
        prefix: str | None = None,
        history: int | None = None,
        limit: int | None = None,
    ) -> Pages[OverviewItem]:
        """Return tickers as of their last bar, and what their market does, with an ETag.

        Anything that changes the answer changes the ETag: who brings it back is told 304.

        Args:
            limit: how many at the most in all; None: every one
            interval: how long a bar is: minutes, hours, a day or a week
            tickers: with commas between them
            sort_by: `volume`: by how many times the usual; `trend`: by the change over 10
                bars; `grade`: by how strange the last bar was
            sort_order: of `sort_by`
            regime: only tickers in this regime
            prefix: only tickers that begin so
            history: so many bars of the market, the newest first
        """
        return self._pages(
            "/analysis/market-overview",
            {
                "interval": interval,
                "tickers": _join(tickers),
                "market": market,
                "watchlist": watchlist,
                "sort_by": sort_by,
                "sort_order": sort_order,
                "regime": regime,
                "prefix": prefix,
                "history": history,
            },
            limit,
            most=500,
            item=OverviewItem,
            times=(
                "as_of",
                "computed_at",
            ),
        )

    def regime(
        self,
        *,
        ticker: str,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        window: int | None = None,
        as_of: Time | None = None,
    ) -> Analysis:
        """Return regime as of a series' last bar, or of several.

        Args:
            interval: how long a bar is: minutes, hours, a day or a week
            ticker: a ticker as it is stored, in any case, with its market's suffix where
                that has one (`7203.T`, `BTC-USD`)
            window: only the metrics of so many bars; others are refused
            as_of: the last bar at or before this time
        """
        return cast(
            "Analysis",
            self._ask(
                "GET",
                "/analysis/regime",
                params={"interval": interval, "ticker": ticker, "window": window, "as_of": as_of},
            ),
        )

    def regime_history(
        self,
        *,
        ticker: str,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        window: int | None = None,
        as_of: Time | None = None,
        start: Time | None = None,
        limit: int | None = None,
    ) -> Pages[Analysis]:
        """Return regime as of a series' last bar, or of several.

        Args:
            limit: how many at the most in all; None: every one
            interval: how long a bar is: minutes, hours, a day or a week
            ticker: a ticker as it is stored, in any case, with its market's suffix where
                that has one (`7203.T`, `BTC-USD`)
            window: only the metrics of so many bars; others are refused
            as_of: the last bar at or before this time
            start: no bar before this time; asks for a list
        """
        return self._pages(
            "/analysis/regime",
            {
                "interval": interval,
                "ticker": ticker,
                "window": window,
                "as_of": as_of,
                "start": start,
            },
            limit,
            most=500,
            item=Analysis,
            times=("as_of",),
        )

    def seasonality(
        self,
        *,
        ticker: str,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        window: int | None = None,
        as_of: Time | None = None,
    ) -> Analysis:
        """Return seasonality as of a series' last bar, or of several.

        Args:
            interval: how long a bar is: minutes, hours, a day or a week
            ticker: a ticker as it is stored, in any case, with its market's suffix where
                that has one (`7203.T`, `BTC-USD`)
            window: only the metrics of so many bars; others are refused
            as_of: the last bar at or before this time
        """
        return cast(
            "Analysis",
            self._ask(
                "GET",
                "/analysis/seasonality",
                params={"interval": interval, "ticker": ticker, "window": window, "as_of": as_of},
            ),
        )

    def seasonality_history(
        self,
        *,
        ticker: str,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        window: int | None = None,
        as_of: Time | None = None,
        start: Time | None = None,
        limit: int | None = None,
    ) -> Pages[Analysis]:
        """Return seasonality as of a series' last bar, or of several.

        Args:
            limit: how many at the most in all; None: every one
            interval: how long a bar is: minutes, hours, a day or a week
            ticker: a ticker as it is stored, in any case, with its market's suffix where
                that has one (`7203.T`, `BTC-USD`)
            window: only the metrics of so many bars; others are refused
            as_of: the last bar at or before this time
            start: no bar before this time; asks for a list
        """
        return self._pages(
            "/analysis/seasonality",
            {
                "interval": interval,
                "ticker": ticker,
                "window": window,
                "as_of": as_of,
                "start": start,
            },
            limit,
            most=500,
            item=Analysis,
            times=("as_of",),
        )

    def spread(
        self,
        *,
        ticker: str,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        window: int | None = None,
        as_of: Time | None = None,
    ) -> Analysis:
        """Return spread as of a series' last bar, or of several.

        Args:
            interval: how long a bar is: minutes, hours, a day or a week
            ticker: a ticker as it is stored, in any case, with its market's suffix where
                that has one (`7203.T`, `BTC-USD`)
            window: only the metrics of so many bars; others are refused
            as_of: the last bar at or before this time
        """
        return cast(
            "Analysis",
            self._ask(
                "GET",
                "/analysis/spread",
                params={"interval": interval, "ticker": ticker, "window": window, "as_of": as_of},
            ),
        )

    def spread_history(
        self,
        *,
        ticker: str,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        window: int | None = None,
        as_of: Time | None = None,
        start: Time | None = None,
        limit: int | None = None,
    ) -> Pages[Analysis]:
        """Return spread as of a series' last bar, or of several.

        Args:
            limit: how many at the most in all; None: every one
            interval: how long a bar is: minutes, hours, a day or a week
            ticker: a ticker as it is stored, in any case, with its market's suffix where
                that has one (`7203.T`, `BTC-USD`)
            window: only the metrics of so many bars; others are refused
            as_of: the last bar at or before this time
            start: no bar before this time; asks for a list
        """
        return self._pages(
            "/analysis/spread",
            {
                "interval": interval,
                "ticker": ticker,
                "window": window,
                "as_of": as_of,
                "start": start,
            },
            limit,
            most=500,
            item=Analysis,
            times=("as_of",),
        )

    def trend(
        self,
        *,
        ticker: str,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        window: int | None = None,
        as_of: Time | None = None,
    ) -> Analysis:
        """Return trend as of a series' last bar, or of several.

        Args:
            interval: how long a bar is: minutes, hours, a day or a week
            ticker: a ticker as it is stored, in any case, with its market's suffix where
                that has one (`7203.T`, `BTC-USD`)
            window: only the metrics of so many bars; others are refused
            as_of: the last bar at or before this time
        """
        return cast(
            "Analysis",
            self._ask(
                "GET",
                "/analysis/trend",
                params={"interval": interval, "ticker": ticker, "window": window, "as_of": as_of},
            ),
        )

    def trend_history(
        self,
        *,
        ticker: str,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        window: int | None = None,
        as_of: Time | None = None,
        start: Time | None = None,
        limit: int | None = None,
    ) -> Pages[Analysis]:
        """Return trend as of a series' last bar, or of several.

        Args:
            limit: how many at the most in all; None: every one
            interval: how long a bar is: minutes, hours, a day or a week
            ticker: a ticker as it is stored, in any case, with its market's suffix where
                that has one (`7203.T`, `BTC-USD`)
            window: only the metrics of so many bars; others are refused
            as_of: the last bar at or before this time
            start: no bar before this time; asks for a list
        """
        return self._pages(
            "/analysis/trend",
            {
                "interval": interval,
                "ticker": ticker,
                "window": window,
                "as_of": as_of,
                "start": start,
            },
            limit,
            most=500,
            item=Analysis,
            times=("as_of",),
        )

    def volatility(
        self,
        *,
        ticker: str,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        window: int | None = None,
        as_of: Time | None = None,
    ) -> Analysis:
        """Return volatility as of a series' last bar, or of several.

        Args:
            interval: how long a bar is: minutes, hours, a day or a week
            ticker: a ticker as it is stored, in any case, with its market's suffix where
                that has one (`7203.T`, `BTC-USD`)
            window: only the metrics of so many bars; others are refused
            as_of: the last bar at or before this time
        """
        return cast(
            "Analysis",
            self._ask(
                "GET",
                "/analysis/volatility",
                params={"interval": interval, "ticker": ticker, "window": window, "as_of": as_of},
            ),
        )

    def volatility_history(
        self,
        *,
        ticker: str,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        window: int | None = None,
        as_of: Time | None = None,
        start: Time | None = None,
        limit: int | None = None,
    ) -> Pages[Analysis]:
        """Return volatility as of a series' last bar, or of several.

        Args:
            limit: how many at the most in all; None: every one
            interval: how long a bar is: minutes, hours, a day or a week
            ticker: a ticker as it is stored, in any case, with its market's suffix where
                that has one (`7203.T`, `BTC-USD`)
            window: only the metrics of so many bars; others are refused
            as_of: the last bar at or before this time
            start: no bar before this time; asks for a list
        """
        return self._pages(
            "/analysis/volatility",
            {
                "interval": interval,
                "ticker": ticker,
                "window": window,
                "as_of": as_of,
                "start": start,
            },
            limit,
            most=500,
            item=Analysis,
            times=("as_of",),
        )

    def volume(
        self,
        *,
        ticker: str,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        window: int | None = None,
        as_of: Time | None = None,
    ) -> Analysis:
        """Return volume as of a series' last bar, or of several.

        Args:
            interval: how long a bar is: minutes, hours, a day or a week
            ticker: a ticker as it is stored, in any case, with its market's suffix where
                that has one (`7203.T`, `BTC-USD`)
            window: only the metrics of so many bars; others are refused
            as_of: the last bar at or before this time
        """
        return cast(
            "Analysis",
            self._ask(
                "GET",
                "/analysis/volume",
                params={"interval": interval, "ticker": ticker, "window": window, "as_of": as_of},
            ),
        )

    def volume_history(
        self,
        *,
        ticker: str,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        window: int | None = None,
        as_of: Time | None = None,
        start: Time | None = None,
        limit: int | None = None,
    ) -> Pages[Analysis]:
        """Return volume as of a series' last bar, or of several.

        Args:
            limit: how many at the most in all; None: every one
            interval: how long a bar is: minutes, hours, a day or a week
            ticker: a ticker as it is stored, in any case, with its market's suffix where
                that has one (`7203.T`, `BTC-USD`)
            window: only the metrics of so many bars; others are refused
            as_of: the last bar at or before this time
            start: no bar before this time; asks for a list
        """
        return self._pages(
            "/analysis/volume",
            {
                "interval": interval,
                "ticker": ticker,
                "window": window,
                "as_of": as_of,
                "start": start,
            },
            limit,
            most=500,
            item=Analysis,
            times=("as_of",),
        )

    def anomalies(
        self,
        *,
        start: Time | None = None,
        end: Time | None = None,
        ticker: str | None = None,
        watchlist: str | None = None,
        market: str | None = None,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        min_grade: float | None = None,
        kind: Literal["event", "fault"] | None = None,
        min_confidence: float | None = None,
        severity: Literal["low", "medium", "high", "critical"] | None = None,
        scope: Literal["market", "sector", "own", "mixed", "quiet"] | None = None,
        status: Literal["new", "superseded", "bars_gone"] | None = None,
        run_id: str | None = None,
        model_version: str | None = None,
        sort: Literal[
            "-Datetime", "Datetime", "anomaly_score", "-grade", "grade", "Ticker", "-Ticker"
        ]
        | None = None,
        fields: str | Sequence[str] | None = None,
        limit: int | None = None,
    ) -> Pages[Anomaly | AnomalyPart]:
        """List anomalies by time, grade, score or ticker.

        Args:
            limit: how many at the most in all; None: every one
            start: first bar time, inclusive; ISO 8601, in UTC where no zone is named; a day
                alone is its midnight
            end: last bar time, inclusive; ISO 8601, in UTC where no zone is named; a day
                alone is its midnight
            watchlist: only of its tickers
            min_grade: how rare at the least: 50 is one bar in a hundred, 75 one in a
                thousand, 100 one in ten thousand or rarer
            kind: `event`: something happened; `fault`: the bar is wrong, as data
            min_confidence: above 0, faults and what was found before confidence was kept
                are left out
            severity: low, medium from grade 50 on, high from 75 on, critical from 100 on
            scope: whose move it was: the whole market's, the sector's, the ticker's own,
                several of these (`mixed`), or none of the close (`quiet`)
            status: `new`, as without it; `superseded`: a later look found the bar usual;
                `bars_gone`: its bar is not stored any more
            run_id: only what this run found first
            model_version: only of this version, as `/models` lists them
            sort: the latest first, or with `-` left out the oldest; `-grade`: the
                strangest; `anomaly_score`: the lowest score, which is comparable within a
                kind only
            fields: what to return of each, with commas between; everything if it is not
                given
        """
        return self._pages(
            "/anomalies",
            {
                "start": start,
                "end": end,
                "ticker": ticker,
                "watchlist": watchlist,
                "market": market,
                "interval": interval,
                "min_grade": min_grade,
                "kind": kind,
                "min_confidence": min_confidence,
                "severity": severity,
                "scope": scope,
                "status": status,
                "run_id": run_id,
                "model_version": model_version,
                "sort": sort,
                "fields": _join(fields),
            },
            limit,
            most=500,
            item=Anomaly,
            times=(
                "Datetime",
                "bars_gone_at",
                "created_at",
                "detection_timestamp",
                "superseded_at",
            ),
        )

    def start_backfill(
        self,
        *,
        ticker: str | None = None,
        tickers: Sequence[str] | None = None,
        watchlist: str | None = None,
        market: str | None = None,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        max_period: str | None = None,
        force: bool | None = None,
        raise_alerts: bool | None = None,
        walk_forward: bool | None = None,
        keep_scores: bool | None = None,
    ) -> Started:
        """Detect histories: the last five years of each, or as far back as `max_period` says.

        The run's `options.not_looked_at` says of how many tickers, and from when on, bars are
        left out.

        409 with the `run_id` in the way where a backfill of one of these series is open, unless
        `force` replaces it.

        Args:
            market: all its series of the interval
            interval: how long a bar is: minutes, hours, a day or a week
            max_period: how far back from the last stored bar; `max` for everything
            force: cancel a backfill of these series that is in the way
            raise_alerts: have what is found new become alerts, as a scan's does
            walk_forward: score each stretch with the latest model that had not seen it, not
                the champion
            keep_scores: keep the score of every bar for 30 days; `/export/scores` brings
                them
        """
        return cast(
            "Started",
            self._start(
                "POST",
                "/anomalies/backfill",
                json={
                    "ticker": ticker,
                    "tickers": tickers,
                    "watchlist": watchlist,
                    "market": market,
                    "interval": interval,
                    "max_period": max_period,
                    "force": force,
                    "raise_alerts": raise_alerts,
                    "walk_forward": walk_forward,
                    "keep_scores": keep_scores,
                },
            ),
        )

    def last_backfill(
        self,
        ticker: str,
        *,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
    ) -> TickerAudit:
        """How the latest backfill of a ticker went, or how it is going.

        Args:
            interval: how long a bar is: minutes, hours, a day or a week
        """
        return cast(
            "TickerAudit",
            self._ask(
                "GET", f"/anomalies/backfill/{_quote(ticker)}", params={"interval": interval}
            ),
        )

    def detect(
        self,
        *,
        ticker: str | None = None,
        tickers: Sequence[str] | None = None,
        watchlist: str | None = None,
        market: str | None = None,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        detector: Literal[
            "isolation_forest",
            "half_space_trees",
            "pca_window",
            "lstm",
            "zscore",
            "mad",
            "moving_average",
            "ensemble",
        ]
        | None = None,
        max_period: str | None = None,
        include_explanation: bool | None = None,
        include_root_cause: bool | None = None,
        store: bool | None = None,
    ) -> Started:
        """Detect now, and with `wait` see what is strange, why, and which alerts were raised.

        What is stored is what the champions say; another detector is asked with `store` false.

        Args:
            market: all its series of the interval
            interval: how long a bar is: minutes, hours, a day or a week
            detector: by the market's latest model of it, with store false; null: by the
                champions
            max_period: look at so much of each history; null: at what came since the last
                look or, with store false, at the last five days
            store: keep what is found, and raise alerts of it
        """
        return cast(
            "Started",
            self._start(
                "POST",
                "/anomalies/detect",
                json={
                    "ticker": ticker,
                    "tickers": tickers,
                    "watchlist": watchlist,
                    "market": market,
                    "interval": interval,
                    "detector": detector,
                    "max_period": max_period,
                    "include_explanation": include_explanation,
                    "include_root_cause": include_root_cause,
                    "store": store,
                },
            ),
        )

    def count_anomalies_by_time(
        self,
        *,
        start: Time,
        end: Time,
        ticker: str | None = None,
        watchlist: str | None = None,
        market: str | None = None,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        min_grade: float | None = None,
        kind: Literal["event", "fault"] | None = None,
        min_confidence: float | None = None,
        severity: Literal["low", "medium", "high", "critical"] | None = None,
        scope: Literal["market", "sector", "own", "mixed", "quiet"] | None = None,
        status: Literal["new", "superseded", "bars_gone"] | None = None,
        run_id: str | None = None,
        model_version: str | None = None,
        bins: int | None = None,
    ) -> AnomalyHistogram:
        """Count anomalies over time, by severity, in at most `bins` spans of whole days.

        Args:
            start: where the first span begins
            end: last bar time, inclusive
            watchlist: only of its tickers
            min_grade: how rare at the least: 50 is one bar in a hundred, 75 one in a
                thousand, 100 one in ten thousand or rarer
            kind: `event`: something happened; `fault`: the bar is wrong, as data
            min_confidence: above 0, faults and what was found before confidence was kept
                are left out
            severity: low, medium from grade 50 on, high from 75 on, critical from 100 on
            scope: whose move it was: the whole market's, the sector's, the ticker's own,
                several of these (`mixed`), or none of the close (`quiet`)
            status: `new`, as without it; `superseded`: a later look found the bar usual;
                `bars_gone`: its bar is not stored any more
            run_id: only what this run found first
            model_version: only of this version, as `/models` lists them
            bins: how many spans at the most
        """
        return cast(
            "AnomalyHistogram",
            self._ask(
                "GET",
                "/anomalies/histogram",
                params={
                    "start": start,
                    "end": end,
                    "ticker": ticker,
                    "watchlist": watchlist,
                    "market": market,
                    "interval": interval,
                    "min_grade": min_grade,
                    "kind": kind,
                    "min_confidence": min_confidence,
                    "severity": severity,
                    "scope": scope,
                    "status": status,
                    "run_id": run_id,
                    "model_version": model_version,
                    "bins": bins,
                },
            ),
        )

    def start_incremental(
        self,
        *,
        ticker: str | None = None,
        tickers: Sequence[str] | None = None,
        watchlist: str | None = None,
        market: str | None = None,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
    ) -> Started:
        """Detect what came, or was corrected, since each series' watermark.

        Args:
            market: all its series of the interval
            interval: how long a bar is: minutes, hours, a day or a week
        """
        return cast(
            "Started",
            self._start(
                "POST",
                "/anomalies/incremental",
                json={
                    "ticker": ticker,
                    "tickers": tickers,
                    "watchlist": watchlist,
                    "market": market,
                    "interval": interval,
                },
            ),
        )

    def count_anomalies(
        self,
        *,
        start: Time | None = None,
        end: Time | None = None,
        ticker: str | None = None,
        watchlist: str | None = None,
        market: str | None = None,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        min_grade: float | None = None,
        kind: Literal["event", "fault"] | None = None,
        min_confidence: float | None = None,
        severity: Literal["low", "medium", "high", "critical"] | None = None,
        scope: Literal["market", "sector", "own", "mixed", "quiet"] | None = None,
        status: Literal["new", "superseded", "bars_gone"] | None = None,
        run_id: str | None = None,
        model_version: str | None = None,
    ) -> AnomalySummary:
        """Count anomalies by kind, severity, market and ticker.

        Args:
            start: first bar time, inclusive; ISO 8601, in UTC where no zone is named; a day
                alone is its midnight
            end: last bar time, inclusive; ISO 8601, in UTC where no zone is named; a day
                alone is its midnight
            watchlist: only of its tickers
            min_grade: how rare at the least: 50 is one bar in a hundred, 75 one in a
                thousand, 100 one in ten thousand or rarer
            kind: `event`: something happened; `fault`: the bar is wrong, as data
            min_confidence: above 0, faults and what was found before confidence was kept
                are left out
            severity: low, medium from grade 50 on, high from 75 on, critical from 100 on
            scope: whose move it was: the whole market's, the sector's, the ticker's own,
                several of these (`mixed`), or none of the close (`quiet`)
            status: `new`, as without it; `superseded`: a later look found the bar usual;
                `bars_gone`: its bar is not stored any more
            run_id: only what this run found first
            model_version: only of this version, as `/models` lists them
        """
        return cast(
            "AnomalySummary",
            self._ask(
                "GET",
                "/anomalies/summary",
                params={
                    "start": start,
                    "end": end,
                    "ticker": ticker,
                    "watchlist": watchlist,
                    "market": market,
                    "interval": interval,
                    "min_grade": min_grade,
                    "kind": kind,
                    "min_confidence": min_confidence,
                    "severity": severity,
                    "scope": scope,
                    "status": status,
                    "run_id": run_id,
                    "model_version": model_version,
                },
            ),
        )

    def verify_many(
        self,
        *,
        run_id: str | None = None,
        ticker: str | None = None,
        model_version: str | None = None,
        anomaly_ids: Sequence[str] | None = None,
    ) -> Started:
        """Derive the anomalies of a run, a ticker or a model version again.

        Args:
            run_id: all that this run was the first to find
        """
        return cast(
            "Started",
            self._start(
                "POST",
                "/anomalies/verify",
                json={
                    "run_id": run_id,
                    "ticker": ticker,
                    "model_version": model_version,
                    "anomaly_ids": anomaly_ids,
                },
            ),
        )

    def verify_anomaly(self, anomaly_id: str) -> Started:
        """Derive one anomaly again, and say whether model, code or data moved."""
        return cast("Started", self._start("POST", f"/anomalies/verify/{_quote(anomaly_id)}"))

    def anomaly(self, anomaly_id: str) -> AnomalyInFull:
        """Return one anomaly with its full lineage: model, hash, feature set, bars, run.

        It has what its market was like at that bar, too, where that was computed.
        """
        return cast("AnomalyInFull", self._ask("GET", f"/anomalies/{_quote(anomaly_id)}"))

    def audit(
        self,
        *,
        alert_id: str | None = None,
        by: str | None = None,
        step: Literal[
            "acknowledge",
            "resolve",
            "snooze",
            "assign",
            "comment",
            "reopen",
            "raise",
            "extend",
            "wake",
            "expire",
            "supersede",
            "return",
            "mute",
            "unmute",
            "threshold",
            "make",
            "change",
            "remove",
            "promote",
            "rollback",
            "retire",
        ]
        | None = None,
        limit: int | None = None,
    ) -> Pages[TrailEntry]:
        """List who took which step of which alert, the latest first.

        Args:
            limit: how many at the most in all; None: every one
            alert_id: the `_id` of an alert
            by: only what this person did: the name of a key
            step: only steps of this kind
        """
        return self._pages(
            "/audit",
            {"alert_id": alert_id, "by": by, "step": step},
            limit,
            most=500,
            item=TrailEntry,
            times=("at",),
        )

    def begin_line_login(self, *, rule: str) -> LineLogin:
        """Return where a person logs in at LINE to be told what a rule asks for.

        Args:
            rule: its name
        """
        return cast("LineLogin", self._ask("POST", "/auth/line", json={"rule": rule}))

    def finish_line_login(self, *, code: str, state: str) -> LineTied:
        """Tie who came back from LINE to the rule that they logged in for.

        The code is exchanged at LINE and its ID token checked; then the rule's channel is that
        person's by the Messaging API. A rule that is not there yet is made.
        """
        return cast(
            "LineTied",
            self._ask("POST", "/auth/line/callback", json={"code": code, "state": state}),
        )

    def challengers(
        self, *, market: str | None = None, limit: int | None = None
    ) -> Pages[Challenger]:
        """List the versions that were trained because a champion had drifted, the newest first.

        Args:
            limit: how many at the most in all; None: every one
        """
        return self._pages(
            "/challengers",
            {"market": market},
            limit,
            most=500,
            item=Challenger,
            times=(
                "created_at",
                "held_out_from",
                "last_bar",
                "promoted_at",
                "updated_at",
            ),
        )

    def chart(
        self,
        *,
        ticker: str,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        period: str | None = None,
        indicators: str | Sequence[str] | None = None,
    ) -> Chart:
        """Return what a chart of one series shows; who has it already is answered 304.

        Where bars came since the last detection, a run that looks at them is enqueued, if the
        key may, and named.

        Args:
            interval: how long a bar is: minutes, hours, a day or a week
            ticker: a ticker as it is stored, in any case, with its market's suffix where
                that has one (`7203.T`, `BTC-USD`)
            period: counted back from the last stored bar
            indicators: of sma, bollinger, ema, macd, rsi, atr, return_1, return_3,
                return_6, zscore_20, ATR_14, bb_width, RSI, MACD, MACD_hist, VWAP, body,
                upper_wick, lower_wick, wick_ratio, with commas between them
        """
        return cast(
            "Chart",
            self._ask(
                "GET",
                "/chart",
                params={
                    "interval": interval,
                    "ticker": ticker,
                    "period": period,
                    "indicators": _join(indicators),
                },
            ),
        )

    def compare(
        self,
        *,
        ticker: str,
        start: Time | None = None,
        end: Time | None = None,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        other: str | None = None,
        against: Literal["index", "sector"] | None = None,
    ) -> Comparison:
        """Return the closes of a ticker beside those of another, of its index or of its sector.

        The last 20,000 bars of each; of a sector up to 50 tickers count, in the order of the
        alphabet.

        Args:
            start: first bar time, inclusive; ISO 8601, in UTC where no zone is named; a day
                alone is its midnight
            end: last bar time, inclusive; ISO 8601, in UTC where no zone is named; a day
                alone is its midnight
            ticker: a ticker as it is stored, in any case, with its market's suffix where
                that has one (`7203.T`, `BTC-USD`)
            interval: how long a bar is: minutes, hours, a day or a week
            other: with this ticker
            against: or with the index of its market, or with its sector; with neither, the
                closes of the ticker alone are given, and what it can be compared with
        """
        return cast(
            "Comparison",
            self._ask(
                "GET",
                "/chart/comparison",
                params={
                    "start": start,
                    "end": end,
                    "ticker": ticker,
                    "interval": interval,
                    "other": other,
                    "against": against,
                },
            ),
        )

    def bars(
        self,
        *,
        ticker: str,
        start: Time | None = None,
        end: Time | None = None,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        limit: int | None = None,
    ) -> Pages[ShownCandle]:
        """Return stored bars, adjusted for known splits; who has them already is answered 304.

        Args:
            limit: how many at the most in all; None: every one
            start: first bar time, inclusive; ISO 8601, in UTC where no zone is named; a day
                alone is its midnight
            end: last bar time, inclusive; ISO 8601, in UTC where no zone is named; a day
                alone is its midnight
            interval: how long a bar is: minutes, hours, a day or a week
            ticker: a ticker as it is stored, in any case, with its market's suffix where
                that has one (`7203.T`, `BTC-USD`)
        """
        return self._pages(
            "/data/candles",
            {"start": start, "end": end, "interval": interval, "ticker": ticker},
            limit,
            most=10000,
            item=ShownCandle,
            times=("time",),
            backwards=True,
        )

    def bars_page(
        self,
        *,
        ticker: str,
        limit: int | None = None,
        cursor: str | None = None,
        start: Time | None = None,
        end: Time | None = None,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        format: Literal["native", "ccxt"] | None = None,
    ) -> CandlePage | CcxtCandles:
        """Return stored bars, adjusted for known splits; who has them already is answered 304.

        Args:
            limit: how many at the most
            cursor: `next_cursor` of the page before
            start: first bar time, inclusive; ISO 8601, in UTC where no zone is named; a day
                alone is its midnight
            end: last bar time, inclusive; ISO 8601, in UTC where no zone is named; a day
                alone is its midnight
            interval: how long a bar is: minutes, hours, a day or a week
            ticker: a ticker as it is stored, in any case, with its market's suffix where
                that has one (`7203.T`, `BTC-USD`)
            format: `ccxt`: a list of [milliseconds, open, high, low, close, volume],
                ascending
        """
        return cast(
            "CandlePage | CcxtCandles",
            self._ask(
                "GET",
                "/data/candles",
                params={
                    "limit": limit,
                    "cursor": cursor,
                    "start": start,
                    "end": end,
                    "interval": interval,
                    "ticker": ticker,
                    "format": format,
                },
            ),
        )

    def push_candles(
        self,
        *,
        candles: Sequence[Mapping[str, str | int | float | None]],
        decimal: str | None = None,
        thousands: str | None = None,
        timezone: str | None = None,
        day_first: bool | None = None,
        labels: Literal["start", "end"] | None = None,
        ticker: str | None = None,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w", "auto"] | None = None,
        market: str | None = None,
        columns: Mapping[str, str] | None = None,
    ) -> Started:
        """Take in bars.

        Pushing them again changes nothing; a bar that differs from the stored one is a
        correction.

        Args:
            decimal: what parts decimals: `point` or `comma`
            thousands: what parts thousands: `comma`, `point`, `space`, `apostrophe` or
                `none`
            timezone: zone of times without one; else the exchange's
            day_first: whether 03/04/2024 is in April, where no row settles it
            labels: what the time of an intraday bar is; null: its start, and what looks
                otherwise is refused
            ticker: of all candles that name none
            interval: `auto`: as the bars are spaced
            market: of which all tickers are; null: as each of them looks
            columns: the candles' name of a field; empty where none is that field
        """
        return cast(
            "Started",
            self._start(
                "POST",
                "/data/candles",
                json={
                    "decimal": decimal,
                    "thousands": thousands,
                    "timezone": timezone,
                    "day_first": day_first,
                    "labels": labels,
                    "ticker": ticker,
                    "interval": interval,
                    "market": market,
                    "columns": columns,
                    "candles": candles,
                },
            ),
        )

    def depth(
        self,
        *,
        ticker: str,
        venue: str | None = None,
        start: Time | None = None,
        end: Time | None = None,
        sort_order: Literal["asc", "desc"] | None = None,
        at: Time | None = None,
        levels: int | None = None,
        limit: int | None = None,
    ) -> Pages[ShownDepth]:
        """Return snapshots of an order book: those of a time, or the latest at or before a
        moment.

        In ccxt's shape it is the one book at `at`, by default the latest.

        Args:
            limit: how many at the most in all; None: every one
            ticker: a ticker as it is stored, in any case, with its market's suffix where
                that has one (`7203.T`, `BTC-USD`)
            venue: may be left out where there is one only
            start: first time, inclusive
            end: last time, inclusive
            sort_order: by time; none: `asc` from `start` on, else the newest first
            at: only the latest at or before this time
            levels: of each side, the best
        """
        return self._pages(
            "/data/depth",
            {
                "ticker": ticker,
                "venue": venue,
                "start": start,
                "end": end,
                "sort_order": sort_order,
                "at": at,
                "levels": levels,
            },
            limit,
            most=10000,
            item=ShownDepth,
            times=("time",),
        )

    def depth_page(
        self,
        *,
        ticker: str,
        venue: str | None = None,
        start: Time | None = None,
        end: Time | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        sort_order: Literal["asc", "desc"] | None = None,
        format: Literal["native", "ccxt"] | None = None,
        at: Time | None = None,
        levels: int | None = None,
    ) -> DepthPage | CcxtBook:
        """Return snapshots of an order book: those of a time, or the latest at or before a
        moment.

        In ccxt's shape it is the one book at `at`, by default the latest.

        Args:
            ticker: a ticker as it is stored, in any case, with its market's suffix where
                that has one (`7203.T`, `BTC-USD`)
            venue: may be left out where there is one only
            start: first time, inclusive
            end: last time, inclusive
            limit: how many at the most
            cursor: `next_cursor` of the page before
            sort_order: by time; none: `asc` from `start` on, else the newest first
            format: `ccxt`: a list in the shapes of ccxt's unified API, in order of time
            at: only the latest at or before this time
            levels: of each side, the best
        """
        return cast(
            "DepthPage | CcxtBook",
            self._ask(
                "GET",
                "/data/depth",
                params={
                    "ticker": ticker,
                    "venue": venue,
                    "start": start,
                    "end": end,
                    "limit": limit,
                    "cursor": cursor,
                    "sort_order": sort_order,
                    "format": format,
                    "at": at,
                    "levels": levels,
                },
            ),
        )

    def push_depth(self, *, ticker: str, venue: str, depth: Sequence[SentDepth]) -> TicksReport:
        """Store snapshots of an order book: of each second the last one, with 50 levels a side.

        Args:
            ticker: a ticker as it is stored, in any case, with its market's suffix where
                that has one (`7203.T`, `BTC-USD`)
        """
        return cast(
            "TicksReport",
            self._ask(
                "POST", "/data/depth", json={"ticker": ticker, "venue": venue, "depth": depth}
            ),
        )

    def funding(
        self,
        *,
        ticker: str,
        venue: str | None = None,
        start: Time | None = None,
        end: Time | None = None,
        sort_order: Literal["asc", "desc"] | None = None,
        limit: int | None = None,
    ) -> Pages[ShownFunding]:
        """Return funding rates.

        Args:
            limit: how many at the most in all; None: every one
            ticker: a ticker as it is stored, in any case, with its market's suffix where
                that has one (`7203.T`, `BTC-USD`)
            venue: may be left out where there is one only
            start: first time, inclusive
            end: last time, inclusive
            sort_order: by time; none: `asc` from `start` on, else the newest first
        """
        return self._pages(
            "/data/funding",
            {
                "ticker": ticker,
                "venue": venue,
                "start": start,
                "end": end,
                "sort_order": sort_order,
            },
            limit,
            most=10000,
            item=ShownFunding,
            times=(
                "next_time",
                "time",
            ),
        )

    def funding_page(
        self,
        *,
        ticker: str,
        venue: str | None = None,
        start: Time | None = None,
        end: Time | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        sort_order: Literal["asc", "desc"] | None = None,
        format: Literal["native", "ccxt"] | None = None,
    ) -> FundingPage | CcxtObjects:
        """Return funding rates.

        Args:
            ticker: a ticker as it is stored, in any case, with its market's suffix where
                that has one (`7203.T`, `BTC-USD`)
            venue: may be left out where there is one only
            start: first time, inclusive
            end: last time, inclusive
            limit: how many at the most
            cursor: `next_cursor` of the page before
            sort_order: by time; none: `asc` from `start` on, else the newest first
            format: `ccxt`: a list in the shapes of ccxt's unified API, in order of time
        """
        return cast(
            "FundingPage | CcxtObjects",
            self._ask(
                "GET",
                "/data/funding",
                params={
                    "ticker": ticker,
                    "venue": venue,
                    "start": start,
                    "end": end,
                    "limit": limit,
                    "cursor": cursor,
                    "sort_order": sort_order,
                    "format": format,
                },
            ),
        )

    def push_funding(
        self, *, ticker: str, venue: str, funding: Sequence[SentFunding]
    ) -> TicksReport:
        """Store funding rates, each once.

        Args:
            ticker: a ticker as it is stored, in any case, with its market's suffix where
                that has one (`7203.T`, `BTC-USD`)
        """
        return cast(
            "TicksReport",
            self._ask(
                "POST", "/data/funding", json={"ticker": ticker, "venue": venue, "funding": funding}
            ),
        )

    def gaps(
        self,
        *,
        ticker: str | None = None,
        market: str | None = None,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        state: Literal["open", "filling", "partial", "filled", "error", "expected"] | None = None,
        limit: int | None = None,
    ) -> Pages[Gap]:
        """List the gaps of series: what they lack, the newest sessions first.

        Args:
            limit: how many at the most in all; None: every one
            state: null: all that somebody should fill or explain
        """
        return self._pages(
            "/data/gaps",
            {"ticker": ticker, "market": market, "interval": interval, "state": state},
            limit,
            most=500,
            item=Gap,
            times=(
                "filled_at",
                "first",
                "found_at",
                "last",
                "next_try",
                "tried_at",
            ),
        )

    def accept_gaps(
        self,
        *,
        gaps: Sequence[str],
        reason: Literal["halt", "holiday", "delisted", "before_listing", "source_empty"],
    ) -> GapPage:
        """Say why gaps are as they are: they are expected then, and nobody is asked for them."""
        return cast(
            "GapPage", self._ask("POST", "/data/gaps/accept", json={"gaps": gaps, "reason": reason})
        )

    def fill_gaps(
        self,
        *,
        gaps: Sequence[str] | None = None,
        tickers: Sequence[str] | None = None,
        market: str | None = None,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        source: Literal["yahoo", "folder"] | None = None,
        folder: str | None = None,
    ) -> Started:
        """Ask a source for the bars that series lack.

        Without `source` it is that of the watchlists that hold the tickers. A gap that stays is
        asked for again after 1 h, 6 h, 1 d and 3 d where a watchlist has a source, and is then
        an `error`.

        Args:
            market: all gaps of this market
            interval: how long a bar is: minutes, hours, a day or a week
            source: null: that of the watchlists which hold the tickers
            folder: with `folder`: its name below the watched one
        """
        return cast(
            "Started",
            self._start(
                "POST",
                "/data/gaps/fill",
                json={
                    "gaps": gaps,
                    "tickers": tickers,
                    "market": market,
                    "interval": interval,
                    "source": source,
                    "folder": folder,
                },
            ),
        )

    def import_file(
        self,
        *,
        file: str | Path,
        decimal: str | None = None,
        thousands: str | None = None,
        timezone: str | None = None,
        day_first: bool | None = None,
        labels: Literal["start", "end"] | None = None,
        columns: str | None = None,
        ticker: str | None = None,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w", "auto"] | None = None,
        market: str | None = None,
    ) -> Started:
        """Take in a file with a ticker column, or of one ticker.

        Args:
            decimal: what parts decimals: `point` or `comma`
            thousands: what parts thousands: `comma`, `point`, `space`, `apostrophe` or
                `none`
            timezone: zone of times without one; else the exchange's
            day_first: whether 03/04/2024 is in April, where no row settles it
            labels: what the time of an intraday bar is; null: its start, and what looks
                otherwise is refused
            file: CSV, Excel (.xlsx), Parquet, JSON, or a .zip of them; the name's ending
                says which
            columns: a JSON object: the file's name, or position from 1, of a field; empty
                where no column is that field
            ticker: where the file has no ticker column
            interval: `auto`: as the bars are spaced
            market: of which all its tickers are; none: as each of them looks
        """
        return cast(
            "Started",
            self._upload(
                "/data/import",
                {
                    "decimal": decimal,
                    "thousands": thousands,
                    "timezone": timezone,
                    "day_first": day_first,
                    "labels": labels,
                    "file": file,
                    "columns": columns,
                    "ticker": ticker,
                    "interval": interval,
                    "market": market,
                },
                starts=True,
            ),
        )

    def preview_file(
        self,
        *,
        file: str | Path,
        decimal: str | None = None,
        thousands: str | None = None,
        timezone: str | None = None,
        day_first: bool | None = None,
        labels: Literal["start", "end"] | None = None,
        columns: str | None = None,
    ) -> Preview:
        """Show how a file of bars is read: columns and which is which, first rows, what is
        open.

        Nothing is stored. A file that can be read two ways is no error here: `problem` says
        what settles it.

        Args:
            decimal: what parts decimals: `point` or `comma`
            thousands: what parts thousands: `comma`, `point`, `space`, `apostrophe` or
                `none`
            timezone: zone of times without one; else the exchange's
            day_first: whether 03/04/2024 is in April, where no row settles it
            labels: what the time of an intraday bar is; null: its start, and what looks
                otherwise is refused
            file: CSV, Excel (.xlsx), Parquet, JSON, or a .zip of them; the name's ending
                says which
            columns: a JSON object: the file's name, or position from 1, of a field; empty
                where no column is that field
        """
        return cast(
            "Preview",
            self._upload(
                "/data/preview",
                {
                    "decimal": decimal,
                    "thousands": thousands,
                    "timezone": timezone,
                    "day_first": day_first,
                    "labels": labels,
                    "file": file,
                    "columns": columns,
                },
                starts=False,
            ),
        )

    def quality(
        self,
        *,
        ticker: str | None = None,
        market: str | None = None,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        limit: int | None = None,
    ) -> Pages[SeriesQuality]:
        """Say how good the stored bars of each series are, the worst first.

        A score is 100 less, for each figure, the figure times `points`, at most `most`:
        `formula` has these.

        Args:
            limit: how many at the most in all; None: every one
        """
        return self._pages(
            "/data/quality",
            {"ticker": ticker, "market": market, "interval": interval},
            limit,
            most=500,
            item=SeriesQuality,
            times=("last_bar",),
        )

    def rejected(
        self,
        *,
        ticker: str | None = None,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        reason: str | None = None,
        limit: int | None = None,
    ) -> Pages[RejectedRow]:
        """List rows that imports kept aside.

        Those of the newest import come first, each import's in the order of its source.

        Args:
            limit: how many at the most in all; None: every one
            reason: why they were kept aside, as rows say it: high_below_low
        """
        return self._pages(
            "/data/rejected",
            {"ticker": ticker, "interval": interval, "reason": reason},
            limit,
            most=500,
            item=RejectedRow,
            times=("rejected_at",),
        )

    def rejected_records(
        self,
        *,
        kind: Literal["candles", "trades", "depth", "funding", "message"] | None = None,
        ticker: str | None = None,
        reason: str | None = None,
        limit: int | None = None,
    ) -> Pages[RejectedRecord]:
        """List records, and messages of the feed, that were kept aside; for 30 days.

        Args:
            limit: how many at the most in all; None: every one
            kind: records of what; a message is none at all
            reason: why they were kept aside, as records say it
        """
        return self._pages(
            "/data/rejected/records",
            {"kind": kind, "ticker": ticker, "reason": reason},
            limit,
            most=500,
            item=RejectedRecord,
            times=("rejected_at",),
        )

    def revisions(
        self,
        *,
        ticker: str | None = None,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        limit: int | None = None,
    ) -> Pages[BarRevision]:
        """List what changed in stored bars, the newest first.

        Args:
            limit: how many at the most in all; None: every one
        """
        return self._pages(
            "/data/revisions",
            {"ticker": ticker, "interval": interval},
            limit,
            most=500,
            item=BarRevision,
            times=(
                "at",
                "first",
                "inserted_until",
                "last",
                "session",
            ),
        )

    def trades(
        self,
        *,
        ticker: str,
        venue: str | None = None,
        start: Time | None = None,
        end: Time | None = None,
        sort_order: Literal["asc", "desc"] | None = None,
        limit: int | None = None,
    ) -> Pages[ShownTrade]:
        """Return trades, or candles that they are added up to.

        Args:
            limit: how many at the most in all; None: every one
            ticker: a ticker as it is stored, in any case, with its market's suffix where
                that has one (`7203.T`, `BTC-USD`)
            venue: may be left out where there is one only
            start: first time, inclusive
            end: last time, inclusive
            sort_order: by time; none: `asc` from `start` on, else the newest first
        """
        return self._pages(
            "/data/trades",
            {
                "ticker": ticker,
                "venue": venue,
                "start": start,
                "end": end,
                "sort_order": sort_order,
            },
            limit,
            most=10000,
            item=ShownTrade,
            times=("time",),
        )

    def trades_page(
        self,
        *,
        ticker: str,
        venue: str | None = None,
        start: Time | None = None,
        end: Time | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        sort_order: Literal["asc", "desc"] | None = None,
        format: Literal["native", "ccxt"] | None = None,
        bars: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
    ) -> TradePage | TradeCandlePage | CcxtObjects | CcxtCandles:
        """Return trades, or candles that they are added up to.

        Args:
            ticker: a ticker as it is stored, in any case, with its market's suffix where
                that has one (`7203.T`, `BTC-USD`)
            venue: may be left out where there is one only
            start: first time, inclusive
            end: last time, inclusive
            limit: how many at the most
            cursor: `next_cursor` of the page before
            sort_order: by time; none: `asc` from `start` on, else the newest first
            format: `ccxt`: a list in the shapes of ccxt's unified API, in order of time
            bars: added up to candles of this interval, in order of time unless `sort_order`
                is `desc`
        """
        return cast(
            "TradePage | TradeCandlePage | CcxtObjects | CcxtCandles",
            self._ask(
                "GET",
                "/data/trades",
                params={
                    "ticker": ticker,
                    "venue": venue,
                    "start": start,
                    "end": end,
                    "limit": limit,
                    "cursor": cursor,
                    "sort_order": sort_order,
                    "format": format,
                    "bars": bars,
                },
            ),
        )

    def push_trades(self, *, ticker: str, venue: str, trades: Sequence[SentTrade]) -> TicksReport:
        """Store trades, each once.

        What cannot be right is kept aside with its reason, and costs no other. Who pushes
        faster than it can be stored is told to wait (429).

        Args:
            ticker: a ticker as it is stored, in any case, with its market's suffix where
                that has one (`7203.T`, `BTC-USD`)
        """
        return cast(
            "TicksReport",
            self._ask(
                "POST", "/data/trades", json={"ticker": ticker, "venue": venue, "trades": trades}
            ),
        )

    def runs(
        self,
        *,
        status: Literal["queued", "in_progress", "complete", "partial", "failed", "cancelled"]
        | None = None,
        trigger: Literal["backfill", "scheduler", "chart_request", "verification", "manual", "feed"]
        | None = None,
        task: Literal[
            "backfill",
            "incremental",
            "verify",
            "train",
            "evaluate",
            "import",
            "fit_series",
            "analytics",
            "correlation",
            "fetch",
            "export",
            "fill",
            "correct",
        ]
        | None = None,
        ticker: str | None = None,
        watchlist: str | None = None,
        market: str | None = None,
        start: Time | None = None,
        end: Time | None = None,
        limit: int | None = None,
    ) -> Pages[RunSummary]:
        """List runs, the newest first.

        Args:
            limit: how many at the most in all; None: every one
            status: queued and in_progress are open, all others have ended
            trigger: what had it done, such as a person (`manual`)
            task: what kind of work it is
            watchlist: those that were asked for of it
            market: those about it or tickers of it; those of all markets, too
            start: those that were asked for then or later
            end: those that were asked for then or before
        """
        return self._pages(
            "/detection-runs",
            {
                "status": status,
                "trigger": trigger,
                "task": task,
                "ticker": ticker,
                "watchlist": watchlist,
                "market": market,
                "start": start,
                "end": end,
            },
            limit,
            most=500,
            item=RunSummary,
            times=(
                "completed_at",
                "requested_at",
                "started_at",
            ),
        )

    def run(self, run_id: str) -> Run:
        """Return a run: live while it works, its audit record afterwards."""
        return cast("Run", self._ask("GET", f"/detection-runs/{_quote(run_id)}"))

    def cancel_detection_run(self, run_id: str) -> Run:
        """Ask a run to end: what waits ends now, what is at work ends between two steps.

        A run that has ended stays as it is.
        """
        return cast("Run", self._ask("POST", f"/detection-runs/{_quote(run_id)}/cancel"))

    def stream_detection_run(self, run_id: str) -> Iterator[str]:
        """Send the run as server-sent events: at once, with each change, and when it has ended."""
        return self._lines("GET", f"/detection-runs/{_quote(run_id)}/events")

    def retry_detection_run(self, run_id: str) -> Started:
        """Take up again what a run left undone: the tickers that failed, and those it never
        came to.

        A training that may put its model in use, and what sets an exchange's session, are
        retried by a key that may do so directly.
        """
        return cast("Started", self._start("POST", f"/detection-runs/{_quote(run_id)}/retry"))

    def run_tickers(
        self,
        run_id: str,
        *,
        status: Literal["queued", "in_progress", "complete", "partial", "failed", "cancelled"]
        | None = None,
        reason: str | None = None,
        limit: int | None = None,
    ) -> Pages[TickerAudit]:
        """List the audit records of a run: what happened to each of its tickers.

        Args:
            limit: how many at the most in all; None: every one
            status: only tickers that ended so: complete, failed
            reason: only tickers with this reason; the run's `reasons` count them
        """
        return self._pages(
            f"/detection-runs/{_quote(run_id)}/tickers",
            {"status": status, "reason": reason},
            limit,
            most=500,
            item=TickerAudit,
            times=(
                "completed_at",
                "started_at",
            ),
        )

    def verifications(
        self,
        run_id: str,
        *,
        verdict: Literal["identical", "score_moved", "vanished", "new"] | None = None,
        limit: int | None = None,
    ) -> Pages[Verification]:
        """List what a verification said of each anomaly.

        Args:
            limit: how many at the most in all; None: every one
            verdict: `score_moved`: found again, with another score; `vanished`: not found
                again; `new`: found, and not stored
        """
        return self._pages(
            f"/detection-runs/{_quote(run_id)}/verifications",
            {"verdict": verdict},
            limit,
            most=500,
            item=Verification,
            times=(
                "datetime",
                "verified_at",
            ),
        )

    def detectors(self) -> DetectorList:
        """List the detectors that a model can be trained with, and what each looks at."""
        return cast("DetectorList", self._ask("GET", "/detectors"))

    def drifts(
        self,
        *,
        market: str | None = None,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        limit: int | None = None,
    ) -> Pages[SessionDrift]:
        """List how champions fared on their latest bars, noted once a session, the latest
        first.

        Args:
            limit: how many at the most in all; None: every one
        """
        return self._pages(
            "/drifts",
            {"market": market, "interval": interval},
            limit,
            most=500,
            item=SessionDrift,
            times=(
                "at",
                "end",
                "start",
            ),
        )

    def evaluation(self, evaluation_id: str) -> EvaluationResult:
        """Return what came of an evaluation."""
        return cast("EvaluationResult", self._ask("GET", f"/evaluations/{_quote(evaluation_id)}"))

    def scores(
        self,
        evaluation_id: str,
        *,
        ticker: str,
        version: str,
        start: Time | None = None,
        limit: int | None = None,
    ) -> ScoresOfBars:
        """Return the score of every bar of a ticker, where they were asked for.

        Args:
            ticker: a ticker as it is stored, in any case, with its market's suffix where
                that has one (`7203.T`, `BTC-USD`)
            version: one of the evaluation's versions
            start: first bar time, inclusive
            limit: how many bars at the most
        """
        return cast(
            "ScoresOfBars",
            self._ask(
                "GET",
                f"/evaluations/{_quote(evaluation_id)}/scores",
                params={"ticker": ticker, "version": version, "start": start, "limit": limit},
            ),
        )

    def export_table(
        self,
        table: str,
        *,
        format: Literal["csv", "ndjson", "parquet"] | None = None,
        tickers: str | Sequence[str] | None = None,
        market: str | None = None,
        watchlist: str | None = None,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        start: Time | None = None,
        end: Time | None = None,
        columns: str | Sequence[str] | None = None,
        layout: Literal["long", "wide"] | None = None,
        field: Literal["open", "high", "low", "close", "volume"] | None = None,
        adjusted: bool | None = None,
        run: str | None = None,
        severity: Literal["low", "medium", "high", "critical"] | None = None,
        kind: Literal["event", "fault"] | None = None,
        scope: Literal["market", "sector", "own", "mixed", "quiet"] | None = None,
    ) -> Iterator[str]:
        """Stream a table of up to a million rows.

        There are bars, anomalies, scores, features, analytics, alerts, labels, trades and
        funding. CSV and JSON lines come as they are read. Parquet, and features, are written by
        a worker while the caller waits; where that takes long the answer names the run. In CSV,
        text that a spreadsheet would take for a formula has an apostrophe before it.

        Args:
            format: `ndjson`: a JSON object a line; `parquet` is no text
            tickers: with commas between them
            interval: null: of anomalies and alerts all, of other tables 1d
            start: first time, inclusive
            end: last time, inclusive
            columns: only these, with commas between them
            layout: `wide`: of bars a column a ticker, of analytics a column a metric
            field: of wide bars, one of open, high, low, close, volume
            adjusted: bars adjusted for splits, not as they were quoted
            run: of scores: the run that kept them; null: of each ticker the latest
            severity: of anomalies
            kind: of anomalies
            scope: of anomalies
        """
        return self._lines(
            "GET",
            f"/export/{_quote(table)}",
            params={
                "format": format,
                "tickers": _join(tickers),
                "market": market,
                "watchlist": watchlist,
                "interval": interval,
                "start": start,
                "end": end,
                "columns": _join(columns),
                "layout": layout,
                "field": field,
                "adjusted": adjusted,
                "run": run,
                "severity": severity,
                "kind": kind,
                "scope": scope,
            },
        )

    def start_export(
        self,
        *,
        table: Literal[
            "bars",
            "anomalies",
            "scores",
            "features",
            "analytics",
            "alerts",
            "labels",
            "trades",
            "funding",
        ],
        format: Literal["csv", "ndjson", "parquet"] | None = None,
        tickers: Sequence[str] | None = None,
        market: str | None = None,
        watchlist: str | None = None,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        start: Time | None = None,
        end: Time | None = None,
        columns: Sequence[str] | None = None,
        layout: Literal["long", "wide"] | None = None,
        field: Literal["open", "high", "low", "close", "volume"] | None = None,
        adjusted: bool | None = None,
        run: str | None = None,
        severity: Literal["low", "medium", "high", "critical"] | None = None,
        kind: Literal["event", "fault"] | None = None,
        scope: Literal["market", "sector", "own", "mixed", "quiet"] | None = None,
    ) -> Started:
        """Have a worker write a table of up to 100 million rows to files, which are kept for a
        week.

        `GET /exports/RUN` has the manifest and the address of each file.

        Args:
            interval: null: of anomalies and alerts all, of other tables 1d
            start: first time, inclusive
            end: last time, inclusive
            columns: only these; none: all
        """
        return cast(
            "Started",
            self._start(
                "POST",
                "/exports",
                json={
                    "table": table,
                    "format": format,
                    "tickers": tickers,
                    "market": market,
                    "watchlist": watchlist,
                    "interval": interval,
                    "start": start,
                    "end": end,
                    "columns": columns,
                    "layout": layout,
                    "field": field,
                    "adjusted": adjusted,
                    "run": run,
                    "severity": severity,
                    "kind": kind,
                    "scope": scope,
                },
            ),
        )

    def export(self, run_id: str) -> Export:
        """Return how far an export is and, once it is written, its manifest and files."""
        return cast("Export", self._ask("GET", f"/exports/{_quote(run_id)}"))

    def export_file(self, run_id: str, name: str) -> bytes:
        """Send a file of an export."""
        return cast("bytes", self._ask("GET", f"/exports/{_quote(run_id)}/{_quote(name)}"))

    def positions(self) -> FeedPositions:
        """Return how far each stream was stored, and the last number of each of its producers.

        A producer begins here, and here again where the bus lost what it had: behind the `seq`
        that was stored.
        """
        return cast("FeedPositions", self._ask("GET", "/feed/positions"))

    def fit_series_model(
        self,
        series_id: str,
        *,
        timestamps: Sequence[int],
        values: Sequence[float],
        detector: str | None = None,
        k: float | None = None,
        direction: str | None = None,
        season: int | None = None,
        window: int | None = None,
    ) -> Fitted | Run | Started:
        """Fit a model to a history.

        The same history and options again are the version that they have.

        Args:
            timestamps: whole numbers of at least 0, strictly rising
            values: finite numbers, as many as timestamps; not all equal
            detector: simple (default), mad, moving_average, seasonal or stream
            k: deviations from the expected value that are still normal
            direction: above, below or both: on which side a value is strange
            season: seasonal: points of one cycle; null: to be found
            window: moving_average: how many of the last values count
        """
        return cast(
            "Fitted | Run | Started",
            self._start(
                "POST",
                f"/fit/{_quote(series_id)}",
                json={
                    "timestamps": timestamps,
                    "values": values,
                    "detector": detector,
                    "k": k,
                    "direction": direction,
                    "season": season,
                    "window": window,
                },
            ),
        )

    def groups(self, *, limit: int | None = None) -> Pages[Group]:
        """List the groups that were brought; while there are none, the demo's tickers have
        theirs.

        Args:
            limit: how many at the most in all; None: every one
        """
        return self._pages("/groups", {}, limit, most=500, item=Group)

    def replace_groups(self, *, groups: Sequence[GroupBody]) -> GroupsAnswer:
        """Put these groups in the place of all; say what is wrong with them."""
        return cast("GroupsAnswer", self._ask("PUT", "/groups", json={"groups": groups}))

    def health(self) -> Health:
        """How the service is, part by part."""
        return cast("Health", self._ask("GET", "/health"))

    def parts(self) -> Parts:
        """Say of each part of the service how it is, since when, and what to do.

        `since` is when it began, where the service has a time of that: a heartbeat, the oldest
        run that waits, a delivery. Of all else it is when a look first found it so, which
        `is_first_seen` says.
        """
        return cast("Parts", self._ask("GET", "/health/parts"))

    def series_health(self) -> SeriesHealth:
        """Say how many series have models, and how long the last requests took."""
        return cast("SeriesHealth", self._ask("GET", "/healthcheck"))

    def labels(
        self,
        *,
        ticker: str | None = None,
        feedback: Literal["confirmed", "expected", "false_alarm", "new_trend"] | None = None,
        limit: int | None = None,
    ) -> Pages[Label]:
        """List what people said of anomalies when they resolved their alerts.

        Args:
            limit: how many at the most in all; None: every one
            feedback: what people said that it was when they resolved it
        """
        return self._pages(
            "/labels",
            {"ticker": ticker, "feedback": feedback},
            limit,
            most=500,
            item=Label,
            times=("labelled_at",),
        )

    def markets(self, *, limit: int | None = None) -> Pages[ShownMarket]:
        """List the markets, by their codes.

        Args:
            limit: how many at the most in all; None: every one
        """
        return self._pages(
            "/markets",
            {},
            limit,
            most=500,
            item=ShownMarket,
            times=(
                "first_bar",
                "last_bar",
            ),
        )

    def add_market(
        self,
        *,
        calendar: str,
        timezone: str,
        suffixes: Sequence[str],
        code: str,
        name: str | None = None,
        aliases: Sequence[str] | None = None,
        indices: Sequence[str] | None = None,
        currency: str | None = None,
        index_ticker: str | None = None,
        tick_delay_seconds: int | None = None,
    ) -> ShownMarket:
        """Add a market.

        Args:
            name: for people
            calendar: of exchange_calendars 4.13, or FX
            timezone: IANA name of its local time
            suffixes: how its tickers end; one without gets the first, which may be empty
            aliases: how vendors end them; read as the first suffix
            indices: tickers of its indices
            currency: of its prices
            index_ticker: the index that stands for it
            tick_delay_seconds: how long a bar may take to come in
            code: the code of a market, as `/markets` lists them
        """
        return cast(
            "ShownMarket",
            self._ask(
                "POST",
                "/markets",
                json={
                    "name": name,
                    "calendar": calendar,
                    "timezone": timezone,
                    "suffixes": suffixes,
                    "aliases": aliases,
                    "indices": indices,
                    "currency": currency,
                    "index_ticker": index_ticker,
                    "tick_delay_seconds": tick_delay_seconds,
                    "code": code,
                },
            ),
        )

    def market(self, code: str) -> ShownMarket:
        """Return a market."""
        return cast("ShownMarket", self._ask("GET", f"/markets/{_quote(code)}"))

    def change_market(
        self,
        code: str,
        *,
        calendar: str,
        timezone: str,
        suffixes: Sequence[str],
        name: str | None = None,
        aliases: Sequence[str] | None = None,
        indices: Sequence[str] | None = None,
        currency: str | None = None,
        index_ticker: str | None = None,
        tick_delay_seconds: int | None = None,
    ) -> ShownMarket:
        """Change a market.

        Its calendar stays while bars of it are stored, unless the command line changes it.

        Args:
            name: for people
            calendar: of exchange_calendars 4.13, or FX
            timezone: IANA name of its local time
            suffixes: how its tickers end; one without gets the first, which may be empty
            aliases: how vendors end them; read as the first suffix
            indices: tickers of its indices
            currency: of its prices
            index_ticker: the index that stands for it
            tick_delay_seconds: how long a bar may take to come in
        """
        return cast(
            "ShownMarket",
            self._ask(
                "PUT",
                f"/markets/{_quote(code)}",
                json={
                    "name": name,
                    "calendar": calendar,
                    "timezone": timezone,
                    "suffixes": suffixes,
                    "aliases": aliases,
                    "indices": indices,
                    "currency": currency,
                    "index_ticker": index_ticker,
                    "tick_delay_seconds": tick_delay_seconds,
                },
            ),
        )

    def remove_market(self, code: str) -> None:
        """Remove a market that was added, or what was changed of a shipped one."""
        self._ask("DELETE", f"/markets/{_quote(code)}")

    def flagged_day(
        self,
        code: str,
        day: str,
        *,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        watchlist: str | None = None,
        severity: Literal["low", "medium", "high", "critical"] | None = None,
        kind: Literal["event", "fault"] | None = None,
        scope: Literal["market", "sector", "own", "mixed", "quiet"] | None = None,
    ) -> FlaggedDay:
        """Return a day seen across its market: how many tickers were flagged, of which sectors.

        A day is a date as bars are labelled, in UTC: that of the session where bars are daily.

        Args:
            interval: how long a bar is: minutes, hours, a day or a week
            watchlist: only its tickers
            severity: low, medium from grade 50 on, high from 75 on, critical from 100 on
            kind: `event`: something happened; `fault`: the bar is wrong, as data
            scope: whose move it was: the whole market's, the sector's, the ticker's own,
                several of these (`mixed`), or none of the close (`quiet`)
        """
        return cast(
            "FlaggedDay",
            self._ask(
                "GET",
                f"/markets/{_quote(code)}/days/{_quote(day)}",
                params={
                    "interval": interval,
                    "watchlist": watchlist,
                    "severity": severity,
                    "kind": kind,
                    "scope": scope,
                },
            ),
        )

    def session_exceptions(self, code: str) -> SessionExceptions:
        """List the days on which an exchange does not keep to its calendar.

        `proposed` are those on which it cannot have: most of its market traded.
        """
        return cast("SessionExceptions", self._ask("GET", f"/markets/{_quote(code)}/sessions"))

    def set_session_exception(
        self,
        code: str,
        *,
        day: Time,
        session: Literal["shut", "open", "calendar"],
        opens: str | None = None,
        closes: str | None = None,
        note: str | None = None,
    ) -> Started:
        """Say that an exchange is shut on a day, or open at other hours, or as its calendar
        says.

        Args:
            session: `shut`: it does not open; `open`: at other hours, `opens` to `closes`;
                `calendar`: as its calendar says, again
            opens: in the market's own time
            closes: in the market's own time
            note: why, for others
        """
        return cast(
            "Started",
            self._start(
                "POST",
                f"/markets/{_quote(code)}/sessions",
                json={
                    "day": day,
                    "session": session,
                    "opens": opens,
                    "closes": closes,
                    "note": note,
                },
            ),
        )

    def set_ticker_market(self, code: str, ticker: str) -> TickerMarket:
        """Say of which market a ticker is, whatever it looks like."""
        return cast(
            "TickerMarket", self._ask("PUT", f"/markets/{_quote(code)}/tickers/{_quote(ticker)}")
        )

    def model_stats(self) -> ModelStats:
        """Ask the workers what their model caches hold."""
        return cast("ModelStats", self._ask("GET", "/model-stats"))

    def models(
        self,
        *,
        market: str | None = None,
        state: Literal["candidate", "champion", "retired"] | None = None,
        limit: int | None = None,
    ) -> Pages[ModelSummary]:
        """List versions, the newest first.

        Args:
            limit: how many at the most in all; None: every one
            state: `champion`: in use; `candidate`: not, or not any more; `retired`
        """
        return self._pages(
            "/models",
            {"market": market, "state": state},
            limit,
            most=500,
            item=ModelSummary,
            times=(
                "created_at",
                "promoted_at",
                "retired_at",
                "window_end",
                "window_start",
            ),
        )

    def evaluate_models(
        self,
        *,
        versions: Sequence[str],
        tickers: Sequence[str] | None = None,
        start: Time | None = None,
        end: Time | None = None,
        labels: Sequence[LabelledBar] | None = None,
        keep_scores: bool | None = None,
    ) -> Started:
        """Judge one version, or compare two, on a stretch of bars; nothing is promoted.

        The run's options name the evaluation, from which its results are read.

        Args:
            tickers: none: those that labels name, or all of the market
            start: first bar; by default that of the first label's day, or the first bar
            end: last bar; by default the last label's, or the last bar
            labels: both anomalies and others, or none
            keep_scores: keep the score of every bar for 30 days
        """
        return cast(
            "Started",
            self._start(
                "POST",
                "/models/evaluate",
                json={
                    "versions": versions,
                    "tickers": tickers,
                    "start": start,
                    "end": end,
                    "labels": labels,
                    "keep_scores": keep_scores,
                },
            ),
        )

    def roll_model_back(
        self,
        *,
        ticker: str | None = None,
        watchlist: str | None = None,
        market: str | None = None,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
    ) -> Pointer:
        """Go back to the champion before the present one.

        Retired versions are passed over; a ticker or watchlist that had none before goes back
        to its market's champion.

        Args:
            interval: how long a bar is: minutes, hours, a day or a week
        """
        return cast(
            "Pointer",
            self._ask(
                "POST",
                "/models/rollback",
                json={
                    "ticker": ticker,
                    "watchlist": watchlist,
                    "market": market,
                    "interval": interval,
                },
            ),
        )

    def train_model(
        self,
        *,
        market: str,
        trees: int | None = None,
        sample: int | None = None,
        windows: int | None = None,
        epochs: int | None = None,
        weights: str | Sequence[str] | None = None,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        tickers: Sequence[str] | None = None,
        feature_set: str | None = None,
        contamination: float | None = None,
        grade: float | None = None,
        score: float | None = None,
        seed: int | None = None,
        detector: str | None = None,
        window_start: Time | None = None,
        window_end: Time | None = None,
        promote: bool | None = None,
    ) -> Started:
        """Train a new version of a market's model; the run's document names it when it is
        there.

        To have it put in use takes a key that may do so directly: for others `promote` is
        false.

        Args:
            trees: how many trees
            sample: rows that each tree is grown from
            windows: windows that it learns from
            epochs: how often it goes over them at the most
            weights: whose votes count how much: seed, equal, measured (by labels), or
                member=weight, with commas between
            market: `ALL`: all markets, for each that has none of its own
            interval: how long a bar is: minutes, hours, a day or a week
            tickers: none: all of the market
            contamination: share of bars that are to be anomalies
            window_start: first bar to learn from
            window_end: last bar to learn from
            promote: admin only; null: only where there is none of its interval yet
        """
        return cast(
            "Started",
            self._start(
                "POST",
                "/models/train",
                json={
                    "trees": trees,
                    "sample": sample,
                    "windows": windows,
                    "epochs": epochs,
                    "weights": _join(weights),
                    "market": market,
                    "interval": interval,
                    "tickers": tickers,
                    "feature_set": feature_set,
                    "contamination": contamination,
                    "grade": grade,
                    "score": score,
                    "seed": seed,
                    "detector": detector,
                    "window_start": window_start,
                    "window_end": window_end,
                    "promote": promote,
                },
            ),
        )

    def model(self, version: str) -> Model:
        """Return a version: what it learned from, with which parameters, and its threshold."""
        return cast("Model", self._ask("GET", f"/models/{_quote(version)}"))

    def promote_model(
        self, version: str, *, ticker: str | None = None, watchlist: str | None = None
    ) -> Pointer:
        """Put a version in use: the next batch of every worker takes it."""
        return cast(
            "Pointer",
            self._ask(
                "POST",
                f"/models/{_quote(version)}/promote",
                json={"ticker": ticker, "watchlist": watchlist},
            ),
        )

    def retire_model(self, version: str) -> Model:
        """Take a version out of use for good. What it found can still be verified."""
        return cast("Model", self._ask("POST", f"/models/{_quote(version)}/retire"))

    def mutes(
        self, *, active: bool | None = None, ticker: str | None = None, limit: int | None = None
    ) -> Pages[Mute]:
        """List mutes with how many alerts each silenced, those that ended too.

        Args:
            limit: how many at the most in all; None: every one
            active: those in force, or those that ended
        """
        return self._pages(
            "/mutes",
            {"active": active, "ticker": ticker},
            limit,
            most=500,
            item=Mute,
            times=(
                "created_at",
                "ended_at",
                "last_silenced_at",
                "until",
            ),
        )

    def add_mute(
        self,
        *,
        until: Time,
        reason: str,
        ticker: str | None = None,
        watchlist: str | None = None,
        market: str | None = None,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        direction: Literal["up", "down"] | None = None,
        scope: Literal["market", "sector", "own", "mixed", "quiet"] | None = None,
    ) -> Mute:
        """Say what is expected until a time.

        Alerts of it are raised, listed and counted, and resolved at once, so that nobody is
        told.

        Args:
            scope: whose move it is
            until: at most 90 days ahead
        """
        return cast(
            "Mute",
            self._ask(
                "POST",
                "/mutes",
                json={
                    "ticker": ticker,
                    "watchlist": watchlist,
                    "market": market,
                    "interval": interval,
                    "direction": direction,
                    "scope": scope,
                    "until": until,
                    "reason": reason,
                },
            ),
        )

    def end_mute(self, mute_id: str) -> None:
        """End a mute now; it stays listed with what it silenced."""
        self._ask("DELETE", f"/mutes/{_quote(mute_id)}")

    def deliveries(
        self,
        *,
        state: Literal["pending", "sent", "failed", "not_needed"] | None = None,
        rule: str | None = None,
        limit: int | None = None,
    ) -> Pages[Delivery]:
        """List what was sent, is to be sent, or could not be.

        Args:
            limit: how many at the most in all; None: every one
            state: `pending`: still tried; `failed`: given up; `not_needed`: nobody had to
                be told any more
            rule: the name of a notification rule
        """
        return self._pages(
            "/notifications/deliveries",
            {"state": state, "rule": rule},
            limit,
            most=500,
            item=Delivery,
            times=(
                "created_at",
                "due_at",
                "sent_at",
            ),
        )

    def rules(self, *, limit: int | None = None) -> Pages[Rule]:
        """List the rules by which people are told.

        Args:
            limit: how many at the most in all; None: every one
        """
        return self._pages(
            "/notifications/rules", {}, limit, most=500, item=Rule, times=("updated_at",)
        )

    def set_rule(
        self,
        name: str,
        *,
        channel: str,
        watchlist: str | None = None,
        kind: Literal["event", "fault"] | None = None,
        min_grade: float | None = None,
        min_confidence: float | None = None,
        quiet_from: str | None = None,
        quiet_until: str | None = None,
        timezone: str | None = None,
        backfills: bool | None = None,
        failures: bool | None = None,
        enabled: bool | None = None,
        scope: Literal["market", "sector", "own", "mixed", "quiet"] | None = None,
        ticker: str | None = None,
        secret: str | None = None,
        next_channel: str | None = None,
        escalate_after_minutes: int | None = None,
        digest: Literal["daily", "weekly"] | None = None,
        digest_at: str | None = None,
    ) -> Rule:
        """Make a rule, or put another in its place.

        Args:
            channel: an address that apprise knows; it is never shown again in full
            watchlist: only anomalies of its tickers; null: of all
            kind: only anomalies of this kind; null: of both
            min_grade: only anomalies of at least this grade
            min_confidence: and of at least this confidence, from 0 to 1
            quiet_from: from this local time on nothing is sent
            quiet_until: from this local time on what was held back is sent
            timezone: IANA name; of the quiet hours and of the digest
            backfills: tell of backfills too
            failures: tell of runs that failed, whole or in part; with a watchlist or
                ticker, of those in which one of its tickers failed
            scope: only alerts whose move was this
            ticker: only alerts of it
            secret: of a webhook: what its messages are signed with; never shown again
            next_channel: who is told of critical alerts that nobody acknowledges; never
                shown
            digest: one message a day, or on Mondays, in place of one a scan
            digest_at: at which local time
        """
        return cast(
            "Rule",
            self._ask(
                "PUT",
                f"/notifications/rules/{_quote(name)}",
                json={
                    "channel": channel,
                    "watchlist": watchlist,
                    "kind": kind,
                    "min_grade": min_grade,
                    "min_confidence": min_confidence,
                    "quiet_from": quiet_from,
                    "quiet_until": quiet_until,
                    "timezone": timezone,
                    "backfills": backfills,
                    "failures": failures,
                    "enabled": enabled,
                    "scope": scope,
                    "ticker": ticker,
                    "secret": secret,
                    "next_channel": next_channel,
                    "escalate_after_minutes": escalate_after_minutes,
                    "digest": digest,
                    "digest_at": digest_at,
                },
            ),
        )

    def change_rule(
        self,
        name: str,
        *,
        channel: Kept | str | None = KEPT,
        watchlist: Kept | str | None = KEPT,
        kind: Kept | Literal["event", "fault"] | None = KEPT,
        min_grade: Kept | float | None = KEPT,
        min_confidence: Kept | float | None = KEPT,
        quiet_from: Kept | str | None = KEPT,
        quiet_until: Kept | str | None = KEPT,
        timezone: Kept | str | None = KEPT,
        backfills: Kept | bool | None = KEPT,
        failures: Kept | bool | None = KEPT,
        enabled: Kept | bool | None = KEPT,
        scope: Kept | Literal["market", "sector", "own", "mixed", "quiet"] | None = KEPT,
        ticker: Kept | str | None = KEPT,
        secret: Kept | str | None = KEPT,
        next_channel: Kept | str | None = KEPT,
        escalate_after_minutes: Kept | int | None = KEPT,
        digest: Kept | Literal["daily", "weekly"] | None = KEPT,
        digest_at: Kept | str | None = KEPT,
    ) -> Rule:
        """Change what is named of a rule, and keep the rest: its channel and secret need not be
        known.

        null takes back what may be null; a `secret`, a `next_channel`, quiet hours, a digest.
        """
        return cast(
            "Rule",
            self._ask(
                "PATCH",
                f"/notifications/rules/{_quote(name)}",
                json={
                    "channel": _write_null(channel),
                    "watchlist": _write_null(watchlist),
                    "kind": _write_null(kind),
                    "min_grade": _write_null(min_grade),
                    "min_confidence": _write_null(min_confidence),
                    "quiet_from": _write_null(quiet_from),
                    "quiet_until": _write_null(quiet_until),
                    "timezone": _write_null(timezone),
                    "backfills": _write_null(backfills),
                    "failures": _write_null(failures),
                    "enabled": _write_null(enabled),
                    "scope": _write_null(scope),
                    "ticker": _write_null(ticker),
                    "secret": _write_null(secret),
                    "next_channel": _write_null(next_channel),
                    "escalate_after_minutes": _write_null(escalate_after_minutes),
                    "digest": _write_null(digest),
                    "digest_at": _write_null(digest_at),
                },
            ),
        )

    def remove_rule(self, name: str) -> None:
        """Remove a rule; what it has sent stays listed, and what waits is not sent."""
        self._ask("DELETE", f"/notifications/rules/{_quote(name)}")

    def try_channel(self, name: str) -> Tried:
        """Send a line to a rule's channel now."""
        return cast("Tried", self._ask("POST", f"/notifications/rules/{_quote(name)}/test"))

    def plot_series(
        self, *, series_id: str | None = None, version: str | None = None, format: str | None = None
    ) -> str:
        """Draw a version of a series; nothing in the page comes from elsewhere.

        Args:
            series_id: the name of a series, as `/series` lists them
            format: html, svg or json
        """
        return cast(
            "str",
            self._ask(
                "GET",
                "/plot",
                params={"series_id": series_id, "version": version, "format": format},
                is_text=True,
            ),
        )

    def predict_stream(
        self,
        series_id: str,
        lines: Iterable[str],
        *,
        version: str | None = None,
        store: bool | None = None,
    ) -> Iterator[str]:
        """Judge a file of points, one a line; the answers come line by line as they are made.

        A detector that learns does so from line to line, and for good where `store` is true.

        Args:
            store: keep the predictions; needs the scope enqueue
        """
        return self._lines(
            "POST",
            f"/predict-stream/{_quote(series_id)}",
            params={"version": version, "store": store},
            content=(f"{line}\n".encode() for line in lines),
            headers={"Content-Type": "application/x-ndjson"},
        )

    def predict_series(
        self,
        series_id: str,
        body: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        version: str | None = None,
        store: bool | None = None,
    ) -> Prediction | Predictions:
        """Judge a point, or each of a list of up to 10,000.

        Nothing is changed unless `store` is true.

        Args:
            store: keep the predictions; needs the scope enqueue
        """
        return cast(
            "Prediction | Predictions",
            self._ask(
                "POST",
                f"/predict/{_quote(series_id)}",
                params={"version": version, "store": store},
                json=body,
            ),
        )

    def scheduler(self) -> Scheduler:
        """Say whether periodic scans run, and when each watchlist is scanned."""
        return cast("Scheduler", self._ask("GET", "/scheduler"))

    def toggle_scheduler(self, *, enabled: bool | None = None) -> Scheduler:
        """Switch periodic scans on or off, for as long as nobody switches again."""
        return cast("Scheduler", self._ask("POST", "/scheduler/toggle", json={"enabled": enabled}))

    def series(self, *, limit: int | None = None) -> Pages[SingleSeries]:
        """List the series that have models, by id.

        Args:
            limit: how many at the most in all; None: every one
        """
        return self._pages(
            "/series",
            {},
            limit,
            most=500,
            item=SingleSeries,
            times=(
                "created_at",
                "updated_at",
            ),
        )

    def one_series(self, series_id: str) -> SingleSeriesDetails:
        """Return a series with its latest versions."""
        return cast("SingleSeriesDetails", self._ask("GET", f"/series/{_quote(series_id)}"))

    def delete_single_series(self, series_id: str) -> None:
        """Delete a series with all its versions, histories and predictions."""
        self._ask("DELETE", f"/series/{_quote(series_id)}")

    def predictions(
        self,
        series_id: str,
        *,
        version: str | None = None,
        anomaly: bool | None = None,
        limit: int | None = None,
    ) -> Pages[StoredPrediction]:
        """List the stored predictions of a series, the latest first.

        Args:
            limit: how many at the most in all; None: every one
            anomaly: only points that were judged strange, or only the others
        """
        return self._pages(
            f"/series/{_quote(series_id)}/predictions",
            {"version": version, "anomaly": anomaly},
            limit,
            most=500,
            item=StoredPrediction,
            times=("created_at",),
        )

    def label_prediction(
        self,
        series_id: str,
        version: str,
        timestamp: str,
        *,
        feedback: Literal["confirmed", "expected", "false_alarm", "new_trend"],
    ) -> StoredPrediction:
        """Say what a stored prediction was; the last word counts."""
        return cast(
            "StoredPrediction",
            self._ask(
                "PUT",
                f"/series/{_quote(series_id)}/predictions/{_quote(version)}/{_quote(timestamp)}/label",
                json={"feedback": feedback},
            ),
        )

    def tickers(
        self,
        *,
        ticker: str | None = None,
        tickers: str | Sequence[str] | None = None,
        contains: str | None = None,
        prefix: str | None = None,
        watchlist: str | None = None,
        market: str | None = None,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        limit: int | None = None,
    ) -> Pages[Series]:
        """List the series that have stored bars, with how many anomalies each has.

        Args:
            limit: how many at the most in all; None: every one
            tickers: any of these, with commas between them
            contains: in the names of their tickers
            prefix: only tickers that begin so
            watchlist: only of its tickers
        """
        return self._pages(
            "/tickers",
            {
                "ticker": ticker,
                "tickers": _join(tickers),
                "contains": contains,
                "prefix": prefix,
                "watchlist": watchlist,
                "market": market,
                "interval": interval,
            },
            limit,
            most=500,
            item=Series,
            times=(
                "first_bar",
                "last_bar",
                "updated_at",
                "watermark",
            ),
        )

    def sum_up_tickers(
        self, *, contains: str | None = None, market: str | None = None
    ) -> SeriesTotal:
        """Sum up the series that have stored bars: how many, and what they lack.

        Args:
            contains: in the names of their tickers
        """
        return cast(
            "SeriesTotal",
            self._ask("GET", "/tickers/summary", params={"contains": contains, "market": market}),
        )

    def delete_ticker(
        self,
        ticker: str,
        *,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
    ) -> None:
        """Delete the bars of a ticker.

        Its anomalies, models and runs stay, and say that their bars are gone.

        Args:
            interval: only those of this interval; none: all
        """
        self._ask("DELETE", f"/tickers/{_quote(ticker)}", params={"interval": interval})

    def coverage(
        self,
        ticker: str,
        *,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
    ) -> SeriesCoverage:
        """Say which sessions, from its first bar to its last, a series has no bar of.

        Args:
            interval: how long a bar is: minutes, hours, a day or a week
        """
        return cast(
            "SeriesCoverage",
            self._ask("GET", f"/tickers/{_quote(ticker)}/coverage", params={"interval": interval}),
        )

    def ticker_profile(
        self,
        ticker: str,
        *,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
    ) -> Profile:
        """Say what is known of a ticker's strange bars: how many, what they were, what
        followed.

        Args:
            interval: how long a bar is: minutes, hours, a day or a week
        """
        return cast(
            "Profile",
            self._ask("GET", f"/tickers/{_quote(ticker)}/profile", params={"interval": interval}),
        )

    def record_split(
        self,
        ticker: str,
        *,
        session: Time,
        factor: float,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
    ) -> Started:
        """Record a split: bars stay stored as they were quoted, and are adjusted when read.

        Args:
            session: on which the new shares traded first
            factor: new shares for each old one; 1 takes a split back
            interval: how long a bar is: minutes, hours, a day or a week
        """
        return cast(
            "Started",
            self._start(
                "POST",
                f"/tickers/{_quote(ticker)}/splits",
                json={"session": session, "factor": factor, "interval": interval},
            ),
        )

    def ticker_status(
        self,
        ticker: str,
        *,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
    ) -> SeriesStatus:
        """Say why a series has results up to where it has, or none.

        Args:
            interval: how long a bar is: minutes, hours, a day or a week
        """
        return cast(
            "SeriesStatus",
            self._ask("GET", f"/tickers/{_quote(ticker)}/status", params={"interval": interval}),
        )

    def ticker_threshold(self, ticker: str) -> TickerThreshold:
        """Say what passes as an anomaly of a ticker, where that was set for it alone."""
        return cast("TickerThreshold", self._ask("GET", f"/tickers/{_quote(ticker)}/threshold"))

    def set_ticker_threshold(self, ticker: str, *, threshold: Threshold | None) -> TickerThreshold:
        """Set what passes as an anomaly of a ticker; the next detection goes by it.

        Args:
            threshold: null: as its watchlist, its market or the model says
        """
        return cast(
            "TickerThreshold",
            self._ask(
                "PUT",
                f"/tickers/{_quote(ticker)}/threshold",
                json={"threshold": _write_null(threshold)},
            ),
        )

    def watchlists(self, *, limit: int | None = None) -> Pages[Watchlist]:
        """List watchlists by name.

        Args:
            limit: how many at the most in all; None: every one
        """
        return self._pages(
            "/watchlists",
            {},
            limit,
            most=500,
            item=Watchlist,
            times=(
                "created_at",
                "last_scan",
                "next_scan",
                "updated_at",
            ),
        )

    def add_watchlist(
        self,
        *,
        tickers: Sequence[str],
        name: str,
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        schedule: str | None = None,
        delay_minutes: int | None = None,
        threshold: float | Threshold | None = None,
        min_confidence: float | None = None,
        enabled: bool | None = None,
        source: Literal["none", "yahoo", "folder", "feed"] | None = None,
        folder: str | None = None,
        with_overview: bool | None = None,
    ) -> Watchlist:
        """Make a watchlist. One with a threshold or a champion of its own is an admin's.

        Args:
            interval: how long a bar is: minutes, hours, a day or a week
            schedule: `after_close`: after each closed bar of their market; or cron, in the
                first market's time
            delay_minutes: after a bar has closed: how long it may take to be stored here
            threshold: what is an anomaly here: the grade from which a bar is, or a kind and
                its value; null: as the model says
            min_confidence: its alerts are of anomalies of at least this confidence, from 0
                to 1, and of faults, which have none
            source: where bars come from before each scan: `none` (they are brought),
                `yahoo`, a `folder` below the watched one, or the `feed`
            folder: its name, where that is the source
            with_overview: whether a scan's `result` has what each of its markets did
                (`overview`)
            name: the name of a watchlist, as `/watchlists` lists them
        """
        return cast(
            "Watchlist",
            self._ask(
                "POST",
                "/watchlists",
                json={
                    "tickers": tickers,
                    "interval": interval,
                    "schedule": schedule,
                    "delay_minutes": delay_minutes,
                    "threshold": threshold,
                    "min_confidence": min_confidence,
                    "enabled": enabled,
                    "source": source,
                    "folder": folder,
                    "with_overview": with_overview,
                    "name": name,
                },
            ),
        )

    def watchlist(self, name: str) -> Watchlist:
        """Return a watchlist, with its version as ETag."""
        return cast("Watchlist", self._ask("GET", f"/watchlists/{_quote(name)}"))

    def replace_watchlist(
        self,
        name: str,
        *,
        tickers: Sequence[str],
        interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] | None = None,
        schedule: str | None = None,
        delay_minutes: int | None = None,
        threshold: float | Threshold | None = None,
        min_confidence: float | None = None,
        enabled: bool | None = None,
        source: Literal["none", "yahoo", "folder", "feed"] | None = None,
        folder: str | None = None,
        with_overview: bool | None = None,
    ) -> Watchlist:
        """Change a watchlist; with `If-Match`, only if nobody else did since it was read.

        Which tickers a threshold or champion of its own is for, and the threshold, are an
        admin's to change.

        Args:
            interval: how long a bar is: minutes, hours, a day or a week
            schedule: `after_close`: after each closed bar of their market; or cron, in the
                first market's time
            delay_minutes: after a bar has closed: how long it may take to be stored here
            threshold: what is an anomaly here: the grade from which a bar is, or a kind and
                its value; null: as the model says
            min_confidence: its alerts are of anomalies of at least this confidence, from 0
                to 1, and of faults, which have none
            source: where bars come from before each scan: `none` (they are brought),
                `yahoo`, a `folder` below the watched one, or the `feed`
            folder: its name, where that is the source
            with_overview: whether a scan's `result` has what each of its markets did
                (`overview`)
        """
        return cast(
            "Watchlist",
            self._ask(
                "PUT",
                f"/watchlists/{_quote(name)}",
                json={
                    "tickers": tickers,
                    "interval": interval,
                    "schedule": schedule,
                    "delay_minutes": delay_minutes,
                    "threshold": threshold,
                    "min_confidence": min_confidence,
                    "enabled": enabled,
                    "source": source,
                    "folder": folder,
                    "with_overview": with_overview,
                },
            ),
        )

    def remove_watchlist(self, name: str) -> None:
        """Remove a watchlist; its runs and anomalies stay.

        One with a threshold of its own is an admin's.
        """
        self._ask("DELETE", f"/watchlists/{_quote(name)}")

    def suggested_threshold(self, name: str) -> Suggestion:
        """Return the grade that keeps true anomalies and false alarms apart best, by labels.

        It has the alerts of the last 90 days that would be gained and lost. Nothing is changed.
        """
        return cast(
            "Suggestion", self._ask("GET", f"/watchlists/{_quote(name)}/suggested-threshold")
        )

    def apply_suggested_threshold(self, name: str, *, grade: float) -> Suggestion:
        """Have a watchlist raise alerts from this grade on; the audit names who said so."""
        return cast(
            "Suggestion",
            self._ask(
                "PUT", f"/watchlists/{_quote(name)}/suggested-threshold", json={"grade": grade}
            ),
        )

    def readiness(self) -> Alive:
        """Whether work can be accepted: MongoDB, at the version that this code needs, has it.

        Where other machines may ask, there is nobody to accept it from until a key has been
        made.

        Redis is not asked: the sweeper sends what it missed.
        """
        return cast("Alive", self._ask("GET", "/readyz", root=True))
