"""Groups: which ticker is of which industry, sector and market."""

from apiflask import APIBlueprint

from alerts.groups import check_groups
from api.http.auth import needs_scope
from api.http.bodies import MIB, takes_body
from api.http.notes import change_noted
from api.http.paging import Listed, ask_page
from api.http.state import get_database
from api.schemas.groups import GroupPage, GroupQuery, GroupsAnswer, GroupsBody
from records.alerts import groups as stored
from records.alerts.documents import GroupDocument
from records.database import Document
from records.keyset import BY_ID

groups = APIBlueprint("groups", __name__, tag="groups")

EXAMPLE = {
    "groups": [
        {"child": "AAPL", "child_type": "ticker", "parent": "Technology", "parent_type": "sector"},
        {"child": "Technology", "child_type": "sector", "parent": "US", "parent_type": "market"},
    ]
}
NAMED_PROBLEMS = 100


@groups.get("/groups")
@groups.input(GroupQuery, location="query")
@groups.output(GroupPage)
def list_groups(query_data: GroupQuery) -> Listed[GroupDocument]:
    """List the groups that were brought; while there are none, the demo's tickers have theirs."""
    page = ask_page(query_data, BY_ID)
    found = stored.list_groups(get_database(), after=page.after, limit=page.limit)
    return page.build(found)


@groups.put("/groups")
@needs_scope("admin")
@takes_body(most_bytes=16 * MIB)
@groups.input(GroupsBody, example=EXAMPLE)
@groups.output(GroupsAnswer)
def replace_groups(json_data: GroupsBody) -> Document:
    """Put these groups in the place of all; say what is wrong with them."""
    rows = [
        stored.build_group(g.child, g.child_type, g.parent, g.parent_type, g.source)
        for g in json_data.groups
    ]
    database = get_database()
    change_noted(
        lambda session: stored.replace_groups(database, rows, session),
        "change",
        "groups",
        {"groups": len(rows)},
    )
    return {"groups": len(rows), "problems": check_groups(rows)[:NAMED_PROBLEMS]}
