"""Entry point of workers, beat and Flower: `celery -A tasks.app ...`. Reads the environment once, here."""

from importlib import import_module
from typing import Any

import structlog
from celery.signals import task_postrun, task_prerun, worker_init, worker_process_init

from detection.settings import get_settings
from tasks import names
from tasks.broker import build_celery
from tasks.worker import get_worker

app = build_celery(get_settings())


@worker_init.connect
def load_numeric_stack(sender: Any, **_: object) -> None:
    """Import what detection needs before the fork, so that pool processes share it and start at once."""
    if names.CONTROL_QUEUE not in sender.app.amqp.queues.consume_from:
        import_module("tasks.handlers")


@worker_process_init.connect
def start_pool_process(**_: object) -> None:
    """Connect a pool process: clients do not survive a fork."""
    get_worker()


@task_prerun.connect
def bind_task(task_id: str, task: Any, args: list[str], **_: object) -> None:
    """Put task and subject into every log line of this task."""
    structlog.contextvars.bind_contextvars(task=task.name, task_id=task_id, subject=args[0] if args else None)


@task_postrun.connect
def unbind_task(**_: object) -> None:
    """Forget them again."""
    structlog.contextvars.clear_contextvars()
