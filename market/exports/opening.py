"""Opens the table that an export asks for."""

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


# The tables to which each of these options applies.
_TAKEN: dict[str, tuple[TableName, ...]] = {
    "severity": ("anomalies",),
    "kind": ("anomalies",),
    "scope": ("anomalies",),
    "run_id": ("scores",),
    "adjusted": ("bars",),
}


def check_asked(asked: Asked) -> None:
    """Raise BadInput where a table does not have the layout, or an option, that is asked for."""
    for name, tables in _TAKEN.items():
        if getattr(asked, name) and asked.table not in tables:
            raise BadInput(
                f"`{name.removesuffix('_id')}` applies to {tables[0]}, not to {asked.table}"
            )
    check_order(asked.start, asked.end)
    if asked.layout == "wide" and asked.table not in WIDE:
        raise BadInput(f"{asked.table} have one layout, long; only {', '.join(WIDE)} can be wide")


def open_table(database: Db, asked: Asked) -> Table:
    """Return the table that is asked for; its rows are read from MongoDB as they are taken.

    The table of features is not opened here, as it needs a model (`detection/feature_table.py`).
    Raises as `check_asked`.
    """
    check_asked(asked)
    return _OPENERS[asked.table](database, asked)
