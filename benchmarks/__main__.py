"""`make bench`: the speed of detection, compared with scikit-learn alone and with the naive way.

It runs its own real servers and real worker processes: bars in MongoDB go in; anomalies, watermarks
and audit documents come out, with majority-acknowledged writes.
"""

import argparse
import json
import os
import platform
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.service import run_bench_servers
from core.logs import configure_logs

RESULTS = Path(__file__).parent / "results.json"
# Each figure's bound, and on which side of it the figure should lie.
BOUNDS = {
    "backfill_over_bare_scoring": (">=", 2.5),
    "default_backfill_over_bare_scoring": (">=", 2.5),
    "ensemble_backfill_over_default_backfill": ("<=", 3.0),
    "backfill_over_naive": (">=", 55.0),
    "scan_naive_over_ours": (">=", 400.0),
    "score_max_abs_difference": ("<=", 1e-12),
    "celery_two_workers_over_one_process": (">=", 1.5),
    "cost_per_ticker_10000_over_1000": ("<=", 1.1),
    "worker_peak_mib_10000_tickers": ("<=", 600.0),
    "scan_seconds_10000_tickers": ("<=", 1.0),
    "one_ticker_latency_ms": ("<=", 50.0),
    "ensemble_scoring_over_forest": ("<=", 3.0),
}
# The cost of detectors is measured on this many synthetic series, in this many rounds.
COST_TICKERS, COST_ROUNDS = 50, 5


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure the speed of detection."
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer tickers and rounds: a look, not the figures"
    )
    quick = parser.parse_args().quick
    configure_logs("warning")
    console = Console()
    machine = describe_machine()
    console.print(machine)
    with run_bench_servers() as (settings, folder):
        speed = import_module("benchmarks.speed")
        figures, clock = speed.measure(
            settings, speed.QUICK if quick else speed.FULL, folder, console.print
        )
    kernels = import_module("benchmarks.kernels")
    console.print("What each detector costs.")
    costs = kernels.measure_detectors(kernels.draw_panel(COST_TICKERS), COST_ROUNDS)
    beside = {cost.name: round(cost.scores, 2) for cost in costs if not cost.missing}
    figures["ensemble_scoring_over_forest"] = beside["ensemble"]
    console.print(build_times(clock.seconds), kernels.build_costs(costs), build_figures(figures))
    kept = {**figures, "scoring_over_forest": beside, "machine": machine}
    keep_figures(console, RESULTS, kept, quick=quick)


def build_figures(figures: dict[str, float]) -> Table:
    table = Table("figure", "measured", "to reach", "", title="What counts")
    for name, measured in figures.items():
        side, bound = BOUNDS[name]
        reached = measured >= bound if side == ">=" else measured <= bound
        table.add_row(
            name, f"{measured:.3g}", f"{side} {bound:g}", "reached" if reached else "SHORT"
        )
    return table


def build_times(seconds: dict[str, list[float]]) -> Table:
    table = Table("side", "median", "least", "most", title="Seconds")
    for side, times in seconds.items():
        middle = sorted(times)[len(times) // 2]
        table.add_row(side, *(f"{value:.3f}" for value in (middle, min(times), max(times))))
    return table


def keep_figures(
    console: Console, path: Path, figures: Mapping[str, object], *, quick: bool
) -> None:
    """Write figures to a file, unless they are of a quick look."""
    if quick:
        console.print("A quick look: too little for the figures that count, so none are written.")
        return
    path.write_text(json.dumps(figures, indent=2) + "\n")
    console.print(f"Written to {path}.")


def describe_machine() -> str:
    return (
        f"{os.cpu_count()} cores, {_name_processor()}, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f} before the start"
    )


def _name_processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next(
        (line.partition(": ")[2] for line in lines if line.startswith("model name")),
        platform.machine(),
    )


if __name__ == "__main__":
    main()
