"""Configures the logs of every process: to stderr, one JSON object a line, or lines for people on a
terminal.
"""

import logging
import re
import sys

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor, WrappedLogger

# Only these loggers get a level below info: at debug, other libraries log all data they send and
# receive.
OURS = ("api", "cli", "detection", "feed", "tasks")
# A word has no character that a URL cannot have, so that each word is searched once.
_WORD = re.compile(r"""[^\s"'<>]+""")
LONGEST_VALUE = 4_000
LONGEST_TRACE = 20_000
# Control characters, which a terminal takes for commands: colours, titles, and worse.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def strip_controls(text: str) -> str:
    """Return a text with its control characters replaced by question marks."""
    return _CONTROLS.sub("?", text)


def configure_logs(level: str) -> None:
    """Make this process log at `level` (debug, info, warning, error) and above, and the libraries
    at info at least.

    Every line has the values bound with `structlog.contextvars`. User and password of a URL are
    removed from all lines.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    handler = logging.StreamHandler()
    processors = [ProcessorFormatter.remove_processors_meta, *_choose_renderer(), _hide_credentials]
    handler.setFormatter(ProcessorFormatter(foreign_pre_chain=shared, processors=processors))
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(handlers=[handler], level=max(number, logging.INFO), force=True)
    for name in OURS:
        logging.getLogger(name).setLevel(number)
    logging.captureWarnings(capture=True)


def _choose_renderer() -> list[Processor]:
    if sys.stderr is not None and sys.stderr.isatty():
        # A traceback with the values of variables could show secrets.
        shown: Processor = structlog.dev.ConsoleRenderer(
            exception_formatter=structlog.dev.plain_traceback
        )
    else:
        shown = structlog.processors.JSONRenderer(default=str)
    return [structlog.processors.format_exc_info, _shorten, shown]


def _hide_credentials(_logger: WrappedLogger, _method: str, line: EventDict | str) -> str:
    """Return the rendered line without the users and passwords of URLs anywhere in it."""
    return _WORD.sub(_hide_in_word, str(line))


def _hide_in_word(word: re.Match[str]) -> str:
    before, separator, after = word[0].partition("://")
    hidden, at, host = after.rpartition("@")
    return f"{before}{separator}***@{host}" if hidden and at else word[0]


def _shorten(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """Cut very long values, and remove control characters from all values."""
    return {
        name: (
            _CONTROLS.sub("?", value[: LONGEST_TRACE if name == "exception" else LONGEST_VALUE])
            if isinstance(value, str)
            else value
        )
        for name, value in line.items()
    }
