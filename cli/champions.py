"""`flask models`, the commands that set the model and the threshold in use."""

from datetime import UTC, datetime

import click
from pymongo.client_session import ClientSession

from cli.common import (
    OneValueCommand,
    change_noted,
    echo,
    exits_on_error,
    json_option,
    print_json,
    use_database,
)
from core.errors import BadInput
from detection.models import registry
from detection.models.plan import ThresholdPolicy, read_model_market
from detection.models.versions import ModelVersion
from market.intervals import parse_interval
from market.markets import load_markets
from market.tickers import normalize_ticker
from records.database import Db
from records.models import thresholds
from records.models.champions import Scope
from records.models.documents import PointerDocument, PolicyFields

scope_options = (
    click.option("--ticker", help="Of this ticker, in place of its market's."),
    click.option("--watchlist", help="Of this watchlist, in place of the market's."),
)


@click.command("promote", cls=OneValueCommand)
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


@click.command("rollback", cls=OneValueCommand)
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


@click.command("threshold", cls=OneValueCommand)
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
