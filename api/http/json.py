"""Reading JSON strictly, and writing it with pydantic's own encoder:
bars and anomalies in a tenth of the time.
"""

from typing import Any

from flask.json.provider import DefaultJSONProvider
from pydantic_core import PydanticSerializationError, to_json

from api.http.repeated import refuse_repeated_names


class JsonProvider(DefaultJSONProvider):
    """What Flask reads and writes JSON with."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """Return an object as JSON; a number that JSON has no word for is null."""
        try:
            return to_json(obj, indent=kwargs.get("indent"), inf_nan_mode="null").decode()
        except (
            PydanticSerializationError
        ):  # half a character, which somebody sent, is no UTF-8, but can be escaped
            return super().dumps(obj, **kwargs)

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Return what a JSON text says.

        Raises ValueError where an object has two members of a name, or it is nested deeper than
        anybody needs.
        """
        try:
            return super().loads(s, **{"object_pairs_hook": refuse_repeated_names} | kwargs)
        except RecursionError as error:
            raise ValueError("it is nested too deep") from error
