"""Groups: which ticker is of which industry, sector and market."""

from typing import Annotated

from pydantic import BaseModel, Field

from api.schemas.common import Body, Page, PageQuery, Record
from core.words import GroupType

MOST_GROUPS = 50_000
GroupName = Annotated[str, Field(min_length=1, max_length=100, examples=["Technology"])]


class GroupBody(Body):
    """One edge: what belongs to what."""

    child: GroupName
    child_type: GroupType
    parent: GroupName
    parent_type: GroupType
    source: GroupName = "api"


class GroupsBody(Body):
    """All edges; they take the place of those that were there."""

    groups: list[GroupBody] = Field(max_length=MOST_GROUPS)


class GroupsAnswer(BaseModel):
    """How many are stored, and what is wrong with them; they are walked all the same."""

    groups: int
    problems: list[str] = Field(
        description="circles, parents that lead nowhere, tickers in two sectors; 100 at the most"
    )


class Group(Record):
    """One edge."""

    child: str
    child_type: GroupType
    parent: str
    parent_type: GroupType
    source: str


class GroupPage(Page[Group]):
    """Edges by child."""


class GroupQuery(PageQuery):
    """How much of the list."""
