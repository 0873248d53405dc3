"""Models, from the command line."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, get_args

import click
from pymongo.client_session import ClientSession
from rich.table import Table

from cli.common import (
    CommandGroup,
    change_noted,
    echo,
    exits_on_error,
    interval_option,
    json_option,
    print_json,
    print_table,
    use_database,
)
from cli.evaluating import compare, evaluate, print_scores
from cli.model_watch import print_challengers, print_drifts
from cli.watching import follow, print_outcome, watch_run
from core.errors import BadInput
from core.settings import get_settings
from core.words import ModelState
from detection.detectors.catalogue import DEFAULT_DETECTOR, DETECTORS, PARAMETERS
from detection.detectors.contract import DetectorKind, Parameter
from detection.features.feature_sets import get_feature_set
from detection.models import registry
from detection.models.lineage import find_gone_bars
from detection.models.plan import SEED, ThresholdPolicy, read_model_market
from detection.models.versions import ModelVersion
from market.intervals import parse_interval
from market.markets import load_markets
from market.tickers import normalize_ticker
from records.database import Db
from records.models import models, thresholds
from records.models.champions import Scope
from records.models.documents import ModelRecord, ModelSummary, PointerDocument, PolicyFields
from tasks.process.broker import build_celery
from tasks.requests.trainings import request_training

group = CommandGroup("models", help="Train models, and say which version is in use.")

group.add_command(evaluate)
group.add_command(compare)
group.add_command(print_scores)
group.add_command(print_drifts)
group.add_command(print_challengers)

SHOWN_TICKERS = 10


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


scope_options = (
    click.option("--ticker", help="Of this ticker, in place of its market's."),
    click.option("--watchlist", help="Of this watchlist, in place of the market's."),
)


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
            _describe_window(record),
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
    """Show all that is recorded of VERSION."""
    ModelVersion.parse(version)
    with use_database() as database:
        record = models.get_model_record(database, version)
        gone = find_gone_bars(database, record)
    if as_json:
        print_json({**record, "bars_gone": gone})
        return
    _print_model(record, as_json=False)
    if gone:
        named = ", ".join(
            f"{bars['ticker']} ({bars['kind']} on {bars['at']:%Y-%m-%d})"
            for bars in gone[:SHOWN_TICKERS]
        )
        more = f" and {len(gone) - SHOWN_TICKERS:,} more" if len(gone) > SHOWN_TICKERS else ""
        echo(f"{'bars gone':>12}  {named}{more}: it cannot be made anew")


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
    """Return how many bars a series of days needs for its first score."""
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
@click.option("--seed", type=int, help=f"Of what is drawn.  [default: {SEED.default}]")
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
@click.option("--no-wait", is_flag=True, help="Return at once; the run goes on.")
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
        _print_model(record, as_json=as_json)
        for warning in run["warnings"]:
            echo(warning, err=True)
    elif as_json:
        print_json(run)
    else:
        print_outcome(run)
    if run["status"] != "complete":
        raise click.exceptions.Exit(1)


@group.command("promote")
@click.argument("version")
@scope_options[0]
@scope_options[1]
@json_option
@exits_on_error
def promote(*, version: str, ticker: str | None, watchlist: str | None, as_json: bool) -> None:
    """Make VERSION the champion of its market and interval, or of a ticker or watchlist;
    the next batch uses it.
    """
    ModelVersion.parse(version)
    with use_database() as database:
        scope = _choose_scope(database, None, ticker, watchlist) if ticker or watchlist else None
        now = datetime.now(UTC)
        pointer = change_noted(
            database,
            lambda session: registry.promote(database, version, now, scope=scope, session=session),
            "promote",
            f"model {version}",
            {} if scope is None else {scope.kind: scope.name},
        )
    _print_pointer(pointer, as_json=as_json)


@group.command("rollback")
@click.option("--market", help="US, JP, CRYPTO, ...: `flask markets list`; ALL for all.")
@scope_options[0]
@scope_options[1]
@click.option("--interval", default="1d", show_default=True, help="Of the bars that it judges.")
@json_option
@exits_on_error
def rollback(
    *, market: str | None, ticker: str | None, watchlist: str | None, interval: str, as_json: bool
) -> None:
    """Go back to the champion before the present one, of a market, a ticker or a watchlist."""
    checked = parse_interval(interval)
    with use_database() as database:
        scope = _choose_scope(database, market, ticker, watchlist)
        now = datetime.now(UTC)
        pointer = change_noted(
            database,
            lambda session: registry.rollback(database, scope, checked, now, session),
            "rollback",
            f"champion of {scope}",
            {"interval": checked},
        )
    _print_pointer(pointer, as_json=as_json)


@group.command("retire")
@click.argument("version")
@json_option
@exits_on_error
def retire(*, version: str, as_json: bool) -> None:
    """Take VERSION out of use for good; a champion cannot be retired."""
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
    _print_model(record, as_json=as_json)


@group.command("threshold")
@click.option("--market", help="US, JP, CRYPTO, ...: `flask markets list`; ALL for all.")
@scope_options[0]
@scope_options[1]
@click.option("--contamination", type=float, help="Let this share of the bars pass.")
@click.option(
    "--grade", type=float, help="Let bars of this grade and more pass: 50 is one bar in 100."
)
@click.option(
    "--score", type=float, help="Let bars below this score pass, from -1 (strangest) to 0."
)
@click.option(
    "--reset",
    is_flag=True,
    help="Go back to the threshold of the wider scope, at last the model's own.",
)
@json_option
@exits_on_error
def set_threshold(
    *,
    market: str | None,
    ticker: str | None,
    watchlist: str | None,
    reset: bool,
    as_json: bool,
    **values: float | None,
) -> None:
    """Show or set what counts as an anomaly, in place of the model's own threshold.

    Bars that were scored before keep their verdict until they are backfilled again.
    """
    given = any(value is not None for value in values.values())
    if given and reset:
        raise BadInput("give a threshold or --reset, not both")
    policy = ThresholdPolicy.choose(values)
    with use_database() as database:
        scope = _choose_scope(database, market, ticker, watchlist)
        if reset or given:
            _change_threshold(database, scope, policy if given else None)
        found = thresholds.find_threshold(database, scope)
    if as_json:
        print_json(found)
        return
    set_to = f"{found['kind']} {found['value']:g}" if found else "none of its own"
    echo(f"threshold of {scope}: {set_to}")


def _change_threshold(database: Db, scope: Scope, policy: ThresholdPolicy | None) -> None:
    now = datetime.now(UTC)

    def change(session: ClientSession) -> None:
        if policy is None:
            thresholds.clear_threshold(database, scope, now, session)
        else:
            registry.set_threshold(database, scope, policy, now, session)

    after: PolicyFields | None = None
    if policy is not None:
        after = {"kind": policy.kind, "value": policy.value}
    told = thresholds.compare_thresholds(database, scope, after)
    change_noted(database, change, "threshold", str(scope), told)


@group.command("sign")
@json_option
@exits_on_error
def sign(*, as_json: bool) -> None:
    """Sign with the present key what an older one had signed;
    ARTEFACT_KEYS or the keys' file has both meanwhile.
    """
    from detection.models.resigning import sign_again  # noqa: PLC0415 - loads the numeric stack

    with use_database() as database:
        _print_signed(*sign_again(database, get_settings()), as_json=as_json)


@group.command("rotate-key")
@json_option
@exits_on_error
def rotate_key(*, as_json: bool) -> None:
    """Make a new key to sign artefacts with, sign them all anew, and forget the old key;
    nothing need be stopped.
    """
    from detection.models.resigning import (  # noqa: PLC0415 - loads the numeric stack
        rotate_key as rotate,
    )

    with use_database() as database:
        _print_signed(*rotate(database, get_settings()), as_json=as_json)


@group.command("migrate")
@click.argument("version")
@click.option(
    "--trust", is_flag=True, help="Yes: nobody but this service could ever write to the database."
)
@json_option
@exits_on_error
def migrate(*, version: str, trust: bool, as_json: bool) -> None:
    """Bring VERSION, which an earlier release stored as a pickle, to arrays that are signed.

    It scores the same.

    Opening a pickle runs whatever it says, so this is only for a database to which nobody else
    could write.
    """
    from detection.models.resigning import migrate_pickle  # noqa: PLC0415 - loads the numeric stack

    ModelVersion.parse(version)
    if not trust:
        raise BadInput(
            f"the artefact of {version} would be opened as a pickle, which runs whatever it says;"
            " say --trust if nobody else could write to the database, or train a new version"
        )
    with use_database() as database:
        migrate_pickle(database, get_settings(), version)
        record = models.get_model_record(database, version)
    _print_model(record, as_json=as_json)


def _print_signed(signed: int, unsigned: list[str], *, as_json: bool) -> None:
    if as_json:
        print_json({"signed": signed, "unsigned": unsigned})
    else:
        echo(f"{signed} artefacts signed with the present key")
        for version in unsigned:
            echo(
                f"{version}: not signed by any known key, or damaged; it is refused (`flask models"
                " migrate`)"
            )
    if unsigned:
        raise click.exceptions.Exit(1)


def _choose_scope(
    database: Db, market: str | None, ticker: str | None, watchlist: str | None
) -> Scope:
    return Scope.choose(
        market=read_model_market(load_markets(database), market) if market else None,
        ticker=normalize_ticker(ticker) if ticker else None,
        watchlist=watchlist,
    )


def _print_pointer(pointer: PointerDocument, *, as_json: bool) -> None:
    if as_json:
        print_json(pointer)
    elif pointer["version"] is None:
        echo(f"{pointer['scope']} {pointer['name']}: back to the champion of its market")
    else:
        of = f"{pointer['scope']} {pointer['name']}"
        echo(f"{of}: champion for {pointer['interval']} bars is {pointer['version']}")


def _print_model(record: ModelRecord, *, as_json: bool) -> None:
    if as_json:
        print_json(record)
        return
    tickers = [part["ticker"] for part in record["tickers"]]
    more = f" and {len(tickers) - SHOWN_TICKERS:,} more" if len(tickers) > SHOWN_TICKERS else ""
    lines = {
        "version": record["version"],
        "state": (
            record["state"]
            + (f" ({', '.join(record['champion_of'])})" if record["champion_of"] else "")
        ),
        "sha256": record["sha256"],
        "feature set": record["feature_set"],
        "learned from": (
            f"{_describe_window(record)}, {record['interval']}{', synthetic' * record['synthetic']}"
        ),
        "rows": f"{record['rows']:,}, of which {record['rows_fitted']:,} fitted",
        "tickers": ", ".join(tickers[:SHOWN_TICKERS]) + more,
        "left out": (
            ", ".join(f"{part['ticker']} ({part['reason']})" for part in record["left_out"])
            or "none"
        ),
        "threshold": f"{record['threshold']:.6f}",
        **{
            f"of {market}": f"{own['threshold']:.6f}"
            for market, own in record.get("by_market", {}).items()
        },
        "parameters": ", ".join(
            f"{name} {_describe(value)}" for name, value in record["parameters"].items()
        ),
        "libraries": ", ".join(
            f"{name} {version}" for name, version in record["library_versions"].items()
        ),
        "made": f"{record['created_at']:%Y-%m-%d %H:%M:%S} UTC, by run {record['training_run_id']}",
    }
    for name, value in lines.items():
        echo(f"{name:>12}  {value}")


def _describe_window(record: ModelSummary) -> str:
    return f"{record['window_start']:%Y-%m-%d} to {record['window_end']:%Y-%m-%d}"


def _describe(value: object) -> str:
    return f"by {value['kind']} {value['value']:g}" if isinstance(value, dict) else str(value)
