"""A process that is API and worker in one, so that one exporter gets all spans of a request; it
prints them.

Run by test_traces.py; its arguments are the path and the JSON body of a POST.
"""

import json
import sys
import time

from celery.contrib.testing.worker import start_worker
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from api import create_app
from api.http.state import get_state
from core.settings import get_settings
from tasks.app import app as celery
from tasks.process.traces import build_provider, instrument


def main() -> None:
    path, body = sys.argv[1:]
    exporter = InMemorySpanExporter()
    api = create_app(get_settings())
    instrument(build_provider("test", SimpleSpanProcessor(exporter)), api)
    # A worker in a thread of this process; its messages still go through the real broker.
    with start_worker(celery, pool="solo", perform_ping_check=False, queues="interactive,backfill"):
        client = api.test_client()
        accepted = client.post(path, json=json.loads(body))
        deadline = time.monotonic() + 120
        while client.get(accepted.headers["Location"]).json["status"] in {"queued", "in_progress"}:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    get_state(api).close()
    spans = [
        {
            "name": span.name,
            "trace": span.context.trace_id,
            "id": span.context.span_id,
            "parent": span.parent and span.parent.span_id,
        }
        for span in exporter.get_finished_spans()
    ]
    sys.stdout.write(json.dumps(spans) + "\n")


if __name__ == "__main__":
    main()
