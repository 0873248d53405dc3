"""The command line: `flask GROUP COMMAND`, with a file for each group."""

from importlib import import_module

import click
from flask import Flask
from flask.cli import AppGroup

from cli.common import CommandGroup

# Modules of this package with a `group` of commands, which has the module's name.
GROUPS = (
    "alerts",
    "analytics",
    "anomalies",
    "backfill",
    "bars",
    "data",
    "db",
    "export",
    "feed",
    "gaps",
    "groups",
    "keys",
    "markets",
    "models",
    "notify",
    "runs",
    "scan",
    "series",
    "sessions",
    "tenants",
    "verify",
)
# Modules with one command, which has the module's name.
ALONE = ("doctor", "mcp")


class _Commands(AppGroup):
    """The commands of all modules. Each module is loaded when its command is asked for, because
    loading all takes longer than most commands.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *GROUPS, *ALONE])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in GROUPS:
            return load_group(cmd_name)
        if cmd_name in ALONE:
            command: click.Command = getattr(import_module(f"cli.{cmd_name}"), cmd_name)
            return command
        return super().get_command(ctx, cmd_name)


def load_group(name: str) -> CommandGroup:
    """Return one of GROUPS."""
    group: CommandGroup = import_module(f"cli.{name}").group
    return group


def register_commands(app: Flask) -> None:
    """Add the commands to the `flask` command."""
    app.cli = _Commands(app.name)
