"""Access."""

from pydantic import BaseModel, Field

from core.words import KeyScope


class Access(BaseModel):
    """What the key of this request may do."""

    name: str = Field(description="of the key", examples=["dashboard"])
    scopes: list[KeyScope] = Field(
        description="`admin` includes the others", examples=[["read", "enqueue"]]
    )
    tenant: str | None = Field(
        description="whose key it is; null: the default tenant's, whose `admin` also changes what"
        " all tenants share"
    )
