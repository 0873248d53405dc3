"""`flask groups`: to which industry, sector and market each ticker belongs."""

from pathlib import Path

import click
from rich.table import Table

from alerts.groups import check_groups, read_groups
from cli.common import (
    CommandGroup,
    change_noted,
    echo,
    exits_on_error,
    json_option,
    print_json,
    print_table,
    use_database,
)
from core.errors import BadInput
from core.naming import count_of
from market.markets import load_markets
from records.alerts.groups import find_groups, replace_groups

group = CommandGroup(
    "groups", help="Groups: to which industry, sector and market each ticker belongs."
)
SHOWN_PROBLEMS = 20


@group.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
@exits_on_error
def import_groups(*, file: Path, as_json: bool) -> None:
    """Replace all groups by those of FILE, a CSV with symbol, sector, industry and market.

    Faults (circles, parents that lead nowhere, tickers in two sectors) are printed.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"{file.name} is not UTF-8: {error}") from error
    with use_database() as database:
        groups, problems = read_groups(text, load_markets(database), file.name)
        if not groups:
            raise BadInput(f"{file.name} has no usable line: {'; '.join(problems[:3])}")
        change_noted(
            database,
            lambda session: replace_groups(database, groups, session),
            "change",
            "groups",
            {"groups": len(groups), "source": file.name},
        )
    if as_json:
        print_json({"groups": len(groups), "problems": problems})
        return
    echo(f"{count_of(len(groups), 'member')} of groups are stored")
    for problem in problems[:SHOWN_PROBLEMS]:
        echo(problem)
    if len(problems) > SHOWN_PROBLEMS:
        echo(f"... and {len(problems) - SHOWN_PROBLEMS} more: --json has all")


@group.command("list")
@json_option
@exits_on_error
def list_groups(*, as_json: bool) -> None:
    """List the groups, and what is wrong with them."""
    with use_database() as database:
        found = find_groups(database)
    problems = check_groups(found)
    if as_json:
        print_json({"groups": found, "problems": problems})
        return
    table = Table("child", "type", "parent", "type", "source")
    for g in found:
        table.add_row(g["child"], g["child_type"], g["parent"], g["parent_type"], g["source"])
    print_table(table)
    for problem in problems[:SHOWN_PROBLEMS]:
        echo(problem)
