"""The OpenAPI document, for tests of each of its routes. It is created once, because that takes a
second or two.
"""

from typing import Any

from api import create_app
from core.settings import Settings

DOCUMENT: Any = create_app(Settings(_env_file=None)).spec
