"""How a worker takes its messages."""

from collections.abc import Callable
from typing import Any

from celery.worker import consumer
from kombu.message import Message


class Consumer(consumer.Consumer):
    """Celery's consumer, but a message that cannot be read costs only itself.

    Some bodies that are no task (an empty one, for example) end Celery's own with an error. The message then goes back
    to its queue, and ends each worker that takes it.
    """

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Message], None]:
        """Return what is called with each message."""
        handle = super().create_task_handler(*args, **kwargs)

        def handle_or_discard(message: Message) -> None:
            try:
                handle(message)
            except self.connection_errors + self.channel_errors:  # type: ignore[attr-defined]  # missing in celery-types
                raise
            except Exception as error:  # noqa: BLE001 - whatever it was, the next worker must not get it too
                self.on_decode_error(message, error)

        return handle_or_discard
