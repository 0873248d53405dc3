"""`flask tenants`: adds, lists, exports and erases tenants."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import click
from bson import json_util
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
from records import tenancy
from records.indexes import ensure_tenant_indexes
from records.migrations import prepare_database

group = CommandGroup("tenants", help="Tenants: who shares this installation.")


@group.command("add")
@click.argument("name")
@exits_on_error
def add_tenant(name: str) -> None:
    """Add the tenant NAME; `flask keys create --tenant NAME` makes its keys."""
    now = datetime.now(UTC)
    with use_database() as database:
        prepare_database(database, now)
        tenancy.add_tenant(database, name, now)
        ensure_tenant_indexes(tenancy.of_tenant(database, name))
    echo(
        f"{name} is a tenant; make its first key: flask keys create {name}-1 --tenant {name}"
        " --scope read"
    )


@group.command("list")
@json_option
@exits_on_error
def list_tenants(*, as_json: bool) -> None:
    """List the tenants, the default one first."""
    with use_database() as database:
        rows = [
            {
                "name": own.tenant if isinstance(own, tenancy.TenantDatabase) else "",
                "watchlists": own.watchlists.count_documents({}),
                "alerts": own.alerts.count_documents({}),
                "keys": own.api_keys.count_documents({"revoked_at": None}),
            }
            for own in tenancy.each_tenant(database)
        ]
    if as_json:
        print_json(rows)
        return
    table = Table("tenant", "watchlists", "alerts", "keys")
    for row in rows:
        table.add_row(*map(str, row.values()))
    print_table(table)


@group.command("export")
@click.argument("name")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path))
@exits_on_error
def export_tenant(name: str, out: Path) -> None:
    """Write all documents of the tenant NAME to a file of JSON lines, without its keys' hashes.

    Notification rules contain the addresses of channels with their secrets, so only you can read
    the file.
    """
    with use_database() as database:
        tenancy.check_tenant(database, name)
        # As the disk may be full, an earlier export stays until this one is complete. Anything but
        # a plain file, or a link that a file would replace, such as /dev/stdout, is written
        # directly.
        is_replaced = not out.is_symlink() and (out.is_file() or not out.exists())
        written = out.with_name(f"{out.name}.part") if is_replaced else out
        found = tenancy.export_tenant(database, name)
        count = 0
        with _open_private(written) as file:
            for collection, document in track(found, "exporting", total=None, transient=True):
                line = {"collection": collection, "document": document}
                file.write(json.dumps(line, default=json_util.default) + "\n")
                count += 1
        if is_replaced:
            written.replace(out)
    echo(f"{count} documents of {name} are in {out}")


def _open_private(path: Path) -> TextIO:
    """Open a file for writing that other users of the machine cannot read, even if they could read
    it before.
    """
    file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w")
    os.fchmod(file.fileno(), 0o600)
    return file


@group.command("erase")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@exits_on_error
def erase_tenant(name: str, *, yes: bool) -> None:
    """Remove the tenant NAME with its keys, watchlists, alerts, rules and runs.

    Bars, models and anomalies, which tenants share, stay.
    """
    with use_database() as database:
        tenancy.check_erasable(database, name)
        if not yes:
            click.confirm(
                f"Erase {name} and all that is its own? Nothing brings it back", abort=True
            )
        counts = tenancy.erase_tenant(database, name, datetime.now(UTC))
    echo(f"{name} is erased: {sum(counts.values())} documents")
