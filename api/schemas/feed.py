"""How far the feed was stored."""

from datetime import datetime

from pydantic import BaseModel, Field

from api.schemas.common import Record


class ProducerPosition(Record):
    """A producer's last message that was stored."""

    seq: int = Field(description="its number: what is sent again begins behind it")
    sent: int = Field(description="when it was sent, in milliseconds since 1970")


class FeedPosition(Record):
    """How far one stream was stored, and what it brought."""

    stream: str = Field(examples=["tw:feed:0"])
    last_id: str = Field(description="the last entry that was stored", examples=["1767614400000-0"])
    producers: dict[str, ProducerPosition] = Field(description="by name")
    consumer: str | None = Field(description="who stores it: host and process; null: nobody")
    records: int = Field(description="how many records came, those kept aside among them")
    rejected: int = Field(description="how many records and messages were kept aside")
    doubles: int = Field(description="how many messages had been stored before")
    missing: int = Field(
        0, description="how many numbers of producers never came: the bus lost their messages"
    )
    entries: int = Field(description="how many messages came")
    runs: int = Field(description="how many detections closed candles started")
    lag_entries: int = Field(description="how many messages waited when it was last looked at")
    lag_seconds: float = Field(description="for how long the oldest of them had")
    seen_at: datetime | None = Field(description="when that was; null: never")
    committed_at: datetime | None


class FeedPositions(BaseModel):
    """How far each stream of the feed was stored."""

    streams: list[FeedPosition]
