"""Model versions: `US_model-0.2.1` is the market, then a semantic version."""

import re
from dataclasses import dataclass
from typing import Literal, Self

from core.errors import BadInput

Change = Literal["major", "minor", "patch"]
_PATTERN = re.compile(
    r"(?P<market>[A-Z][A-Z0-9]{1,7})_model-(?P<major>\d{1,6})\.(?P<minor>\d{1,6})\.(?P<patch>\d{1,6})"
)


@dataclass(frozen=True, slots=True, order=True)
class ModelVersion:
    """A version of a market's model; versions of one market are ordered by age."""

    market: str
    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.market}_model-{self.major}.{self.minor}.{self.patch}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a version. Raises BadInput."""
        found = _PATTERN.fullmatch(text)
        if found is None:
            raise BadInput(
                f"{text!r} is no model version; they look like US_model-0.1.0 (`flask models list`)"
            )
        return cls(found["market"], int(found["major"]), int(found["minor"]), int(found["patch"]))

    @classmethod
    def first(cls, market: str) -> Self:
        """Return the version of a market's first model."""
        return cls(market, 0, 1, 0)

    def bump(self, change: Change) -> "ModelVersion":
        """Return the next version: a major one for another feature set, a minor one for other
        parameters, else a patch.
        """
        match change:
            case "major":
                return ModelVersion(self.market, self.major + 1, 0, 0)
            case "minor":
                return ModelVersion(self.market, self.major, self.minor + 1, 0)
            case "patch":
                return ModelVersion(self.market, self.major, self.minor, self.patch + 1)
