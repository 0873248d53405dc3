"""How gunicorn runs the API; the address comes from its command line."""

import gc
import os
import shutil
import sys
import tempfile
from typing import Any

# This must be set before prometheus_client is imported. The figures of all worker processes are
# stored in this folder, and are summed when they are read.
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
    """Gunicorn's logger; its lines go to the same place as all others of the process."""

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
# The application is loaded once and forked, except where traces are sent: a fork does not copy the
# threads that send them.
preload_app = not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
# Each event stream holds a thread for as long as a client reads it; api/http/server.py explains how
# threads are shared.
threads = 64
# No header may change the path at which the application is mounted.
forwarder_headers = ""
# Event streams never end by themselves, and all other requests are quick.
graceful_timeout = 2
# All services of a user would share one control socket.
control_socket_disable = True


def on_starting(server: Any) -> None:
    """Warn if every request will be refused because no key exists; exit if gunicorn listens on an
    address that HOST does not name and would admit requests without a key.
    """
    settings = get_settings()
    # A Unix socket can only be reached from this machine.
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
        # Meanwhile no request without a key is admitted, because each request checks for keys.
        server.log.warning("whether an API key exists is not known yet: %s", error.message)


def post_fork(_server: object, _worker: object) -> None:
    """Tie a worker's life to its master's: with an open event stream it would outlive a master that
    was killed with -9.
    """
    set_pdeathsig("SIGKILL")


def post_worker_init(_worker: object) -> None:
    """Exclude imported objects from garbage collections: searching them takes some 0.1 s, and no
    request is answered meanwhile.
    """
    gc.collect()
    gc.freeze()


def child_exit(server: Any, worker: Any) -> None:  # noqa: ARG001 - gunicorn calls it so
    """Remove the figures that are only valid while their process lives."""
    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]  # the library leaves it untyped


def on_exit(server: Any) -> None:  # noqa: ARG001 - gunicorn calls it so
    """Remove the folder of the figures."""
    shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)
