"""`flask models`, the commands that show the drift of champions and their challengers."""

import click
from rich.table import Table

from cli.common import (
    OneValueCommand,
    echo,
    exits_on_error,
    json_option,
    keep_listed,
    print_json,
    print_table,
    use_database,
    write_number,
)
from core.settings import get_settings
from detection.models.plan import read_model_market
from market.markets import load_markets
from records.models.challengers import find_challengers
from records.models.drifts import find_drifts

market_option = click.option("--market", help="Only of this market: US, JP, CRYPTO, ...; ALL.")
limit_option = click.option(
    "--limit", default=20, show_default=True, type=click.IntRange(1, 500), help="How many."
)


@click.command("drift", cls=OneValueCommand)
@market_option
@limit_option
@json_option
@exits_on_error
def print_drifts(*, market: str | None, limit: int, as_json: bool) -> None:
    """Print the drift of each market's champion on its latest bars, measured once a session."""
    with use_database() as database:
        code = read_model_market(load_markets(database), market) if market else None
        found = keep_listed(find_drifts(database, market=code, limit=limit + 1), limit)
    if as_json:
        print_json(found)
        return
    table = Table(
        "market", "session", "version", "bars", "index", "D", "flagged", "asked", "has drifted"
    )
    for drift in found:
        table.add_row(
            f"{drift['market']} {drift['interval']}",
            drift["session"],
            drift["version"],
            f"{drift['bars']:,}",
            write_number(drift["stability_index"], 3),
            write_number(drift["distance"], 3),
            write_number(drift["flagged_share"], 4),
            write_number(drift["asked_share"], 4),
            ", ".join(drift["reasons"]) or "no",
        )
    print_table(table)
    if not found:
        said = "RETRAIN is off" if get_settings().retrain == "off" else "none yet"
        echo(f"no drift was measured ({said})")


@click.command("challengers", cls=OneValueCommand)
@market_option
@limit_option
@json_option
@exits_on_error
def print_challengers(*, market: str | None, limit: int, as_json: bool) -> None:
    """Print the versions that were trained because a champion had drifted, with their gates."""
    with use_database() as database:
        code = read_model_market(load_markets(database), market) if market else None
        found = keep_listed(find_challengers(database, market=code, limit=limit + 1), limit)
    if as_json:
        print_json(found)
        return
    for challenger in found:
        version = challenger["version"] or f"run {challenger['_id']}"
        outcome = str(challenger["state"])
        if challenger["passed"] is not None:
            outcome = "passed all gates" if challenger["passed"] else "did not pass all gates"
        if challenger["promoted_at"] is not None:
            outcome += ", is in use"
        echo(
            f"{challenger['created_at']:%Y-%m-%d} {version} beside {challenger['champion']}"
            f" ({', '.join(challenger['reasons'])}): {outcome}"
        )
        for gate in challenger["gates"]:
            echo(f"  {'passed' if gate['passed'] else 'NOT'} {gate['name']}: {gate['words']}")
        if challenger["error"]:
            echo(f"  {challenger['error']}")
    if not found:
        echo("no champion was challenged yet")
