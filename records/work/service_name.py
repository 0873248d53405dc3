"""What this service is known by to others that use the same Redis."""

from typing import Any
from uuid import uuid4

from pymongo import ReturnDocument

from records.database import Db

SERVICE = "service"


def get_service_name(database: Db) -> str:
    """Return the name that this database was given when it was first asked for."""
    found: Any = database.settings.find_one_and_update(
        {"_id": SERVICE},
        {"$setOnInsert": {"name": uuid4().hex}},
        upsert=True,
        return_document=ReturnDocument.AFTER,
    )
    return str(found["name"])
