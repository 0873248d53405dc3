"""Which table has what columns and rows."""

from collections.abc import Callable

from core.errors import BadInput
from core.moments import check_order
from market.exports.bar_tables import open_bars
from market.exports.finding_tables import (
    open_alerts,
    open_analytics,
    open_anomalies,
    open_labels,
    open_scores,
)
from market.exports.tables import Asked, Table, TableName
from market.exports.tick_tables import open_funding, open_trades
from records.database import Db

WIDE = ("bars", "scores", "features", "analytics")

_OPENERS: dict[TableName, Callable[[Db, Asked], Table]] = {
    "bars": open_bars,
    "anomalies": open_anomalies,
    "scores": open_scores,
    "analytics": open_analytics,
    "alerts": open_alerts,
    "labels": open_labels,
    "trades": open_trades,
    "funding": open_funding,
}


# What some tables alone are narrowed or changed by.
_TAKEN: dict[str, tuple[TableName, ...]] = {
    "severity": ("anomalies",),
    "kind": ("anomalies",),
    "scope": ("anomalies",),
    "run_id": ("scores",),
    "adjusted": ("bars",),
}


def check_asked(asked: Asked) -> None:
    """Raise BadInput where a table cannot be laid out as it is asked for, or knows nothing of what
    is to narrow it.
    """
    for name, tables in _TAKEN.items():
        if getattr(asked, name) and asked.table not in tables:
            raise BadInput(f"`{name.removesuffix('_id')}` is of {tables[0]}, not of {asked.table}")
    check_order(asked.start, asked.end)
    if asked.layout == "wide" and asked.table not in WIDE:
        raise BadInput(f"{asked.table} have one layout, long; wide there are {', '.join(WIDE)}")


def open_table(database: Db, asked: Asked) -> Table:
    """Return the table that is asked for; its rows are read as they are taken.

    Features are none of these: they take a model (`detection/feature_table.py`). Raises BadInput
    where it cannot be had so.
    """
    check_asked(asked)
    return _OPENERS[asked.table](database, asked)
