"""Makes settled tables from the answers of the reading process."""

import numpy as np
import pyarrow as pa

from market.imports.readers.child import NUMBER, WRITTEN
from market.imports.readers.process import Part
from market.imports.settled import Settled
from market.imports.times.read import ReadTimes


def unpack(part: Part) -> Settled:
    """Return the table of a part that has one."""
    with pa.ipc.open_stream(pa.py_buffer(part.body)) as stream:
        table = stream.read_all()
    columns = dict(zip(table.column_names, table.columns, strict=True))
    arrays = {
        name: column.to_numpy() for name, column in columns.items() if not name.startswith(WRITTEN)
    }
    empty = arrays.get("empty_volumes")
    return Settled(
        {
            name.removeprefix(WRITTEN): column
            for name, column in columns.items()
            if name.startswith(WRITTEN)
        },
        {
            name.removeprefix(NUMBER): values
            for name, values in arrays.items()
            if name.startswith(NUMBER)
        },
        ReadTimes(
            arrays["seconds"],
            arrays["zoned"].astype(np.bool_),
            arrays["bad"].astype(np.bool_),
            labels=part.head["labels"],
        ),
        arrays["rows"],
        None if empty is None else empty.astype(np.bool_),
        part.head["names"],
        part.head["aside"],
        part.head["notes"],
        part.head["ticker"],
        part.head["title"],
    )
