"""The report of an import, ticker by ticker."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

LISTED_REJECTIONS = 1_000
LISTED_FILES = 1_000
T = TypeVar("T")

# The stored lists of series, of failures and of files may take so much each: a document has 16 MB.
MOST_LISTED_BYTES = 2 * 2**20


@dataclass(frozen=True, slots=True)
class Rejection:
    """One rejected row.

    Attributes:
        row: its number in the source; the first row of data is 1.
        time: its time as the source wrote it.
        reason: one of `market.imports.rejection.REASONS`.
        values: its other cells as the source wrote them.
    """

    row: int
    time: str
    reason: str
    values: dict[str, str]


@dataclass(slots=True)
class SeriesReport:
    """The report on one ticker: how many rows were new, changed, unchanged or rejected.

    `error` is the reason where nothing of the ticker was stored; `is_empty` says that the source
    has no bars of it; `revision` is that of the series afterwards.
    """

    ticker: str
    interval: str
    read: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    rejected_rows: int = 0
    rejected: list[Rejection] = field(default_factory=list)
    splits: int = 0
    revision: int | None = None
    notes: list[str] = field(default_factory=list)
    error: str | None = None
    is_empty: bool = False


@dataclass(slots=True)
class FileReport:
    """The report on one file: it was read, or could not be (`error` says why), or was not tried
    (`skipped` says why).

    Attributes:
        name: the file's name.
        columns: by field the file's name of the column that was read.
        aside: the names of its other columns, at most 100.
        notes: how its columns, numbers and times were read.
    """

    name: str
    columns: dict[str, str] = field(default_factory=dict)
    aside: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    error: str | None = None
    skipped: str | None = None


@dataclass(slots=True)
class ImportReport:
    """The report of a whole import: of each of its series and of each of its files.

    A dry run has stored nothing. `import_id` is the id by which the import can be undone.
    """

    source: str
    interval: str
    series: list[SeriesReport] = field(default_factory=list)
    files: list[FileReport] = field(default_factory=list)
    dry_run: bool = False
    import_id: str | None = None

    def total(self, name: str) -> int:
        """Return the sum of one count over all series."""
        return sum(getattr(series, name) for series in self.series)

    @property
    def failed(self) -> list[SeriesReport]:
        """Return the reports of series of which nothing could be stored."""
        return [series for series in self.series if series.error is not None]

    @property
    def failures(self) -> dict[str, str]:
        """Return by name the error of each file that could not be used."""
        return {file.name: file.error for file in self.files if file.error is not None}

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values: the totals, then each series and file. At most 1,000
        rejected rows are listed in all.
        """
        counts = ("read", "new", "changed", "unchanged", "rejected_rows")
        series = [asdict(report) for report in self.series]
        listed = 0
        for report in series:
            report["rejected"] = report["rejected"][: LISTED_REJECTIONS - listed]
            listed += len(report["rejected"])
        totals = {name: self.total(name) for name in counts}
        head = {
            "source": self.source,
            "interval": self.interval,
            "import_id": self.import_id,
            "dry_run": self.dry_run,
            **totals,
        }
        files = [asdict(file) for file in self.files[:LISTED_FILES]]
        return head | {"series": series, "failures": self.failures, "files": files}

    def to_record(self) -> dict[str, Any]:
        """Return the part of the report that is stored: the totals, and as many series, failures
        and files as a document has room for, those that need attention first.
        """
        values = self.to_dict()
        needs_look = ("error", "rejected_rows", "notes")
        series = sorted(values["series"], key=lambda one: not any(one[name] for name in needs_look))
        counts = {"series_total": len(series), "failures_total": len(values["failures"])}
        return (
            values
            | counts
            | {
                "series": list(take_with_room(series)),
                "failures": dict(take_with_room(values["failures"].items())),
                "files": list(take_with_room(values["files"])),
            }
        )


def take_with_room(listed: Iterable[T]) -> Iterator[T]:
    """Yield JSON values until they would take more than `MOST_LISTED_BYTES`."""
    size = 0
    for one in listed:
        size += len(json.dumps(one))
        if size > MOST_LISTED_BYTES:
            return
        yield one
