"""What all command groups share: the database, common options, exit codes, and printing."""

import errno
import functools
import getpass
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import UTC, date, datetime
from math import isfinite
from typing import IO, Any, NoReturn, ParamSpec, TypeVar

import click
from flask.cli import AppGroup
from pymongo.client_session import ClientSession
from rich.console import Console
from rich.table import Table

from core.errors import BadInput, NotFound, TapewatchError
from core.logs import configure_logs, strip_controls
from core.moments import write_moment
from core.settings import get_settings
from core.words import AlertEvent
from market.intervals import INTERVALS
from records.alerts.trail import build_note, write_noted
from records.database import Db, explain_unreachable, open_database
from records.tenancy import check_tenant, of_tenant

P = ParamSpec("P")
R = TypeVar("R")
Listed = TypeVar("Listed")
Command = TypeVar("Command", bound=Callable[..., object])

# A command takes a second to start, and must say within five that the database does not answer.
LONGEST_WAIT_SECONDS = 3.0
PIPE_WIDTH = 160
# These options may be empty: US tickers have no suffix, a market may lose its index or currency.
MAY_BE_EMPTY = {"suffixes", "index_ticker", "currency"}

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
interval_option = click.option(
    "--interval", default="1d", show_default=True, help=" ".join(INTERVALS)
)
market_option = click.option("--market", help="Only of this one: US, JP, CRYPTO, ...")
no_wait_option = click.option("--no-wait", is_flag=True, help="Return at once; the run goes on.")
limit_option = click.option(
    "--limit", type=click.IntRange(1, 100_000), default=20, show_default=True
)


def takes_options(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Return a decorator that gives a command these arguments and options, in the order of its
    help.
    """

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


class OneValueCommand(click.Command):
    """A command that refuses repeated options and empty values.

    Of an option that takes one value and is given twice, click would silently drop the first. An
    empty value, as of an unset shell variable, would ask for everything or name the current folder.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse arguments as click does, after the checks of this class. Errors of the parsing of
        values end the command as its own errors do.
        """
        # The ids of alerts without a watchlist begin with `-::`, and no option does.
        ctx.ignore_unknown_options |= any(arg.startswith("-::") for arg in args)
        values, _rest, order = self.make_parser(ctx).parse_args([*args])
        given = Counter(
            one
            for one in order
            if isinstance(one, click.Option) and not (one.multiple or one.count or one.is_flag)
        )
        for option, times in given.items():
            if times > 1:
                name = max(option.opts, key=len)
                raise click.UsageError(f"{name} is given {times} times, and takes one value", ctx)
        for param in order:
            if _has_empty(values.get(param.name or "")) and param.name not in MAY_BE_EMPTY:
                name = max(param.opts, key=len) if isinstance(param, click.Option) else ""
                raise click.UsageError(
                    f"{name or param.human_readable_name} is empty: give it a value, or leave it"
                    " out",
                    ctx,
                )
        try:
            return super().parse_args(ctx, args)
        except TapewatchError as error:
            fail(error)


def _has_empty(value: object) -> bool:
    return "" in value if isinstance(value, list | tuple) else value == ""


# A message quotes at most so many characters of a path.
SHOWN_PATH = 200


class NumberRange(click.FloatRange):
    """A finite number within bounds."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number as click reads it."""
        number = float(super().convert(value, param, ctx))
        if not isfinite(number):
            self.fail(f"{number} is no number.", param, ctx)
        return number


class CommandGroup(AppGroup):
    """A group of our commands, which run in the application's context. They print what they did
    themselves, and log only warnings and errors.
    """

    command_class = OneValueCommand

    def __init__(self, name: str, *, help: str) -> None:  # noqa: A002 - click's name
        super().__init__(name, help=help, callback=functools.partial(configure_logs, "warning"))


class CommandFailed(click.ClickException):
    """An error of ours that is printed to stderr: what was asked, what was found, what to do."""

    exit_code = 1

    def show(self, file: IO[Any] | None = None) -> None:
        """Print only the message, without click's usage."""
        echo(f"Error: {self.message}", err=True, file=file)


class InputRefused(CommandFailed):
    """The caller gave a value that cannot be used."""

    exit_code = 2


def exits_on_error(command: Callable[P, R]) -> Callable[P, R]:
    """Print our errors, and end with exit code 2 for bad input and unknown names, 1 for others.

    After Ctrl-C, end as a process that does not handle the signal, so that a shell's loop ends too.
    """

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except TapewatchError as error:
            fail(error)
        except OSError as error:
            if error.filename is None:
                if error.errno != errno.ENOSPC:
                    raise
                # Python would try to write the rest once more as it ends, and fail again.
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                raise CommandFailed(
                    f"{error.strerror}: make room where this command writes, then call it again"
                ) from error
            # A file that the caller named, or a file of the service that belongs to another user.
            raise CommandFailed(f"{str(error.filename)[:SHOWN_PATH]}: {error.strerror}") from error
        except KeyboardInterrupt as stopped:
            _end_stopped(str(stopped))
        except click.Abort as aborted:
            # What click makes of Ctrl-C at a question, and of a question to nobody.
            if isinstance(aborted.__context__, KeyboardInterrupt):
                _end_stopped("")
            raise

    return run


def _end_stopped(said: str) -> NoReturn:
    echo(f"\nStopped{said and f': {said}'}.", err=True)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)
    raise click.Abort  # where a parent has the signal ignored


@contextmanager
def says_if_stopped(said: str) -> Iterator[None]:
    """Have a command that Ctrl-C ends within this say what became of what it did."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(said) from None


def fail(error: TapewatchError) -> NoReturn:
    """End the command with the error's message and exit code."""
    kind = InputRefused if isinstance(error, BadInput | NotFound) else CommandFailed
    raise kind(error.message) from error


@contextmanager
def use_database() -> Iterator[Db]:
    """Yield the service's database for one command: for the tenant that `TENANT` names, if any.

    Raises ServerUnreachable, with the URL, within 5 seconds; NotFound where the tenant does not
    exist.
    """
    settings = get_settings()
    waiting = min(settings.server_timeout_seconds, LONGEST_WAIT_SECONDS)
    settings = settings.model_copy(update={"server_timeout_seconds": waiting})
    with explain_unreachable(settings):
        database = open_database(settings)
        try:
            if settings.tenant:
                check_tenant(database, settings.tenant)
            yield of_tenant(database, settings.tenant) if settings.tenant else database
        finally:
            database.client.close()


def change_noted(
    database: Db,
    change: Callable[[ClientSession], R],
    step: AlertEvent,
    subject: str,
    details: Mapping[str, Any] | None = None,
) -> R:
    """Make a change and write its entry of the audit trail in one transaction; return what `change`
    returned. The entry names the user of the operating system.
    """
    entry = build_note(step, subject, by=getpass.getuser(), at=datetime.now(UTC), details=details)
    return write_noted(database, change, [entry])


def echo(text: object, *, err: bool = False, file: IO[Any] | None = None) -> None:
    """Print a text with a question mark in place of each control character: its names, notes and
    errors may come from others, and a terminal would obey them.
    """
    click.echo(strip_controls(str(text)), err=err, file=file)


def print_table(table: Table) -> None:
    """Print a table without reading its cells as markup; into a pipe, wide enough not to cut cells.

    A question mark replaces each control character, as in `echo`.
    """
    for column in table.columns:
        cells = column._cells  # noqa: SLF001 - rich has no public form
        cells[:] = [strip_controls(cell) if isinstance(cell, str) else cell for cell in cells]
    # Python has no stdout where the caller closed it.
    is_shown = sys.stdout is not None and sys.stdout.isatty()
    Console(markup=False, width=None if is_shown else PIPE_WIDTH).print(table)


def keep_listed(found: Sequence[Listed], limit: int) -> list[Listed]:
    """Return the first `limit` of `found`, of which the caller asked for one more.

    Where there are more, a line on stderr says so: a list that ends at its limit must not look
    complete.
    """
    if len(found) > limit:
        echo(f"there are more than the {limit:,} that are listed: --limit takes more", err=True)
    return list(found[:limit])


def print_json(value: object) -> None:
    """Print a value as JSON, dataclasses as objects and times as ISO 8601 with Z."""
    click.echo(json.dumps(value, default=_to_json, indent=2, allow_nan=False))


def write_number(value: float | None, digits: int) -> str:
    """Return a number with `digits` digits after the point; `none` for None."""
    return "none" if value is None else f"{value:.{digits}f}"


def _to_json(value: object) -> object:
    if isinstance(value, datetime):
        return write_moment(value)
    if isinstance(value, date):
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
