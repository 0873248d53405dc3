"""`flask models`, the commands that sign and convert artefacts."""

import click

from cli.common import OneValueCommand, echo, exits_on_error, json_option, print_json, use_database
from cli.model_records import print_model
from core.errors import BadInput
from core.settings import get_settings
from detection.models.versions import ModelVersion
from records.models import models


@click.command("sign", cls=OneValueCommand)
@json_option
@exits_on_error
def sign(*, as_json: bool) -> None:
    """Sign with the present key all artefacts that an older key signed; meanwhile ARTEFACT_KEYS or
    the keys' file must have both keys.
    """
    from detection.models.resigning import sign_again  # noqa: PLC0415 - loads the numeric stack

    with use_database() as database:
        _print_signed(*sign_again(database, get_settings()), as_json=as_json)


@click.command("rotate-key", cls=OneValueCommand)
@json_option
@exits_on_error
def rotate_key(*, as_json: bool) -> None:
    """Make a new key for artefacts, sign them all again, and delete the old key; nothing needs to
    be stopped.
    """
    from detection.models.resigning import (  # noqa: PLC0415 - loads the numeric stack
        rotate_key as rotate,
    )

    with use_database() as database:
        _print_signed(*rotate(database, get_settings()), as_json=as_json)


@click.command("migrate", cls=OneValueCommand)
@click.argument("version")
@click.option(
    "--trust",
    is_flag=True,
    help="Confirm that nobody but this service could ever write to the database.",
)
@json_option
@exits_on_error
def migrate(*, version: str, trust: bool, as_json: bool) -> None:
    """Convert VERSION, which an earlier release stored as a pickle, to signed arrays.

    Its scores stay the same.

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
    print_model(record, as_json=as_json)


def _print_signed(signed: int, unsigned: list[str], *, as_json: bool) -> None:
    if as_json:
        print_json({"signed": signed, "unsigned": unsigned})
    else:
        echo(f"{signed} artefacts signed with the present key")
        for version in unsigned:
            echo(
                f"{version}: not signed by any known key, or damaged; it is refused. Restore the"
                " keys, or train another version with `flask models train --promote`"
            )
    if unsigned:
        raise click.exceptions.Exit(1)
