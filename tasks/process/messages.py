"""The only form that a message in our queues may have: what this service itself sends.

Celery trusts a message's headers. A time limit that is text, for example, ends the worker that
takes the message, and then each worker that takes it after that one. So every message is checked
here before Celery sees it.
"""

from base64 import b64decode
from typing import Annotated, Any, Literal

from kombu.utils.json import loads
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

MOST_BYTES = 64 * 1024
QUOTED = 200

Word = Annotated[str, Field(max_length=300)]
Text = Annotated[str, Field(max_length=4_000)]
Seconds = Annotated[int, Field(ge=1, le=300)]


class _Part(BaseModel):
    """A part of a message; each of its other fields must be a number, a short text, or nothing."""

    model_config = ConfigDict(strict=True, extra="allow")
    __pydantic_extra__: dict[str, Word | int | bool | None] = Field(init=False)


class _Headers(_Part):
    task: Word
    id: Word
    # This service never sends a task with an eta, an expiry, or groups or chords of its own. A
    # worker sends the limits of celeryconfig.py along, hard and soft; the API sends none.
    eta: None = None
    timelimit: Annotated[list[Seconds | None], Field(min_length=2, max_length=2)] | None = None
    group: None = None
    group_index: None = None
    expires: None = None
    retries: Literal[0] = 0
    argsrepr: Text | None = None
    kwargsrepr: Text | None = None
    stamped_headers: Annotated[list[Any], Field(max_length=0)] | None = None
    stamps: Annotated[dict[str, Any], Field(max_length=0)] | None = None
    # A small compressed message could unpack to any size.
    compression: None = None


class _DeliveryInfo(_Part):
    exchange: Word
    routing_key: Word


class _Properties(_Part):
    delivery_tag: Word
    delivery_info: _DeliveryInfo
    body_encoding: Literal["base64"]
    priority: Annotated[int, Field(ge=0, le=9)] | None = None


class _Envelope(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", populate_by_name=True)

    body: str
    content_type: Literal["application/json"] = Field(alias="content-type")
    content_encoding: Literal["utf-8"] = Field(alias="content-encoding")
    headers: _Headers
    properties: _Properties


# (args, kwargs, embedded): only ids and ISO strings are sent.
_Body = tuple[
    Annotated[list[Word], Field(max_length=4)],
    Annotated[dict[str, Any], Field(max_length=0)],
    dict[Word, None],
]
_BODY: TypeAdapter[Any] = TypeAdapter(_Body)


def find_fault(content: bytes) -> str | None:
    """Return what is wrong with a message as it came from a queue; None where nothing is.

    It is parsed in the same way as by kombu, so that what is checked here is what is used later.
    """
    if len(content) > MOST_BYTES:
        return f"it has {len(content):,} bytes, and may have {MOST_BYTES:,}"
    try:
        envelope = _Envelope.model_validate(loads(content.decode()))
        body = loads(b64decode(envelope.body, validate=True).decode())
        _BODY.validate_python(tuple(body) if isinstance(body, list) else body, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part)[:QUOTED] for part in first["loc"][:4])
        return f"{where}: {first['msg'][:QUOTED]}"
    except RecursionError:
        return "it is nested too deeply"
    except Exception as error:  # noqa: BLE001 - kombu's decoder raises what the types in it raise
        return f"{type(error).__name__}: {str(error)[:QUOTED]}"
    return None
