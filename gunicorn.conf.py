"""How gunicorn runs the API; the address comes from its command line."""

import gc
import os
import shutil
import sys
import tempfile
from typing import Any

# Before prometheus_client is imported: the figures of all worker processes are kept here, and added
# up when asked for.
if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="tapewatch-metrics-")

from celery.platforms import set_pdeathsig  # type: ignore[attr-defined]  # celery-types does not know it
from gunicorn import glogging
from prometheus_client.multiprocess import mark_process_dead

from api.http.auth import check_keys
from core.errors import DatabaseUnfit, ServerUnreachable
from core.hosts import is_loopback
from core.logs import configure_logs
from core.settings import get_settings
from records.database import explain_unreachable, open_database


class Logger(glogging.Logger):
    """Gunicorn's logger, whose lines go where all others of the process go."""

    def setup(self, cfg: Any) -> None:
        """Set up the logs of this process."""
        super().setup(cfg)
        configure_logs(get_settings().log_level)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


logger_class = Logger
worker_class = "api.http.server.Worker"
worker_connections = 512
workers = 2
# It is loaded once and forked, but where traces are sent: their threads no fork takes along.
preload_app = not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
# each event stream holds a thread for as long as somebody watches; how they are shared says
# api/http/server.py
threads = 64
# nothing here rests on where the application thinks it is mounted, and a header must not say so
forwarder_headers = ""
# event streams never end by themselves, and everything else is quick
graceful_timeout = 2
# it would be one and the same for all services of a user
control_socket_disable = True


def on_starting(server: Any) -> None:
    """Say where nobody gets in for want of a key;
    exit where gunicorn would let in more than HOST says.
    """
    settings = get_settings()
    # a Unix socket is of this machine
    bound = [address[0] for address in server.cfg.address if isinstance(address, tuple)]
    exposed = next((host for host in (settings.host, *bound) if not is_loopback(host)), None)
    if exposed is None:
        return
    try:
        with explain_unreachable(settings):
            database = open_database(settings)
            try:
                check_keys(settings.model_copy(update={"host": exposed}), database)
            finally:
                database.client.close()
    except DatabaseUnfit as error:
        if is_loopback(settings.host):
            sys.exit(
                f"The API does not start: gunicorn listens on {exposed}, while HOST={settings.host}"
                f" lets whoever comes over loopback in without a key. Set HOST={exposed}, or make a"
                " key: `flask keys create`."
            )
        server.log.warning(error.message)
    except ServerUnreachable as error:
        # Nobody gets in without a key meanwhile: each request looks for it.
        server.log.warning("whether an API key exists is not known yet: %s", error.message)


def post_fork(_server: object, _worker: object) -> None:
    """Tie a worker to its master: with an event stream open it would outlive one
    that was killed with -9.
    """
    set_pdeathsig("SIGKILL")


def post_worker_init(_worker: object) -> None:
    """Spare collections the look through all that was imported,
    some 0.1 s in which nobody is answered.
    """
    gc.collect()
    gc.freeze()


def child_exit(server: Any, worker: Any) -> None:  # noqa: ARG001 - gunicorn calls it so
    """Forget what only lives with a process."""
    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]  # the library leaves it untyped


def on_exit(server: Any) -> None:  # noqa: ARG001 - gunicorn calls it so
    """Remove the figures."""
    shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)
