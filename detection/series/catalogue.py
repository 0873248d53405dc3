"""The catalogue of detectors of single series, one entry each."""

from collections.abc import Mapping
from dataclasses import replace
from math import isfinite
from typing import Any

from core.errors import BadInput
from detection.series import mad, moving_average, seasonal, simple, stream
from detection.series.contract import DIRECTIONS, Parameters, SeriesDetectorKind

KINDS: dict[str, SeriesDetectorKind] = {
    module.KIND.name: module.KIND for module in (simple, mad, moving_average, seasonal, stream)
}
DEFAULT = simple.KIND.name
LARGEST_K = 1e6
LEAST_LENGTH, LARGEST_LENGTH = 2, 100_000


def get_kind(name: str | None) -> SeriesDetectorKind:
    """Return the detector of a name, the default where none is named.

    Raises BadInput, which lists the names.
    """
    kind = KINDS.get(name or DEFAULT)
    if kind is None:
        raise BadInput(
            f"there is no detector {name!r}; there are {', '.join(KINDS)}",
            reason="unknown_detector",
        )
    return kind


def choose_parameters(
    kind: SeriesDetectorKind,
    *,
    k: float | None = None,
    direction: str | None = None,
    season: int | None = None,
    window: int | None = None,
) -> Parameters:
    """Return the given parameters, with the kind's defaults for the others.

    Raises BadInput where the detector has no such parameter, or its value cannot be used.
    """
    named: dict[str, Any] = {"k": k, "direction": direction, "season": season, "window": window}
    named = {name: value for name, value in named.items() if value is not None}
    foreign = [name for name in named if name not in kind.options]
    if foreign:
        raise BadInput(
            f"the detector {kind.name} has no {foreign[0]}; it takes"
            f" {', '.join(sorted(kind.options))}",
            reason="unknown_parameter",
        )
    _check_values(named)
    return replace(kind.defaults, **named)


def _check_values(named: Mapping[str, Any]) -> None:
    if "k" in named and not (isfinite(named["k"]) and 0 < named["k"] <= LARGEST_K):
        raise BadInput(
            f"k is {named['k']:g}; it must be above 0 and at most {LARGEST_K:g}", reason="bad_k"
        )
    if "direction" in named and named["direction"] not in DIRECTIONS:
        raise BadInput(
            f"direction {named['direction'][:40]!r} is none of {', '.join(DIRECTIONS)}",
            reason="bad_direction",
        )
    for name in ("season", "window"):
        if name in named and not LEAST_LENGTH <= named[name] <= LARGEST_LENGTH:
            raise BadInput(
                f"{name} is {named[name]}; it must be from {LEAST_LENGTH} to {LARGEST_LENGTH:,}"
                " points",
                reason=f"bad_{name}",
            )
