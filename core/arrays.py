"""The array types that packages pass to each other, and how compiled functions take them."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Bools = NDArray[np.bool_]
Column = TypeVar("Column", Float32, Float64, Int64)


def freeze(column: Column) -> Column:
    """Return a contiguous read-only view, the only kind of array that most compiled functions take.

    Columns read from the database are contiguous and read-only already.
    """
    view = np.ascontiguousarray(column).view()
    view.flags.writeable = False
    return view
