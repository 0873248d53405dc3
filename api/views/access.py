"""Access: what a key may do, so that a page offers no more than that."""

from apiflask import APIBlueprint

from api.http.auth import get_person, get_scopes
from api.http.state import get_database
from api.schemas.access import Access
from records.tenancy import get_tenant

access = APIBlueprint("access", __name__, tag="access")


@access.get("/access")
@access.output(Access)
def get_access() -> Access:
    """Say whose key this is, and what it may do; of open access, everything."""
    return Access(name=get_person(), scopes=get_scopes(), tenant=get_tenant(get_database()))
