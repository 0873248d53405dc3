"""`flask series`: models of single series."""

import csv
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

import click
from rich.progress import track
from rich.table import Table

from cli.common import (
    CommandGroup,
    echo,
    exits_on_error,
    json_option,
    print_json,
    print_table,
    use_database,
)
from core.errors import BadInput
from core.moments import as_utc
from core.settings import get_settings
from detection.models import single_series
from detection.models.series_plot import build_plot, draw_plot
from detection.models.single_series import (
    SeriesModel,
    describe_version,
    fit_series,
    load_model,
    read_fit,
)
from detection.series.catalogue import DEFAULT, KINDS
from detection.series.contract import DIRECTIONS, Judgement
from detection.series.rules import MOST_POINTS, Point, parse_series_id, parse_version, read_point
from records.database import Db
from records.models.single_series import find_version, get_version, list_heads
from tasks.periodic.fallen_alerts import follow_gone_series

group = CommandGroup(
    "series", help="Fit models to single series of numbers, and judge points by them."
)

PART = 500
_HAS_DIGIT = re.compile(r"^\W*\d").search


@group.command("fit")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--id", "series_id", help="Name of the series.  [default: the file's name]")
@click.option("--detector", type=click.Choice(list(KINDS)), default=DEFAULT, show_default=True)
@click.option("--k", type=float, help="Deviations from the expected value that are still normal.")
@click.option(
    "--direction", type=click.Choice(DIRECTIONS), help="On which side a value is strange."
)
@click.option("--season", type=int, help="seasonal: points of one cycle.  [default: measured]")
@click.option("--window", type=int, help="moving_average: how many of the last values count.")
@json_option
@exits_on_error
def fit(file: Path, *, series_id: str | None, detector: str, as_json: bool, **options: Any) -> None:
    """Fit a model to FILE, a CSV with two columns, a time and a value.

    A time is a whole number, or ISO 8601, which becomes seconds since 1970 (of UTC where it names
    no zone). The first line may name the columns.
    """
    named = parse_series_id(series_id or file.stem)
    with file.open(encoding="utf-8-sig", newline="") as opened:
        points = list(islice(read_points(opened, file.name), MOST_POINTS + 1))
    settings = get_settings()
    request = read_fit(
        named,
        [point.timestamp for point in points],
        [point.value for point in points],
        least_points=settings.min_training_data_points,
        detector=detector,
        **options,
    )
    with use_database() as database:
        fitted = describe_version(fit_series(database, request, as_utc(datetime.now(UTC))))
    if as_json:
        print_json(fitted)
    else:
        echo(
            f"{named}: version {fitted['version']}, {detector}, fitted to {fitted['points_used']:,}"
            " points"
        )


@group.command("predict")
@click.argument("series_id")
@click.argument("file", type=click.File(encoding="utf-8-sig"))
@click.option("--version", help="The version to use.  [default: the latest]")
@click.option(
    "--store",
    is_flag=True,
    help="Store the predictions; a detector that learns also learns from the points.",
)
@click.option("--all", "show_all", is_flag=True, help="Show all points, not only the anomalies.")
@json_option
@exits_on_error
def predict(
    series_id: str,
    file: IO[str],
    *,
    version: str | None,
    store: bool,
    show_all: bool,
    as_json: bool,
) -> None:
    """Judge the points of FILE, a CSV of times and values as `fit` reads it (- reads standard
    input).
    """
    points = list(read_points(file, file.name))
    with use_database() as database:
        model = load_model(
            get_version(database, parse_series_id(series_id), parse_version(version))
        )
        judged = list(_judge(database, model, points, store=store))
    rows = [
        {
            "timestamp": point.timestamp,
            "value": point.value,
            "model_version": str(model.version),
            **said._asdict(),
        }
        for point, said in zip(points, judged, strict=True)
        if show_all or as_json or said.anomaly
    ]
    if as_json:
        print_json(rows)
        return
    table = Table("timestamp", "value", "anomaly", "score", "expected", "lower", "upper")
    for row in rows:
        numbers = (row["value"], row["score"], row["expected"], row["lower"], row["upper"])
        value, *others = ("" if number is None else f"{number:g}" for number in numbers)
        table.add_row(str(row["timestamp"]), value, "yes" if row["anomaly"] else "", *others)
    print_table(table)
    echo(f"{sum(said.anomaly for said in judged):,} of {len(points):,} points are anomalies")


@group.command("list")
@json_option
@exits_on_error
def list_series(*, as_json: bool) -> None:
    """List the series that have models."""
    with use_database() as database:
        heads = list_heads(database)
        latest = [
            find_version(database, head["_id"], None, ("points_used", "points_learned"))
            for head in heads
        ]
    if as_json:
        print_json(heads)
        return
    table = Table(
        "series", "latest", "detector", "points", "learned", "stored predictions", "changed"
    )
    for head, model in zip(heads, latest, strict=True):
        table.add_row(
            head["_id"],
            f"v{head['latest']}",
            head["detector"],
            f"{model['points_used']:,}" if model else "",
            f"{model['points_learned']:,}" if model else "",
            f"{head['predictions']:,}",
            f"{head['updated_at']:%Y-%m-%d %H:%M}",
        )
    print_table(table)


@group.command("plot")
@click.argument("series_id")
@click.option("--version", help="The version to draw.  [default: the latest]")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File.  [default: SERIES_ID.svg]",
)
@exits_on_error
def plot(series_id: str, *, version: str | None, output: Path | None) -> None:
    """Draw a version of SERIES_ID into an SVG file."""
    named = parse_series_id(series_id)
    with use_database() as database:
        drawn = draw_plot(build_plot(database, named, parse_version(version)))
    target = output or Path(f"{named}.svg")
    target.write_text(drawn, encoding="utf-8")
    echo(f"Written to {target}.")


@group.command("delete")
@click.argument("series_id")
@click.confirmation_option(
    prompt="Delete the series with all its versions, histories and predictions?"
)
@exits_on_error
def delete(series_id: str) -> None:
    """Delete SERIES_ID with all its versions, histories and predictions."""
    named = parse_series_id(series_id)
    with use_database() as database:
        single_series.delete_series(database, named)
        follow_gone_series(database, named, datetime.now(UTC))
    echo(f"{named} is deleted")


def read_points(file: IO[str], name: str) -> Iterator[Point]:
    """Yield the points of a CSV file in their order: a time and a value, separated by a comma,
    semicolon or tab.

    Raises BadInput, which names the line.
    """
    try:
        first = file.readline()
        lines = chain([first], file)
        delimiter = next((mark for mark in ";\t" if mark in first), ",")
        for number, row in enumerate(csv.reader(lines, delimiter=delimiter), 1):
            is_header = number == 1 and len(row) == 2 and not any(map(_HAS_DIGIT, row))
            if any(cell.strip() for cell in row) and not is_header:
                yield _read_row(row, delimiter, f"{name}, line {number}")
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{name} is no CSV in UTF-8: {error}", reason="no_csv") from error


def _read_row(row: list[str], delimiter: str, where: str) -> Point:
    try:
        timestamp, value = (cell.strip() for cell in row)
        # Python's float() ignores a `_`, and the web page of series refuses it.
        number = float(value.replace("_", "no digit"))
        return read_point({"timestamp": _read_time(timestamp), "value": number})
    except (ValueError, BadInput) as error:
        raise BadInput(
            f"{where}: {delimiter.join(row)[:80]!r} is no point; a line is a time, a comma,"
            " semicolon or tab, and a number with a decimal point, such as 1705000010,13.0 or"
            " 2024-01-11 19:06:50,13.0",
            reason="bad_line",
        ) from error


def _read_time(text: str) -> str:
    """Return a time as the text of a whole number: as it is, or ISO 8601 (UTC where it names no
    zone) as seconds since 1970.

    Raises ValueError on any other text, and on a fraction of a second, which the number cannot
    hold.
    """
    if text.isascii() and text.isdigit():
        return text
    moment = datetime.fromisoformat(text)
    seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if seconds != int(seconds):
        raise ValueError(text)
    return str(int(seconds))


def _judge(
    database: Db, model: SeriesModel, points: list[Point], *, store: bool
) -> Iterator[Judgement]:
    if not store:
        yield from model.judge_all(points)
        return
    parts = range(0, len(points), PART)
    for start in track(parts, description="Storing", transient=True, disable=len(points) <= PART):
        part = points[start : start + PART]
        yield from single_series.store_predictions(
            database, model.series_id, model.version, part, as_utc(datetime.now(UTC))
        )
