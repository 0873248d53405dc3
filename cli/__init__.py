"""The command line: `flask GROUP COMMAND`, one file a group."""

from flask import Flask

from cli import backfill, bars, keys, models, runs, scan, sessions, verify

GROUPS = (bars.group, models.group, backfill.group, scan.group, verify.group, runs.group, keys.group, sessions.group)


def register_commands(app: Flask) -> None:
    """Add the command groups to the `flask` command."""
    for group in GROUPS:
        app.cli.add_command(group)
