"""`make bench-series`: how quickly points of single series are predicted, compared with `/healthz`,
the floor of the same stack.

A real gunicorn with two worker processes, its own Redis and MongoDB, and a hundred clients that
each send the next request once they are answered, all on the same cores. The two sides take turns.
The server's times are those of its own histogram, from a request's arrival in the application to
the end of its answer; a client's times include the wait in the queue before. With `QUALITY=1` the
detectors are scored instead: see `benchmarks/series_quality.py`.
"""

import argparse
import asyncio
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.request import Request, urlopen

from rich.console import Console
from rich.table import Table

from benchmarks.__main__ import describe_machine, keep_figures
from benchmarks.api import percentile, run_api
from benchmarks.service import run_bench_servers

RESULTS = Path(__file__).parent / "series.json"
CLIENTS, REQUESTS, LISTED, ROUNDS = 100, 5_000, 10_000, 5
SERIES = 20
LEAST_PER_SECOND, MOST_P95_MS, MOST_LIST_MS = 600.0, 20.0, 50.0


@dataclass(frozen=True, slots=True)
class Load:
    """The results of many requests: requests a second, errors, and the seconds of each as its
    client saw it.
    """

    per_second: float
    errors: int
    seconds: list[float]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.series", description="Measure models of single series."
    )
    parser.add_argument(
        "--quality", action="store_true", help="score the detectors on labelled series"
    )
    parser.add_argument(
        "--nab", type=Path, help="a copy of the Numenta Anomaly Benchmark, to be scored on too"
    )
    parser.add_argument("--quick", action="store_true", help="one round: a look, not the figures")
    arguments = parser.parse_args()
    console = Console()
    machine = describe_machine()
    console.print(machine)
    if arguments.quality:
        from benchmarks.series_quality import run_quality  # noqa: PLC0415 - it needs no servers

        run_quality(console, arguments.nab)
        return
    with run_bench_servers() as (settings, folder), run_api(settings, folder):
        for number in range(SERIES):
            values = [(i * 7 + number) % 23 + i % 5 / 10 for i in range(1_000)]
            post(
                settings.port,
                f"/fit/bench_{number}",
                {"timestamps": list(range(1_000)), "values": values},
            )
        figures = measure(settings.port, 1 if arguments.quick else ROUNDS, console)
    console.print(build_table(figures))
    keep_figures(console, RESULTS, {**figures, "machine": machine}, quick=arguments.quick)


def measure(port: int, rounds: int, console: Console) -> dict[str, float]:
    """Return the figures; each is the median round's."""
    asked = [
        build_request(
            port, f"/predict/bench_{i % SERIES}", {"timestamp": str(i), "value": float(i % 40)}
        )
        for i in range(REQUESTS)
    ]
    floor_asked = [build_request(port, "/healthz")] * REQUESTS
    asyncio.run(ask_all(port, asked[:500]))
    loads, floors, shares, lists = [], [], [], []
    for number in range(rounds):
        console.print(f"Round {number + 1} of {rounds}, load {os.getloadavg()[0]:.1f}.")
        floors.append(asyncio.run(ask_all(port, floor_asked)))
        before = read_histogram(port)
        loads.append(asyncio.run(ask_all(port, asked)))
        shares.append(
            [after - was for after, was in zip(read_histogram(port), before, strict=True)]
        )
        points = [{"timestamp": str(i), "value": float(i % 40)} for i in range(LISTED)]
        listed = asyncio.run(ask_all(port, [build_request(port, "/predict/bench_1", points)]))
        assert listed.errors == 0
        lists.append(1_000 * listed.seconds[0])
    return {
        "predictions_per_second": round(median(load.per_second for load in loads)),
        "predictions_over_healthz": round(
            median(
                load.per_second / floor.per_second
                for load, floor in zip(loads, floors, strict=True)
            ),
            3,
        ),
        "errors": sum(load.errors for load in loads),
        "server_share_below_20_ms": round(median(share[0] / share[1] for share in shares), 4),
        "client_p95_ms": round(1_000 * median(percentile(load.seconds, 0.95) for load in loads), 1),
        "list_of_10000_ms": round(median(lists), 1),
    }


def build_request(port: int, path: str, body: object = None) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    head = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
    return (
        f"{head}Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n".encode()
        + content
    )


async def ask_all(port: int, requests: Sequence[bytes]) -> Load:
    """Send the requests over a hundred connections, each the next one once it is answered."""
    waiting = iter(requests)
    seconds: list[float] = []
    errors = 0

    async def ask() -> None:
        nonlocal errors
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in waiting:
            started = time.perf_counter()
            while True:
                try:
                    writer.write(request)
                    head = await reader.readuntil(b"\r\n\r\n")
                    break
                except (
                    asyncio.IncompleteReadError,
                    ConnectionError,
                ):  # The connection was idle for too long, and was closed.
                    writer.close()
                    reader, writer = await asyncio.open_connection("127.0.0.1", port)
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            seconds.append(time.perf_counter() - started)
            errors += not head.startswith(b"HTTP/1.1 200")
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(ask() for _ in range(CLIENTS)))
    return Load(len(seconds) / (time.perf_counter() - started), errors, seconds)


def read_histogram(port: int) -> tuple[float, float]:
    """Return how many predictions took the server at most 20 ms so far, and how many there were."""
    with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    named = [line for line in lines if "predict_series" in line and 'status="200"' in line]
    fast = sum(float(line.split()[-1]) for line in named if 'le="0.02"' in line)
    return fast, sum(
        float(line.split()[-1])
        for line in named
        if line.startswith("tapewatch_request_seconds_count")
    )


def post(port: int, path: str, body: object) -> list[object]:
    headers = {"Content-Type": "application/json"}
    request = Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(), headers)
    with urlopen(request, timeout=60) as response:  # noqa: S310 - our own address
        answer: list[object] = json.load(response)
        return answer


def build_table(figures: dict[str, float]) -> Table:
    reached = {
        "predictions_per_second": figures["predictions_per_second"] >= LEAST_PER_SECOND,
        "errors": figures["errors"] == 0,
        "server_share_below_20_ms": figures["server_share_below_20_ms"] >= 0.95,
        "list_of_10000_ms": figures["list_of_10000_ms"] < MOST_LIST_MS,
    }
    goals = {
        "predictions_per_second": f"at least {LEAST_PER_SECOND:g}",
        "errors": "none",
        "server_share_below_20_ms": f"at least .95: p95 below {MOST_P95_MS:g} ms",
        "list_of_10000_ms": f"below {MOST_LIST_MS:g}",
    }
    table = Table(
        "figure", "measured", "goal", "", title=f"{REQUESTS:,} predictions by {CLIENTS} clients"
    )
    for name, measured in figures.items():
        verdict = "" if name not in reached else "reached" if reached[name] else "SHORT"
        table.add_row(name, f"{measured:g}", goals.get(name, ""), verdict)
    return table


if __name__ == "__main__":
    main()
