"""Verifications: stored anomalies derived again."""

from datetime import datetime
from typing import Any

from pydantic import Field, model_validator

from api.schemas.common import Body, Page, PageQuery, Record, Ticker
from core.words import Cause, Verdict


class VerifyBody(Body):
    """Exactly one of these."""

    run_id: str | None = Field(
        None, min_length=1, max_length=64, description="all that this run was the first to find"
    )
    ticker: Ticker | None = None
    model_version: str | None = Field(None, min_length=1, max_length=64)
    anomaly_ids: list[str] | None = Field(None, min_length=1, max_length=1_000)

    @model_validator(mode="after")
    def _name_one(self) -> "VerifyBody":
        if len(self.model_dump(exclude_none=True)) != 1:
            raise ValueError("name exactly one of run_id, ticker, model_version and anomaly_ids")
        return self


class LibraryChange(Record):
    """A library whose version moved."""

    name: str = Field(examples=["numpy"])
    then: str | None = Field(None, examples=["2.4.6"])
    now: str = Field(examples=["2.5.0"])


class Verification(Record):
    """What became of one anomaly when it was derived again from today's bars."""

    anomaly_id: str
    verification_run_id: str
    verified_at: datetime
    verified: bool = Field(
        description="whether the model that found it gives the stored score on today's bars"
    )
    verdict: Verdict = Field(description="what today's champion says of it")
    cause: Cause | None = Field(None, description="what moved since")
    ticker: str
    interval: str
    time: datetime = Field(alias="datetime")
    original_model: str | None = None
    current_model: str | None = None
    original_score: float | None = None
    recomputed_score: float | None = Field(
        None, description="by the model that found it, from today's bars"
    )
    current_score: float | None = Field(None, description="by today's champion, from today's bars")
    original_features: dict[str, float | None] | None = None
    current_features: dict[str, float | None] | None = None
    data_changes: list[dict[str, Any]] = Field(
        default_factory=list, description="the bars that changed since"
    )
    feature_set: str = Field(description="what the model was shown", examples=["events/6"])
    code_changes: list[LibraryChange] = Field(
        default_factory=list,
        description="cause `code`: libraries of other versions than the model was trained under",
    )


class VerificationPage(Page[Verification]):
    """Verifications, by anomaly."""


class VerificationQuery(PageQuery):
    """Which verifications of a run."""

    verdict: Verdict | None = Field(
        None,
        description="`score_moved`: found again, with another score; `vanished`: not found again;"
        " `new`: found, and not stored",
    )
