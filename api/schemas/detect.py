"""What a detection answers whose caller waited."""

from pydantic import BaseModel, Field

from api.schemas.alerts import Alert
from api.schemas.anomalies import Anomaly


class Detected(BaseModel):
    """What was looked at, and what is strange."""

    run_id: str
    status: str = Field(description="how the run ended", examples=["complete"])
    total_entities_checked: int
    anomalies_detected: int
    critical_count: int
    high_count: int
    medium_count: int
    low_count: int
    warnings: list[str] = Field(
        description="among others, how many anomalies of old bars raised no alert"
    )
    alerts: list[Alert] = Field(
        description="what was raised, or added to, 1,000 at the most; none where nothing is stored"
    )
    anomalies: list[Anomaly] = Field(description="the strangest first, 1,000 at the most")
    execution_time_ms: float = Field(description="from the request to the last alert")
