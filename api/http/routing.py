"""Routes whose address builders are compiled only when needed, since most addresses are never
built.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

from werkzeug.routing import Rule


class LazyRule(Rule):
    """A route that compiles the builder of its address when an address is first asked for.

    Werkzeug compiles two functions for each route when it is added, which took most of the time of
    creating the application.
    """

    def _compile_builder(
        self,
        append_unknown: bool = True,  # noqa: FBT001, FBT002 - werkzeug calls it so
    ) -> Callable[..., tuple[str, str]]:
        compile_now = cache(partial(super()._compile_builder, append_unknown))

        def build(rule: Rule, /, **values: Any) -> tuple[str, str]:
            return compile_now()(rule, **values)

        return build
