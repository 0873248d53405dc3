"""Where gunicorn (`wsgi:app`) and the `flask` command find the application."""

import sys

from api import create_app
from cli import register_commands
from core.errors import BadInput
from core.logs import configure_logs
from core.settings import get_settings

try:
    settings = get_settings()
except BadInput as error:
    sys.exit(f"Error: {error.message}")
configure_logs(settings.log_level)
app = create_app(settings)
register_commands(app)
