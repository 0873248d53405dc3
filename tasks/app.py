"""Entry point of workers, beat and Flower: `celery -A tasks.app ...`.

Reads the environment once, here.
"""

import logging
from typing import Any

import structlog
from celery.signals import (
    setup_logging,
    task_postrun,
    task_prerun,
    task_received,
    worker_init,
    worker_process_init,
    worker_shutting_down,
)

from core.logs import configure_logs
from core.settings import get_settings
from tasks import names
from tasks.engine.kind import KINDS
from tasks.process.broker import build_celery
from tasks.process.consumer import Request
from tasks.process.logs import describe_task, quiet_routine
from tasks.process.memory import keep_freed_memory, spare_collections
from tasks.process.stopping import bound_stop
from tasks.process.traces import start_traces
from tasks.process.transport import forbid_commands
from tasks.process.worker import get_worker

log = structlog.get_logger()

app = build_celery(get_settings())
configure_logs(get_settings().log_level)
# Celery's own line about each received message does not name the run; ours does.
logging.getLogger("celery.worker.strategy").setLevel(logging.WARNING)
if get_settings().log_level != "debug":
    quiet_routine()


@setup_logging.connect
def keep_logs(**_: object) -> None:
    """Keep Celery, which asks, from setting up logs of its own."""


@worker_init.connect
def load_numeric_stack(sender: Any, **_: object) -> None:
    """Import what detection needs before the fork,
    so that pool processes share it and start at once.
    """
    forbid_commands()
    if names.CONTROL_QUEUE in sender.app.amqp.queues.consume_from:
        return
    try:
        for kind in KINDS.values():
            kind.load_handler()
    except Exception as error:
        # Celery would only log this error and continue, and each task would then fail.
        log.exception("numeric_stack_missing")
        raise SystemExit(1) from error
    spare_collections()


@worker_process_init.connect
def start_pool_process(**_: object) -> None:
    """Connect a pool process: clients and threads do not survive a fork."""
    keep_freed_memory()
    start_traces(get_settings(), "worker")
    get_worker()


@worker_shutting_down.connect
def stop_in_time(how: str, **_: object) -> None:
    """Limit how long a stopping worker waits for its running tasks."""
    bound_stop(how)


@task_received.connect
def log_received(request: Request, **_: object) -> None:
    """Say that a message about a run came in."""
    if request.args:
        log.info("task_received", **request.describe())


@task_prerun.connect
def bind_task(task_id: str, task: Any, args: list[str], **_: object) -> None:
    """Put task, run and request into every log line of this task."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(
        **describe_task(task.name, task_id, args, task.request.__dict__)
    )


@task_postrun.connect
def unbind_task(**_: object) -> None:
    """Forget them again."""
    structlog.contextvars.clear_contextvars()
