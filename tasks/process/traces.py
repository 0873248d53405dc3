"""OpenTelemetry traces, optional: one trace from a request through its tasks to their commits.

Off unless OTEL_EXPORTER_OTLP_ENDPOINT says where they go and `requirements-traces.txt` is
installed. All other settings are OpenTelemetry's own (OTEL_TRACES_SAMPLER,
OTEL_EXPORTER_OTLP_HEADERS, ...).
"""

from typing import TYPE_CHECKING

from core.errors import BadInput
from core.settings import Settings

if TYPE_CHECKING:
    from flask import Flask
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider


def start_traces(settings: Settings, service: str, app: "Flask | None" = None) -> None:
    """Trace this process from now on, if tracing is configured; call it once, after the fork,
    before anything connects.
    """
    if not settings.otel_exporter_otlp_endpoint:
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - optional
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - as above
    except ImportError as error:
        raise BadInput(
            "OTEL_EXPORTER_OTLP_ENDPOINT asks for traces, and OpenTelemetry is not installed: "
            "pip install --require-hashes -r requirements-traces.txt, or unset it"
        ) from error
    instrument(build_provider(service, BatchSpanProcessor(OTLPSpanExporter())), app)


def build_provider(service: str, processor: "SpanProcessor") -> "TracerProvider":
    """Return what makes the spans of a process called `service` and hands them to `processor`."""
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - optional
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - as above

    provider = TracerProvider(resource=Resource.create({"service.name": f"tapewatch-{service}"}))
    provider.add_span_processor(processor)
    return provider


def instrument(provider: "TracerProvider", app: "Flask | None" = None) -> None:
    """Have requests of `app`, messages, tasks and MongoDB commands of this process make spans."""
    from opentelemetry.instrumentation.celery import CeleryInstrumentor  # noqa: PLC0415 - optional
    from opentelemetry.instrumentation.flask import FlaskInstrumentor  # noqa: PLC0415 - as above
    from opentelemetry.instrumentation.pymongo import (  # noqa: PLC0415 - as above
        PymongoInstrumentor,
    )

    CeleryInstrumentor().instrument(tracer_provider=provider)  # type: ignore[no-untyped-call]
    PymongoInstrumentor().instrument(tracer_provider=provider)
    if app is not None:
        # Probes that an orchestrator sends every few seconds are not worth a trace.
        FlaskInstrumentor.instrument_app(  # type: ignore[no-untyped-call]  # as above
            app, tracer_provider=provider, excluded_urls="healthz,readyz,metrics"
        )
