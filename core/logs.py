"""How every process logs: to stderr, one JSON object a line,
or lines for people where that is a terminal.
"""

import logging
import re
import sys

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor, WrappedLogger

# Other libraries log at debug what they send and receive, bars and all.
OURS = ("api", "cli", "detection", "feed", "tasks")
# What an address cannot have, so that each word is looked at once.
_WORD = re.compile(r"""[^\s"'<>]+""")
LONGEST_VALUE = 4_000
LONGEST_TRACE = 20_000
# What a terminal takes for a command: colours, titles, and worse.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def strip_controls(text: str) -> str:
    """Return a text in which whatever a terminal would obey is a question mark."""
    return _CONTROLS.sub("?", text)


def configure_logs(level: str) -> None:
    """Make this process log what is of `level` (debug, info, warning, error) or above;
    others' logs too, from info on.

    Every line has what is bound with `structlog.contextvars`; user and password of a URL are in
    none.
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
        # A traceback with the values of variables would show what must not be seen.
        shown: Processor = structlog.dev.ConsoleRenderer(
            exception_formatter=structlog.dev.plain_traceback
        )
    else:
        shown = structlog.processors.JSONRenderer(default=str)
    return [structlog.processors.format_exc_info, _shorten, shown]


def _hide_credentials(_logger: WrappedLogger, _method: str, line: EventDict | str) -> str:
    """Return the rendered line without the users and passwords of URLs, wherever in it they are."""
    return _WORD.sub(_hide_in_word, str(line))


def _hide_in_word(word: re.Match[str]) -> str:
    before, separator, after = word[0].partition("://")
    hidden, at, host = after.rpartition("@")
    return f"{before}{separator}***@{host}" if hidden and at else word[0]


def _shorten(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """Cut the values that have no end, and take from all of them what a terminal would obey."""
    return {
        name: (
            _CONTROLS.sub("?", value[: LONGEST_TRACE if name == "exception" else LONGEST_VALUE])
            if isinstance(value, str)
            else value
        )
        for name, value in line.items()
    }
