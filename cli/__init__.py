"""The command line: `flask GROUP COMMAND`, with a file for each group."""

from functools import partial

from flask import Flask

from cli import (
    alerts,
    analytics,
    anomalies,
    backfill,
    bars,
    data,
    db,
    doctor,
    export,
    feed,
    gaps,
    groups,
    keys,
    markets,
    mcp,
    models,
    notify,
    runs,
    scan,
    series,
    sessions,
    tenants,
    verify,
)
from core.logs import configure_logs

GROUPS = (
    bars.group,
    gaps.group,
    data.group,
    export.group,
    feed.group,
    markets.group,
    models.group,
    series.group,
    backfill.group,
    scan.group,
    verify.group,
    anomalies.group,
    alerts.group,
    groups.group,
    analytics.group,
    runs.group,
    keys.group,
    tenants.group,
    sessions.group,
    notify.group,
    db.group,
)


def register_commands(app: Flask) -> None:
    """Add the command groups to the `flask` command."""
    for group in GROUPS:
        # Commands print what they did themselves, and log only warnings and errors.
        group.callback = partial(configure_logs, "warning")
        app.cli.add_command(group)
    app.cli.add_command(doctor.doctor)
    app.cli.add_command(mcp.mcp)
