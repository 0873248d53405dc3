"""How every process logs: to stderr, one JSON object a line, or lines for people where that is a terminal."""

import logging
import re
import sys

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor, WrappedLogger

# Other libraries log at debug what they send and receive, bars and all.
OURS = ("api", "cli", "detection", "tasks")
_CREDENTIALS = re.compile(r"""(?<=://)[^\s"'<>]*@""")


def configure_logs(level: str) -> None:
    """Make this process log what is of `level` (debug, info, warning, error) or above; others' logs too, from info on.

    Every line has what is bound with `structlog.contextvars`; user and password of a URL are in none.
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
    if sys.stderr.isatty():
        # A traceback with the values of variables would show what must not be seen.
        return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]


def _hide_credentials(_logger: WrappedLogger, _method: str, line: EventDict | str) -> str:
    """Return the rendered line without the users and passwords of URLs, wherever in it they are."""
    return _CREDENTIALS.sub("***@", str(line))
