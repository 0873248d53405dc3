"""Tenants: one place, the database handle, keeps their data apart.

Code that works for a tenant gets `of_tenant(database, name)` in place of the database. On that
handle the collections in `OWN` are the tenant's own, and of the collections in `PARTED` only the
tenant's documents are read, changed or written. So no query can forget the filter. All other
collections (bars, series, models, anomalies, metrics) are shared.

The default tenant's collections have plain names, and its documents have no tenant, so that an
installation without tenants looks as if there were none. The plain database, as workers have it,
is the operator's: it has the default tenant's collections, and the runs and keys of all tenants.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn, TypedDict, cast

from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from core.errors import BadInput, Conflict, NotFound
from records.database import Db, Document, Query

DEFAULT_TENANT = "default"
NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
# Each tenant has these collections to itself.
OWN = frozenset(
    {
        "alert_history",
        "alert_trail",
        "alerts",
        "deliveries",
        "labels",
        "mutes",
        "notification_rules",
        "watchlists",
    }
)
# Workers and the API read these collections for all tenants, so they are not split by tenant.
PARTED = frozenset({"api_keys", "detection_runs"})
# The settings have a document of each tenant that was erased.
_ERASED = "erased_tenant::"


class TenantDocument(TypedDict):
    """A tenant, under its name."""

    _id: str
    created_at: datetime


class TenantDatabase(Database[Any]):
    """The service's database as one tenant sees it."""

    def __init__(self, whole: Db, tenant: str, **options: Any) -> None:
        chosen: dict[str, Any] = {
            "codec_options": whole.codec_options,
            "read_preference": whole.read_preference,
            "write_concern": whole.write_concern,
            "read_concern": whole.read_concern,
            **{name: value for name, value in options.items() if value is not None},
        }
        super().__init__(whole.client, whole.name, **chosen)
        self.tenant = tenant
        self._made: dict[str, Collection[Any]] = {}

    def __getitem__(self, name: str) -> Collection[Any]:
        """Return a collection: the tenant's own, its part of one, or a shared one."""
        if name not in self._made:
            self._made[name] = self.get_collection(name)
        return self._made[name]

    def get_collection(self, name: str, **options: Any) -> Collection[Any]:  # type: ignore[override]
        """Return a collection, as by its name."""
        if name in PARTED:
            return _Part(self, name, **options)
        return Collection(self, name_collection(self.tenant, name), **options)

    def with_options(self, **options: Any) -> "TenantDatabase":  # type: ignore[override]
        """Return the same tenant's database with other options."""
        return TenantDatabase(self, self.tenant, **options)


class _Part(Collection[Any]):
    """The documents of a collection that belong to one tenant."""

    def __init__(self, database: TenantDatabase, name: str, **options: Any) -> None:
        super().__init__(database, name, **options)
        # Documents of the default tenant have no such field, which null matches.
        tenant = None if database.tenant == DEFAULT_TENANT else database.tenant
        self._own: Query = {"tenant": tenant}

    @property
    def own(self) -> Query:
        """Return the query that the tenant's documents match."""
        return self._own

    def _narrow(self, query: Query | None) -> Query:
        return {**(query or {}), **self._own}

    def _mark(self, document: Document) -> Document:
        return document if self._own["tenant"] is None else {**document, **self._own}

    def find(self, filter: Query | None = None, *args: Any, **kwargs: Any) -> Any:  # noqa: A002
        return super().find(self._narrow(filter), *args, **kwargs)

    def aggregate(self, pipeline: Sequence[Query], *args: Any, **kwargs: Any) -> Any:
        return super().aggregate(narrow(self, pipeline), *args, **kwargs)

    def count_documents(self, filter: Query, *args: Any, **kwargs: Any) -> int:  # noqa: A002
        return super().count_documents(self._narrow(filter), *args, **kwargs)

    def distinct(self, key: str, filter: Query | None = None, *args: Any, **kwargs: Any) -> Any:  # noqa: A002
        return super().distinct(key, self._narrow(filter), *args, **kwargs)

    def insert_one(self, document: Any, *args: Any, **kwargs: Any) -> Any:
        return super().insert_one(self._mark(document), *args, **kwargs)

    def insert_many(self, documents: Any, *args: Any, **kwargs: Any) -> Any:
        return super().insert_many([self._mark(each) for each in documents], *args, **kwargs)

    def update_one(self, filter: Query, *args: Any, **kwargs: Any) -> Any:  # noqa: A002
        return super().update_one(self._narrow(filter), *args, **kwargs)

    def update_many(self, filter: Query, *args: Any, **kwargs: Any) -> Any:  # noqa: A002
        return super().update_many(self._narrow(filter), *args, **kwargs)

    def replace_one(self, filter: Query, replacement: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: A002
        return super().replace_one(self._narrow(filter), self._mark(replacement), *args, **kwargs)

    def delete_one(self, filter: Query, *args: Any, **kwargs: Any) -> Any:  # noqa: A002
        return super().delete_one(self._narrow(filter), *args, **kwargs)

    def delete_many(self, filter: Query, *args: Any, **kwargs: Any) -> Any:  # noqa: A002
        return super().delete_many(self._narrow(filter), *args, **kwargs)

    def find_one_and_update(self, filter: Query, *args: Any, **kwargs: Any) -> Any:  # noqa: A002
        return super().find_one_and_update(self._narrow(filter), *args, **kwargs)

    def find_one_and_delete(self, filter: Query, *args: Any, **kwargs: Any) -> Any:  # noqa: A002
        return super().find_one_and_delete(self._narrow(filter), *args, **kwargs)

    def find_one_and_replace(self, filter: Query, *args: Any, **kwargs: Any) -> Any:  # noqa: A002
        return super().find_one_and_replace(self._narrow(filter), *args, **kwargs)

    def with_options(self, *args: Any, **options: Any) -> "_Part":
        whole = super().with_options(*args, **options)
        chosen = {
            "codec_options": whole.codec_options,
            "read_preference": whole.read_preference,
            "write_concern": whole.write_concern,
            "read_concern": whole.read_concern,
        }
        return _Part(cast("TenantDatabase", self.database), self.name, **chosen)

    def bulk_write(self, *_: Any, **__: Any) -> NoReturn:
        self._refuse("bulk_write")

    def estimated_document_count(self, *_: Any, **__: Any) -> NoReturn:
        self._refuse("estimated_document_count")

    def _refuse(self, name: str) -> NoReturn:
        raise TypeError(f"{name} of {self.name} is not kept to one tenant; use another method")


def narrow(collection: Collection[Any], stages: Sequence[Query]) -> list[Query]:
    """Return the stages of a pipeline, restricted to the documents that the collection's
    tenant sees.
    """
    return [{"$match": collection.own}, *stages] if isinstance(collection, _Part) else [*stages]


def of_tenant(database: Db, tenant: str | None) -> Db:
    """Return the database as a tenant sees it; None is the default tenant."""
    return TenantDatabase(database, tenant or DEFAULT_TENANT)


def of_owner(database: Db, document: Mapping[str, Any]) -> Db:
    """Return the database as the owner of a document, such as a run, sees it."""
    return of_tenant(database, document.get("tenant"))


def each_tenant(database: Db) -> Iterator[Db]:
    """Yield the database as each tenant sees it, the default one first."""
    yield of_tenant(database, DEFAULT_TENANT)
    for tenant in find_tenants(database):
        yield of_tenant(database, tenant["_id"])


def get_tenant(database: Db) -> str | None:
    """Return the tenant of a handle; None for the operator and for the default tenant."""
    tenant = database.tenant if isinstance(database, TenantDatabase) else DEFAULT_TENANT
    return None if tenant == DEFAULT_TENANT else tenant


def qualify(tenant: str | None, name: str) -> str:
    """Return a name that is unique among all tenants: `tech`, `acme/tech`."""
    return name if tenant in {None, DEFAULT_TENANT} else f"{tenant}/{name}"


def split_name(name: str) -> tuple[str | None, str]:
    """Return the tenant, None for the default one, and the name of a qualified name."""
    tenant, slash, own = name.rpartition("/")
    return (tenant, own) if slash and NAME.fullmatch(tenant) else (None, name)


def name_collection(tenant: str | None, name: str) -> str:
    """Return the name of a tenant's collection in MongoDB."""
    is_shared = name not in OWN or tenant in {None, DEFAULT_TENANT}
    return name if is_shared else f"tenants.{tenant}.{name}"


def tenants_in(database: Db) -> Collection[TenantDocument]:
    """Return the collection of tenants."""
    return database.tenants


def find_tenants(database: Db) -> list[TenantDocument]:
    """Return the tenants beside the default one, by name."""
    return list(tenants_in(database).find().sort("_id", 1))


def check_tenant(database: Db, name: str) -> None:
    """Raise NotFound, which names the tenants, where there is none of this name."""
    known = [DEFAULT_TENANT, *(tenant["_id"] for tenant in find_tenants(database))]
    if name not in known:
        raise NotFound(
            f"there is no tenant {name[:40]!r}; there are: {', '.join(known)}. `flask tenants add`"
            " makes one"
        )


def add_tenant(database: Db, name: str, now: datetime) -> None:
    """Store a tenant. Raises BadInput on a bad name, and Conflict on a name in use.

    What a request or a task still wrote for a tenant of this name that was being erased is removed
    first: the new tenant is another.
    """
    if NAME.fullmatch(name) is None:
        raise BadInput(
            f"{name[:40]!r} cannot name a tenant: small letters, digits and -, at most 32, a letter"
            " first"
        )
    if name == DEFAULT_TENANT:
        raise Conflict("the tenant 'default' is there already")
    erased = {"_id": f"{_ERASED}{name}"}
    # An erasure that was interrupted may have left the tenant, with what it has.
    is_there = tenants_in(database).find_one({"_id": name})
    if not is_there and database.settings.find_one(erased):
        _remove_own(database, name)
        database.settings.delete_one(erased)
    try:
        tenants_in(database).insert_one({"_id": name, "created_at": now})
    except DuplicateKeyError as error:
        raise Conflict(f"there is a tenant named {name!r} already") from error


def export_tenant(database: Db, name: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Yield everything that belongs to a tenant, as collection and document, without hashes of
    keys.

    Raises NotFound.
    """
    check_tenant(database, name)
    own = of_tenant(database, name)
    for collection in (*sorted(OWN), *sorted(PARTED)):
        for document in own[collection].find({}, {"sha256": 0}):
            yield collection, document


def check_erasable(database: Db, name: str) -> None:
    """Raise what `erase_tenant` would raise, before a user is asked to confirm it."""
    if name == DEFAULT_TENANT:
        raise BadInput("the default tenant cannot be erased: it is the installation itself")
    check_tenant(database, name)
    keys: Collection[Any] = database.api_keys
    if keys.find_one({"tenant": name}) and not keys.find_one({"tenant": {"$ne": name}}):
        raise Conflict(
            f"nobody but {name!r} has API keys, and without any the service is open to all on this"
            " machine; first make another: `flask keys create NAME --scope admin`"
        )


def erase_tenant(database: Db, name: str, now: datetime) -> dict[str, int]:
    """Remove a tenant and everything that belongs to it; return how many documents, by collection.

    Its keys are revoked first, and its open runs are cancelled. Raises NotFound, BadInput for the
    default tenant, and Conflict where no other tenant has or had a key: with no key left in the
    database, access would be open again.
    """
    check_erasable(database, name)
    own = of_tenant(database, name)
    own.api_keys.update_many({"revoked_at": None}, {"$set": {"revoked_at": now}})
    own.detection_runs.update_many({"completed_at": None}, {"$set": {"cancel_requested": True}})
    database.settings.update_one(
        {"_id": f"{_ERASED}{name}"}, {"$set": {"erased_at": now}}, upsert=True
    )
    counts = _remove_own(database, name)
    tenants_in(database).delete_one({"_id": name})
    return counts


def _remove_own(database: Db, name: str) -> dict[str, int]:
    """Remove what belongs to a tenant; return how many documents, by collection."""
    own, counts = of_tenant(database, name), {}
    # Alerts would be raised of events that wait.
    database.outbox.delete_many({"tenant": name})
    for collection in sorted(OWN):
        counts[collection] = own[collection].count_documents({})
        own[collection].drop()
    # Audits stay, without the tenant: they are the record of anomalies and watermarks, which are
    # shared.
    audits = {"tenant": name, "run_id": {"$exists": True}}
    database.detection_runs.update_many(audits, {"$unset": {"tenant": ""}})
    for collection in sorted(PARTED):
        counts[collection] = own[collection].delete_many({}).deleted_count
    return counts
