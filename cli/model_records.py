"""Prints the record of a model version."""

from cli.common import echo, print_json
from core.naming import name_some
from records.models.documents import ModelRecord, ModelSummary

SHOWN_TICKERS = 10


def print_model(record: ModelRecord, *, as_json: bool) -> None:
    """Print a version's record, tickers beyond the first ten only in JSON."""
    if as_json:
        print_json(record)
        return
    tickers = [part["ticker"] for part in record["tickers"]]
    lines = {
        "version": record["version"],
        "state": (
            record["state"]
            + (f" ({', '.join(record['champion_of'])})" if record["champion_of"] else "")
        ),
        "sha256": record["sha256"],
        "feature set": record["feature_set"],
        "learned from": (
            f"{describe_window(record)}, {record['interval']}{', synthetic' * record['synthetic']}"
        ),
        "rows": f"{record['rows']:,}, of which {record['rows_fitted']:,} fitted",
        "tickers": name_some(tickers, SHOWN_TICKERS),
        "left out": (
            ", ".join(f"{part['ticker']} ({part['reason']})" for part in record["left_out"])
            or "none"
        ),
        "threshold": f"{record['threshold']:.6f}",
        **{
            f"of {market}": f"{own['threshold']:.6f}"
            for market, own in record.get("by_market", {}).items()
        },
        "parameters": ", ".join(
            f"{name} {_describe(value)}" for name, value in record["parameters"].items()
        ),
        "libraries": ", ".join(
            f"{name} {version}" for name, version in record["library_versions"].items()
        ),
        "made": f"{record['created_at']:%Y-%m-%d %H:%M:%S} UTC, by run {record['training_run_id']}",
    }
    for name, value in lines.items():
        echo(f"{name:>12}  {value}")


def describe_window(record: ModelSummary) -> str:
    """Return the first and last day of the bars from which a version learned, as text."""
    return f"{record['window_start']:%Y-%m-%d} to {record['window_end']:%Y-%m-%d}"


def _describe(value: object) -> str:
    return f"by {value['kind']} {value['value']:g}" if isinstance(value, dict) else str(value)
