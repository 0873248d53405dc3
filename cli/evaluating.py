"""`flask models`, the commands that judge and compare versions."""

import csv
import sys
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import click
from rich.table import Table

from cli.common import (
    OneValueCommand,
    echo,
    exits_on_error,
    json_option,
    no_wait_option,
    print_json,
    print_table,
    takes_options,
    use_database,
    write_number,
)
from cli.watching import follow, print_outcome, watch_run
from core.errors import BadInput
from core.moments import parse_moment
from core.settings import get_settings
from detection.models.plan import read_model_market
from detection.models.registry import get_champion
from detection.models.versions import ModelVersion
from market.intervals import parse_interval
from market.markets import load_markets
from market.tickers import normalize_ticker
from records.models.bar_scores import find_bar_scores
from records.models.documents import EvaluationDocument, LabelFields
from records.models.evaluations import get_evaluation
from tasks.process.broker import build_celery
from tasks.requests.evaluations import MOST_LABELS, EvaluationRequest, request_evaluation

ANOMALY = {"anomaly", "event", "fault", "true", "confirmed", "1", "yes"}
# As in detection/scoring/drift.py, which loads numpy.
MOST_INDEX = 0.25
# A longer first line is not read as the names of columns.
MOST_HEADER = 10_000
USUAL = {"usual", "normal", "false", "false_alarm", "expected", "0", "no"}


labels_option = click.option(
    "--labels",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV with ticker, time and label (anomaly or usual).",
)
takes_stretch = takes_options(
    click.option("--tickers", help="Only bars of these tickers, with commas between."),
    click.option("--start", help="First bar: an ISO date or time."),
    click.option("--end", help="Last bar: an ISO date or time."),
    click.option("--keep-scores", is_flag=True, help="Keep the scores of all bars."),
    no_wait_option,
)


@click.command("evaluate", cls=OneValueCommand)
@click.argument("version", required=False)
@labels_option
@click.option(
    "--market",
    help="Without VERSION: whose champion is judged; ALL for that of all markets.  [default: US]",
)
@click.option("--interval", help="Without VERSION: the champion's interval.  [default: 1d]")
@takes_stretch
@json_option
@exits_on_error
def evaluate(
    *,
    version: str | None,
    labels: Path | None,
    market: str | None,
    interval: str | None,
    tickers: str | None,
    start: str | None,
    end: str | None,
    keep_scores: bool,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Judge VERSION, or a market's champion, on a stretch of bars: how much it flags and, with
    labels, its precision and recall. Nothing is promoted.
    """
    read = read_labels(labels) if labels else []
    if version is None:
        with use_database() as database:
            code = read_model_market(load_markets(database), market or "US")
            version = get_champion(database, code, parse_interval(interval or "1d")).version
    elif market or interval:
        raise BadInput(
            f"{version} has a market and an interval already: name either a version, or --market"
            " and --interval, whose champion is judged"
        )
    asked = _ask((version,), read, tickers, (start, end), keep_scores=keep_scores)
    _run(asked, no_wait=no_wait, as_json=as_json)


@click.command("compare", cls=OneValueCommand)
@click.argument("first")
@click.argument("second")
@labels_option
@takes_stretch
@json_option
@exits_on_error
def compare(
    *,
    first: str,
    second: str,
    labels: Path | None,
    tickers: str | None,
    start: str | None,
    end: str | None,
    keep_scores: bool,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Compare version FIRST with SECOND on the same bars, without promoting either."""
    read = read_labels(labels) if labels else []
    asked = _ask((first, second), read, tickers, (start, end), keep_scores=keep_scores)
    _run(asked, no_wait=no_wait, as_json=as_json)


@click.command("scores", cls=OneValueCommand)
@click.argument("evaluation")
@click.option("--version", required=True)
@click.option("--ticker", required=True)
@json_option
@exits_on_error
def print_scores(*, evaluation: str, version: str, ticker: str, as_json: bool) -> None:
    """Print as CSV the scores of all bars of a ticker, which EVALUATION has kept."""
    with use_database() as database:
        run_id = get_evaluation(database, evaluation)["run_id"]
        times, scores = find_bar_scores(database, run_id, version, normalize_ticker(ticker))
    rows = [
        (datetime.fromtimestamp(time, UTC).isoformat(), score)
        for time, score in zip(times, scores, strict=True)
    ]
    if as_json:
        print_json([{"time": time, "score": score} for time, score in rows])
        return
    writer = csv.writer(sys.stdout)
    writer.writerow(("time", "score"))
    writer.writerows(rows)


def read_labels(path: Path) -> list[LabelFields]:
    """Return the labels of a CSV file with the columns ticker, time (or date), label and perhaps
    interval, separated by a comma, semicolon or tab.

    Raises BadInput, which names the line that cannot be read.
    """
    labels: list[LabelFields] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            first = file.readline(MOST_HEADER)
            delimiter = max(",;\t", key=first.count)
            reader = csv.DictReader(chain([first], file), delimiter=delimiter)
            names = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
            when = names.get("time") or names.get("date") or names.get("datetime")
            if when is None or not {"ticker", "label"} <= names.keys():
                found = ", ".join(names)[:200] or "(none)"
                raise BadInput(f"{path} has the columns {found}: name ticker, time and label")
            for row in reader:
                ticker, time, label = (
                    (row[name] or "").strip() for name in (names["ticker"], when, names["label"])
                )
                interval = (row[names["interval"]] or "").strip() if "interval" in names else ""
                # Spreadsheets also write empty rows.
                if ticker or time or label:
                    where = f"{path}, line {reader.line_num}"
                    labels.append(_read_label(ticker, time, label, interval, where))
                if len(labels) > MOST_LABELS:
                    raise BadInput(f"{path} has more than {MOST_LABELS:,} labels")
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path} is no CSV file in UTF-8: {error}") from error
    if not labels:
        raise BadInput(f"{path} has no labels")
    return labels


def _read_label(ticker: str, when: str, label: str, interval: str, where: str) -> LabelFields:
    word = label.lower()
    if word not in ANOMALY | USUAL:
        raise BadInput(
            f"{where}: label {word!r} cannot be used; write {' or '.join(sorted(ANOMALY))}, or"
            f" {' or '.join(sorted(USUAL))}"
        )
    try:
        named = normalize_ticker(ticker)
        of_bar = parse_interval(interval) if interval else None
    except BadInput as error:
        raise BadInput(f"{where}: {error.message}") from error
    read: LabelFields = {
        "ticker": named,
        "time": parse_moment(when, where),
        "is_anomaly": word in ANOMALY,
    }
    return read if of_bar is None else {**read, "interval": of_bar}


def _ask(
    versions: tuple[str, ...],
    labels: list[LabelFields],
    tickers: str | None,
    stretch: tuple[str | None, str | None],
    *,
    keep_scores: bool,
) -> EvaluationRequest:
    for version in versions:
        ModelVersion.parse(version)
    first, last = (
        None if text is None else parse_moment(text, name)
        for text, name in zip(stretch, ("--start", "--end"), strict=True)
    )
    return EvaluationRequest(
        versions=versions,
        tickers=tuple(normalize_ticker(t) for t in (tickers or "").split(",") if t.strip()),
        start=first,
        end=last,
        labels=labels,
        keep_scores=keep_scores,
    )


def _run(asked: EvaluationRequest, *, no_wait: bool, as_json: bool) -> None:
    with use_database() as database:
        celery = build_celery(get_settings())
        accepted = request_evaluation(database, celery, asked, now=datetime.now(UTC))
        if no_wait:
            follow(database, accepted, wait=False, as_json=as_json)
            return
        run = watch_run(database, accepted["_id"], quiet=as_json)
        evaluation = get_evaluation(database, run["options"]["evaluation"])
    if as_json:
        print_json({name: value for name, value in evaluation.items() if name != "labels"})
    elif evaluation["judgements"] is None:
        print_outcome(run)
    else:
        _print(evaluation)
    if run["status"] != "complete":
        raise click.exceptions.Exit(1)


def _print(evaluation: EvaluationDocument) -> None:
    judgements = evaluation["judgements"] or []
    table = Table("", *(judged["version"] for judged in judgements))
    start, end = evaluation["start"], evaluation["end"]
    first = f"{start:%Y-%m-%d}" if start else "the first bar"
    last = f"{end:%Y-%m-%d}" if end else "the last bar"
    rows: dict[str, list[str]] = {
        "period": [f"{first} to {last}"] * len(judgements),
        "bars": [f"{judged['bars']:,}" for judged in judgements],
        "tickers": [f"{judged['tickers']:,}" for judged in judgements],
        "alarms": [f"{judged['alarms']:,}" for judged in judgements],
        "alarms a thousand bars": [write_number(j["alarms_per_thousand"], 1) for j in judgements],
    }
    rows["threshold"] = [
        ", ".join(f"{market} {own:.4f}" for market, own in judged.get("thresholds", {}).items())
        or f"{judged['threshold']:.4f}"
        for judged in judgements
    ]
    drifts = [judged["drift"] for judged in judgements]
    rows["stability index"] = [write_number(drift["stability_index"], 3) for drift in drifts]
    rows["inputs that moved"] = [
        ", ".join(name for name, index in drift["inputs"].items() if index > MOST_INDEX) or "none"
        for drift in drifts
    ]
    rows["large moves flagged"] = [
        f"{judged['large_moves_flagged']:,} of {judged['large_moves']:,}" for judged in judgements
    ]
    if any(judged["faults_planted"] for judged in judgements):
        rows["planted faults found"] = [
            f"{judged['faults_found']:,} of {judged['faults_planted']:,}" for judged in judgements
        ]
    rows["days since it learned"] = [write_number(drift["age_days"], 0) for drift in drifts]
    rows["has drifted"] = [
        ", ".join(drift["reasons"]) or ("not known" if drift["distance"] is None else "no")
        for drift in drifts
    ]
    found = [judged["labels"] for judged in judgements if judged["labels"] is not None]
    if found:
        rows["precision"] = [write_number(labels["precision"], 3) for labels in found]
        rows["recall"] = [write_number(labels["recall"], 3) for labels in found]
        rows["labels without a score"] = [f"{labels['not_scored']:,}" for labels in found]
        rows["bars labelled both ways"] = [
            f"{labels.get('contradictory', 0):,}" for labels in found
        ]
    for name, values in rows.items():
        table.add_row(name, *values)
    print_table(table)
    agreement = evaluation["agreement"]
    if agreement is not None:
        echo(
            f"of {agreement['bars']:,} bars both flag {agreement['flagged_by_both']:,}, only the"
            f" first {agreement['only_by_first']:,}, only the second"
            f" {agreement['only_by_second']:,}; of the strangest hundredth they have"
            f" {write_number(agreement['strangest_in_common'], 2)} in common"
        )
    for ticker, error in (evaluation["errors"] or {}).items():
        echo(f"{ticker}: {error}", err=True)
    if evaluation["keep_scores"]:
        echo(
            f"scores of all bars: `flask models scores {evaluation['_id']} --version VERSION"
            " --ticker TICKER`"
        )
