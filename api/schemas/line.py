"""LINE Login: how a person ties themselves to a notification rule."""

from datetime import datetime

from pydantic import BaseModel, Field

from api.schemas.common import Body, WatchlistName
from api.schemas.notifications import Rule


class LineBody(Body):
    """For which rule somebody logs in; one that is not there yet is made."""

    rule: WatchlistName = Field(description="its name")


class LineLogin(BaseModel):
    """Where to log in."""

    address: str = Field(description="the browser goes there, and comes back with code and state")
    expires_at: datetime


class LineCallbackBody(Body):
    """What LINE gave the browser on its way back."""

    code: str = Field(min_length=1, max_length=1_000)
    state: str = Field(min_length=1, max_length=2_000)


class LineTied(BaseModel):
    """Who is told by a rule from now on."""

    rule: Rule
    name: str | None = Field(description="as they call themselves on LINE")
    is_friend: bool | None = Field(
        description="whether the account that sends the messages is their friend: else none"
        " arrives; null where LINE did not say"
    )
