"""`flask keys`: makes, lists and revokes API keys."""

from datetime import UTC, datetime

import click
from rich.table import Table

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
from core.words import KeyScope
from records import keys
from records.migrations import prepare_database
from records.tenancy import DEFAULT_TENANT, check_tenant, of_tenant

group = CommandGroup("keys", help="API keys: who may ask for what.")


@group.command("create")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(keys.SCOPES),
    help="Give it once for each scope. admin includes the others.",
)
@click.option("--tenant", default=DEFAULT_TENANT, show_default=True, help="The key's tenant.")
@json_option
@exits_on_error
def create_key(*, name: str, scopes: tuple[KeyScope, ...], tenant: str, as_json: bool) -> None:
    """Make a key called NAME and print it. Only its hash is stored, so it cannot be shown again."""
    with use_database() as database:
        prepare_database(
            database, datetime.now(UTC)
        )  # Only an index keeps two keys from having one name.
        check_tenant(database, tenant)
        own, now = of_tenant(database, tenant), datetime.now(UTC)
        key = change_noted(
            own,
            lambda session: keys.add_key(own, name, scopes, now, session),
            "make",
            f"key {name}",
            {"scopes": sorted(set(scopes))},
        )
    if as_json:
        print_json({"name": name, "scopes": sorted(set(scopes)), "key": key})
    else:
        echo(key)


@group.command("list")
@json_option
@exits_on_error
def list_keys(*, as_json: bool) -> None:
    """List names and scopes of all keys ever made, without the keys themselves."""
    with use_database() as database:
        found = keys.find_keys(database)
    if as_json:
        print_json(found)
        return
    table = Table("name", "tenant", "scopes", "created", "revoked")
    for key in found:
        revoked = key["revoked_at"]
        table.add_row(
            key["name"],
            key.get("tenant", DEFAULT_TENANT),
            ", ".join(key["scopes"]),
            f"{key['created_at']:%Y-%m-%d %H:%M}",
            f"{revoked:%Y-%m-%d %H:%M}" if revoked else "",
        )
    print_table(table)


@group.command("revoke")
@click.argument("name")
@exits_on_error
def revoke_key(name: str) -> None:
    """Revoke the key called NAME at once."""
    with use_database() as database:
        now = datetime.now(UTC)
        change_noted(
            database,
            lambda session: keys.revoke_key(database, name, now, session),
            "remove",
            f"key {name}",
        )
    echo(f"{name} is revoked")
