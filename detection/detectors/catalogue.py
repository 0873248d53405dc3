"""The detectors that there are, one row each."""

from core.errors import BadInput
from detection.detectors.contract import DetectorKind, Parameter

DETECTORS: dict[str, DetectorKind] = {
    kind.name: kind
    for kind in (
        DetectorKind(
            name="isolation_forest",
            feature_set="events/1",
            intraday_feature_set="time_of_day/2",
            parameters={
                "trees": Parameter(100, 1, 1_000, "how many trees"),
                # A perfect tree over 16,384 rows has 14 levels; deeper ones would not fit a cache.
                "sample": Parameter(512, 2, 16_384, "rows that each tree is grown from"),
            },
            # Of such a forest a model has some 50 MB.
            most_product=1_000_000,
            warm_up_bars=0,
            score_range=(-1.0, 0.0),
            module="detection.detectors.isolation_forest",
        ),
    )
}
DEFAULT_DETECTOR = "isolation_forest"
# Two detectors that have a parameter of one name mean the same by it.
PARAMETERS: dict[str, Parameter] = {
    name: parameter for kind in DETECTORS.values() for name, parameter in kind.parameters.items()
}


def get_detector(name: str) -> DetectorKind:
    """Return a detector's row. Raises BadInput with the choices."""
    if name not in DETECTORS:
        raise BadInput(
            f"no detector {name[:40]!r}; choose one of {', '.join(DETECTORS)}",
            reason="unknown_detector",
        )
    return DETECTORS[name]
