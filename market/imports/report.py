"""What an import did, ticker by ticker."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

LISTED_REJECTIONS = 1_000
LISTED_FILES = 1_000
T = TypeVar("T")

# What is stored of series, of failures and of files may take so much each: a document has 16 MB.
MOST_LISTED_BYTES = 2 * 2**20


@dataclass(frozen=True, slots=True)
class Rejection:
    """One row that was kept aside.

    Attributes:
        row: its number in the source, the first row of data being 1.
        time: as the source wrote it.
        reason: one of `market.imports.rejection.REASONS`.
        values: the row's other cells, as the source wrote them.
    """

    row: int
    time: str
    reason: str
    values: dict[str, str]


@dataclass(slots=True)
class SeriesReport:
    """What became of one ticker's rows: each was new, changed, unchanged or rejected.

    `error` says why nothing of the ticker was stored, `is_empty` that its source has nothing of
    it; `revision` is the series' afterwards.
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
    """What became of one file of a source: read,
    failed (`error` says why) or not even tried (`skipped` does).

    Attributes:
        name: the file's.
        columns: how it names the columns that were read, by field.
        aside: its other columns, at most 100.
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
    """What became of a whole import: of each of its series, and of each of its files.

    A dry one stored nothing.

    `import_id` is what it is taken back by.
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
        """The series of which nothing could be stored."""
        return [series for series in self.series if series.error is not None]

    @property
    def failures(self) -> dict[str, str]:
        """The files that could not be used, and why."""
        return {file.name: file.error for file in self.files if file.error is not None}

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values: the totals, then each series and file;
        1,000 rejected rows in all are listed.
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
        """Return what is stored of the report: as many series, failures and files as a document
        has room for, what needs a look first, and how many there are.
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
    """Yield JSON values as long as a document of MongoDB has room for them among others."""
    size = 0
    for one in listed:
        size += len(json.dumps(one))
        if size > MOST_LISTED_BYTES:
            return
        yield one
