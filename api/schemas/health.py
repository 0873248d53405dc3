"""Health."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

HealthStatus = Literal["ok", "degraded", "unavailable"]
PartState = Literal["ok", "warning", "failed", "unused"]


class ServerHealth(BaseModel):
    """One server as this process sees it."""

    ok: bool = Field(examples=[True])
    detail: str | None = Field(None, description="what it said, where it is not well")


class Health(BaseModel):
    """How the service is."""

    status: HealthStatus = Field(
        description=(
            "degraded: work is accepted but will wait; unavailable: nothing can be accepted"
        ),
        examples=["ok"],
    )
    version: str = Field(examples=["0.1.0"])
    build: str = Field(
        description="another word for other code: a page of another one is to be loaded anew",
        examples=["1f0c3a5be2d7"],
    )
    access: Literal["open", "keys", "unknown"] = Field(
        description=(
            "open: whoever is on this machine may ask for anything, as no API key was made yet"
        ),
        examples=["open"],
    )
    mongodb: ServerHealth
    redis: ServerHealth
    workers: ServerHealth = Field(description="ok: every queue has a worker that consumes it")
    sweeper: ServerHealth = Field(description="ok: it swept a short while ago, so beat ticks")
    scheduler: ServerHealth = Field(
        description="ok: it looked for watchlists that are due a short while ago"
    )
    flower_url: str | None = Field(
        None, description="where a browser finds Flower; null: the settings do not say"
    )
    oldest_pending_seconds: float | None = Field(
        None,
        description="for how long the run or batch has waited that waits longest; null: none waits",
    )


class Part(BaseModel):
    """One part of the service."""

    name: str = Field(examples=["Workers of backfill"])
    state: PartState = Field(examples=["ok"])
    found: str = Field(examples=["1 answering, with 2 processes"])
    todo: str | None = Field(None, description="what to do about it; null: nothing")
    since: datetime | None = Field(None, description="since when it is so; null: not known")
    is_first_seen: bool = Field(
        default=False,
        description="true: `since` is when a look first found it so; it may have been so before",
    )


class Parts(BaseModel):
    """The parts of the service, in the order in which to look at them."""

    parts: list[Part]


class Alive(BaseModel):
    """A process that answers."""

    status: Literal["ok"] = "ok"
