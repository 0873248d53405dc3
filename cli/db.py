"""`flask db`: upgrades the database for this code, and checks it for contradictions."""

from dataclasses import asdict
from datetime import UTC, datetime

import click

from cli.common import CommandGroup, echo, exits_on_error, json_option, print_json, use_database
from market.bars.upgrading import complete_series
from records.consistency import find_disagreements
from records.migrations import MIGRATIONS, find_version, upgrade

group = CommandGroup(
    "db", help="Upgrade the database for this code, and check it for contradictions."
)


@group.command("upgrade")
@exits_on_error
def upgrade_database() -> None:
    """Apply the migrations that are missing; safe at any time, also by several at once."""
    with use_database() as database:
        if (before := find_version(database)) < MIGRATIONS[-1].number:
            echo(f"the database is at version {before} and is brought to {MIGRATIONS[-1].number}")
        for migration in upgrade(database, datetime.now(UTC)):
            echo(f"migration {migration.number} applied: {migration.name}")
        from market.bars.repacking import repack_buckets  # noqa: PLC0415 - loads numpy

        if packed := repack_buckets(database):
            echo(f"{packed:,} buckets of bars were packed")
        for done in complete_series(database, datetime.now(UTC)):
            echo(done)
        version, known = find_version(database), MIGRATIONS[-1].number
        echo(f"the database is at version {version}")
        if version > known:
            echo(
                f"Warning: this code knows version {known} only: newer code has written the"
                " database, or the backup from which it was restored. Run the newer code: this one"
                " may not read what it wrote",
                err=True,
            )


@group.command("check")
@json_option
@exits_on_error
def check_database(*, as_json: bool) -> None:
    """Compare bars with their hashes, and watermarks, anomalies, audits, runs and metrics with each
    other; print where they disagree, and exit with 1 where any do.
    """
    with use_database() as database:
        from market.bars.checking import (  # noqa: PLC0415 - loads numpy
            find_changed_bars,
            find_damaged_buckets,
            find_wrong_sums,
        )

        found = [
            *find_disagreements(database, datetime.now(UTC)),
            *find_damaged_buckets(database),
            *find_changed_bars(database),
            *find_wrong_sums(database),
        ]
    if as_json:
        print_json([asdict(each) for each in found])
    else:
        echo(
            "\n".join(map(str, found))
            or "bars, watermarks, anomalies, audits, runs and metrics agree"
        )
    if found:
        raise click.exceptions.Exit(1)
