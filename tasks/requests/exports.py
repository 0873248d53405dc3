"""The API and the command line ask for exports that a worker writes here."""

from dataclasses import asdict, fields
from datetime import datetime

from celery import Celery

from core.errors import BadInput
from detection.features.feature_sets import FEATURE_SETS
from market.exports.opening import check_asked, open_table
from market.exports.tables import Asked
from market.exports.writing import Format
from records.database import Db
from records.market.series import find_sizes
from records.work.documents import RunDocument
from records.work.requests import NOT_ONCE, Once, RunRequest
from tasks.engine.accept import accept_run

MOST_ROWS = 100_000_000
# Fields of an export that are in the run's document anyway; the rest are the run's options.
OF_RUN = {"tickers"}
MOST_FEATURES = max(len(feature_set.columns) for feature_set in FEATURE_SETS)


def request_export(
    database: Db,
    celery: Celery,
    asked: Asked,
    form: Format,
    columns: tuple[str, ...] = (),
    *,
    most_rows: int = MOST_ROWS,
    now: datetime,
    once: Once = NOT_ONCE,
) -> RunDocument:
    """Accept an export and return its run, whose result has the manifest.

    Raises BadInput where the table cannot be laid out so, has none of the columns or too many rows.
    """
    rows = count_rows(database, asked, columns)
    if rows > most_rows:
        raise BadInput(
            f"these are up to {rows:,} rows, and {most_rows:,} at the most are written at once: ask"
            " for less (tickers, start, end)",
            reason="too_many_rows",
        )
    options = asdict(asked) | {"format": form, "columns": list(columns), "most_rows": rows}
    request = RunRequest(
        "export",
        "manual",
        tickers=asked.tickers,
        interval=asked.one_interval,
        options={name: value for name, value in options.items() if name not in OF_RUN},
        once=once,
    )
    return accept_run(database, celery, request, now=now)


def count_rows(database: Db, asked: Asked, columns: tuple[str, ...]) -> int:
    """Return how many rows a table has at the most. Raises BadInput on what it has not."""
    check_asked(asked)
    if asked.table == "features":  # which take a model
        sizes = find_sizes(database, tickers=asked.tickers, interval=asked.one_interval)
        bars = sum(size["bars"] for size in sizes)
        return bars if asked.layout == "wide" else bars * MOST_FEATURES
    opened = open_table(database, asked)
    return (opened.choose(columns) if columns else opened).most_rows


def read_asked(run: RunDocument) -> Asked:
    """Return what the run of an export asks for."""
    names = {field.name for field in fields(Asked)} - OF_RUN
    # Requests of earlier versions have the interval in the run alone, and name no watchlist.
    options = {"interval": run["interval"], **run["options"]}
    told = {name: options[name] for name in names & options.keys()}
    told["metrics"] = tuple(told["metrics"])
    return Asked(tickers=tuple(run["tickers"]), **told)
