"""Where gunicorn (`wsgi:app`) and the `flask` command find the application."""

import gc
import sys

# What is loaded stays: looking through it meanwhile, again and again, is a sixth of a start.
gc.disable()

from api import create_app  # noqa: E402 - see above
from cli import register_commands  # noqa: E402
from core.errors import BadInput  # noqa: E402
from core.logs import configure_logs  # noqa: E402
from core.settings import get_settings  # noqa: E402

try:
    settings = get_settings()
except BadInput as error:
    sys.exit(f"Error: {error.message}")
configure_logs(settings.log_level)
app = create_app(settings)
register_commands(app)
gc.freeze()
gc.enable()
