"""`flask verify`: derives stored anomalies again."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click
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
from cli.watching import print_outcome, watch_run
from core.settings import get_settings
from core.words import Verdict
from market.tickers import normalize_ticker
from records.findings.documents import VerificationDocument
from records.findings.verifications import count_unverified, count_verdicts, find_verifications
from records.work.documents import ShownRun
from tasks.process.broker import build_celery
from tasks.requests.verifications import request_verification

group = CommandGroup(
    "verify", help="Derive stored anomalies again, and say what changed: model, code or data."
)

SHOWN = 100


@group.command("anomaly")
@click.argument("anomaly_id")
@json_option
@exits_on_error
def verify_anomaly(*, anomaly_id: str, as_json: bool) -> None:
    """Verify one anomaly, such as AAPL::1d::2001-09-17T00:00:00Z."""
    _verify({"anomaly_ids": [anomaly_id]}, as_json=as_json)


@group.command("run")
@click.argument("run_id")
@json_option
@exits_on_error
def verify_run(*, run_id: str, as_json: bool) -> None:
    """Verify all anomalies that a run was the first to find."""
    _verify({"run_id": run_id}, as_json=as_json)


@group.command("ticker")
@click.argument("ticker")
@json_option
@exits_on_error
def verify_ticker(*, ticker: str, as_json: bool) -> None:
    """Verify all anomalies of a ticker."""
    _verify({"ticker": normalize_ticker(ticker)}, as_json=as_json)


@group.command("model")
@click.argument("version")
@json_option
@exits_on_error
def verify_model(*, version: str, as_json: bool) -> None:
    """Verify all anomalies that a model version found."""
    _verify({"model_version": version}, as_json=as_json)


def _verify(options: Mapping[str, Any], *, as_json: bool) -> None:
    """Run a verification to its end and print it; exit with 1 unless every anomaly was verified."""
    with use_database() as database:
        accepted = request_verification(
            database, build_celery(get_settings()), options, now=datetime.now(UTC)
        )
        run = watch_run(database, accepted["_id"], quiet=as_json)
        verdicts = count_verdicts(database, run["_id"])
        found = find_verifications(database, run["_id"])
        unverified = count_unverified(database, run["_id"])
    if as_json:
        print_json(
            {
                "run_id": run["_id"],
                "status": run["status"],
                "verdicts": verdicts,
                "not_derived": (run.get("result") or {}).get("not_derived", {}),
                "verifications": found,
            }
        )
    else:
        _print_verifications(run, verdicts, found)
    if run["status"] != "complete" or unverified:
        raise click.exceptions.Exit(1)


def _print_verifications(
    run: ShownRun, verdicts: Mapping[Verdict, int], found: list[VerificationDocument]
) -> None:
    if run["status"] != "complete":
        print_outcome(run)
    table = Table("anomaly", "verified", "verdict", "what moved", "score then", "score now")
    for document in found[:SHOWN]:
        scores = [document["original_score"], document["current_score"]]
        table.add_row(
            document["anomaly_id"],
            "yes" if document["verified"] else "no",
            document["verdict"],
            document["cause"] or "",
            *("" if score is None else f"{score:.6f}" for score in scores),
        )
    print_table(table)
    if len(found) > SHOWN:
        echo(f"... and {len(found) - SHOWN:,} more: --json prints all")
    echo(", ".join(f"{count} {verdict}" for verdict, count in verdicts.items()))
