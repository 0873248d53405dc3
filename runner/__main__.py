"""`python -m runner up|demo|feed-demo|key`: what the targets of these names in the Makefile run."""

import signal

# Until something is started, Ctrl-C ends the process at once, without a traceback.
signal.signal(signal.SIGINT, signal.SIG_DFL)

# ruff: noqa: E402 -- after it
import argparse
import sys
from types import FrameType

from rich.console import Console

from core.errors import BadInput, TapewatchError
from core.logs import strip_controls
from runner.first_key import make_first_key
from runner.next_step import describe_next_step
from runner.service import describe_addresses, serve, stay, wait_for_api

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """Serve until told to stop.

    Returns 0 after that, 2 for a setting that cannot be used, 1 for any other error.
    """
    parser = argparse.ArgumentParser(prog="python -m runner", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="serve your own data")
    demo = commands.add_parser(
        "demo", help="import real bars, find their anomalies, and serve them"
    )
    demo.add_argument(
        "--once", action="store_true", help="stop everything after the table of anomalies"
    )
    feed_demo = commands.add_parser(
        "feed-demo", help="replay a day into the feed, and show its alerts"
    )
    feed_demo.add_argument(
        "--speed", type=int, default=48, metavar="N", help="so many candles a second"
    )
    key = commands.add_parser("key", help="make the first API key, before anything listens")
    key.add_argument("name", help="whose key it is")
    arguments = parser.parse_args()
    for number in STOPPING:
        signal.signal(number, _interrupt)
    console = Console(soft_wrap=True, highlight=False, markup=False)
    try:
        _run(console, arguments)
    except KeyboardInterrupt:
        console.print("Stopped.")
    except BadInput as error:
        return _complain(error.message, 2)
    except TapewatchError as error:
        return _complain(error.message, 1)
    finally:
        # Everything is stopped, so further signals are ignored.
        for number in STOPPING:
            signal.signal(number, signal.SIG_IGN)
    return 0


def _run(console: Console, arguments: argparse.Namespace) -> None:
    if arguments.command == "up":
        run_up(console)
    elif arguments.command == "key":
        console.print(make_first_key(arguments.name))
    elif arguments.command == "feed-demo":
        from runner.feed_demo import run_feed_demo  # noqa: PLC0415 -- the same as below

        run_feed_demo(console, arguments.speed)
    else:
        from runner.demo import run_demo  # noqa: PLC0415 -- `up` needs none of what it loads

        run_demo(console, once=arguments.once)


def run_up(console: Console) -> None:
    """Serve the data of the current folder until interrupted."""
    with serve(console.print) as settings:
        wait_for_api(settings)
        console.print(describe_addresses(settings))
        console.print(describe_next_step(settings))
        stay(console)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _complain(message: str, code: int) -> int:
    Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(
        strip_controls(message)
    )
    return code


if __name__ == "__main__":
    sys.exit(main())
