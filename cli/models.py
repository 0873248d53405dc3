"""`flask models`: trains and shows models."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, get_args

import click
from rich.table import Table

from cli.artefacts import migrate, rotate_key, sign
from cli.champions import promote, rollback, set_threshold
from cli.common import (
    CommandGroup,
    change_noted,
    echo,
    exits_on_error,
    interval_option,
    json_option,
    no_wait_option,
    print_json,
    print_table,
    use_database,
)
from cli.evaluating import compare, evaluate, print_scores
from cli.model_records import SHOWN_TICKERS, describe_window, print_model
from cli.model_watch import print_challengers, print_drifts
from cli.watching import follow, print_outcome, watch_run
from core.naming import name_some
from core.settings import get_settings
from core.words import ModelState
from detection.detectors.catalogue import DEFAULT_DETECTOR, DETECTORS, PARAMETERS
from detection.detectors.contract import DetectorKind, Parameter
from detection.features.feature_sets import get_feature_set
from detection.models import registry
from detection.models.lineage import find_gone_bars
from detection.models.plan import SEED, read_model_market
from detection.models.versions import ModelVersion
from market.intervals import parse_interval
from market.markets import load_markets
from records.models import models
from tasks.process.broker import build_celery
from tasks.requests.trainings import request_training

group = CommandGroup("models", help="Train models, and say which version is in use.")

group.add_command(promote)
group.add_command(rollback)
group.add_command(set_threshold)
group.add_command(sign)
group.add_command(rotate_key)
group.add_command(migrate)
group.add_command(evaluate)
group.add_command(compare)
group.add_command(print_scores)
group.add_command(print_drifts)
group.add_command(print_challengers)


def detector_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each parameter of the detectors' catalogue."""
    for name, parameter in reversed(PARAMETERS.items()):
        bounds: str = ""
        type_: type = str
        if isinstance(parameter, Parameter):
            bounds, type_ = f", {parameter.low:,} to {parameter.high:,}", int
        said = (
            f"{parameter.meaning[0].upper()}{parameter.meaning[1:]}{bounds}.  [default:"
            f" {parameter.default}]"
        )
        command = click.option(f"--{name.replace('_', '-')}", name, type=type_, help=said)(command)
    return command


@group.command("list")
@click.option("--market", help="Only of this market: US, JP, CRYPTO, ...")
@click.option("--state", type=click.Choice(get_args(ModelState)))
@json_option
@exits_on_error
def list_models(*, market: str | None, state: ModelState | None, as_json: bool) -> None:
    """List model versions, the newest first."""
    with use_database() as database:
        code = read_model_market(load_markets(database), market) if market else None
        found = models.find_models(database, market=code, state=state)
    if as_json:
        print_json(found)
        return
    table = Table(
        "version",
        "state",
        "interval",
        "features",
        "learned from",
        "rows",
        "tickers",
        "threshold",
        "made",
    )
    for record in found:
        table.add_row(
            record["version"],
            record["state"],
            record["interval"],
            record["feature_set"],
            describe_window(record),
            f"{record['rows']:,}",
            f"{record['ticker_count']:,}",
            f"{record['threshold']:.4f}",
            f"{record['created_at']:%Y-%m-%d %H:%M}",
        )
    print_table(table)


@group.command("show")
@click.argument("version")
@json_option
@exits_on_error
def show_model(*, version: str, as_json: bool) -> None:
    """Show the record of VERSION."""
    ModelVersion.parse(version)
    with use_database() as database:
        record = models.get_model_record(database, version)
        gone = find_gone_bars(database, record)
    if as_json:
        print_json({**record, "bars_gone": gone})
        return
    print_model(record, as_json=False)
    if gone:
        named = [f"{bars['ticker']} ({bars['kind']} on {bars['at']:%Y-%m-%d})" for bars in gone]
        echo(f"{'bars gone':>12}  {name_some(named, SHOWN_TICKERS)}: it cannot be made anew")


@group.command("detectors")
@json_option
def list_detectors(*, as_json: bool) -> None:
    """List the detectors that a model can be trained with."""
    if as_json:
        print_json([kind.describe() for kind in DETECTORS.values()])
        return
    table = Table("detector", "finds strange", "looks at", "bars it needs", "parameters")
    for kind in DETECTORS.values():
        table.add_row(
            kind.name + " (default)" * (kind.name == DEFAULT_DETECTOR),
            kind.summary,
            kind.feature_set,
            f"{_count_needed(kind):,}",
            ", ".join(f"{name} {p.default}" for name, p in kind.parameters.items()) or "none",
        )
    print_table(table)


def _count_needed(kind: DetectorKind) -> int:
    """Return how many daily bars a series needs for its first score."""
    before = kind.find_warm_up_bars(kind.get_defaults())
    return get_feature_set(kind.feature_set).warm_up_bars + before + 1


@group.command("train")
@click.option(
    "--market", required=True, help="US, JP, CRYPTO, ...: `flask markets list`; ALL for all."
)
@interval_option
@click.option(
    "--tickers", help="Learn from these only, with commas between; else from all of the market."
)
@click.option(
    "--contamination",
    type=float,
    help="Share of the bars that pass the threshold.  [default: 0.01]",
)
@click.option(
    "--grade", type=float, help="Threshold by grade instead: 50 is one bar in 100, 75 one in 1,000."
)
@click.option("--score", type=float, help="Threshold as a score instead, from -1 (strangest) to 0.")
@click.option(
    "--detector",
    type=click.Choice([*DETECTORS]),
    help=f"Which algorithm.  [default: {DEFAULT_DETECTOR}]",
)
@detector_options
@click.option("--seed", type=int, help=f"The seed of random numbers.  [default: {SEED.default}]")
@click.option("--feature-set", help="NAME or NAME/VERSION.  [default: the best there is]")
@click.option(
    "--window-start", help="Learn from bars that start at this ISO date or time, or later."
)
@click.option(
    "--window-end", help="Learn from bars that start at this ISO date or time, or earlier."
)
@click.option(
    "--promote/--no-promote",
    default=None,
    help="Make it the market's champion, or not.  [default: only where there is none yet]",
)
@no_wait_option
@json_option
@exits_on_error
def train(
    *, market: str, interval: str, tickers: str | None, no_wait: bool, as_json: bool, **options: Any
) -> None:
    """Fit a model of a market, in a run of its own, and store it as the market's next version.

    A model of all markets (ALL) serves each market that has no champion of its own.
    """
    names = [name for name in (tickers or "").split(",") if name.strip()]
    given = {name: value for name, value in options.items() if value is not None}
    with use_database() as database:
        celery = build_celery(get_settings())
        accepted = request_training(
            database,
            celery,
            market,
            interval=parse_interval(interval),
            tickers=names,
            options=given,
            now=datetime.now(UTC),
        )
        if no_wait:
            follow(database, accepted, wait=False, as_json=as_json)
            return
        run = watch_run(database, accepted["_id"], quiet=as_json)
        record = models.find_trained(database, run["_id"])
    if record is not None:
        print_model(record, as_json=as_json)
        if record["state"] == "candidate" and not as_json:
            echo(f"`flask models promote {record['version']}` puts it in use")
        for warning in run["warnings"]:
            echo(warning, err=True)
    elif as_json:
        print_json(run)
    else:
        print_outcome(run)
    if run["status"] != "complete":
        raise click.exceptions.Exit(1)


@group.command("retire")
@click.argument("version")
@json_option
@exits_on_error
def retire(*, version: str, as_json: bool) -> None:
    """Retire VERSION for good, so that it cannot be promoted; a champion cannot be retired."""
    ModelVersion.parse(version)
    with use_database() as database:
        now = datetime.now(UTC)
        change_noted(
            database,
            lambda session: registry.retire(database, version, now, session),
            "retire",
            f"model {version}",
        )
        record = models.get_model_record(database, version)
    print_model(record, as_json=as_json)
