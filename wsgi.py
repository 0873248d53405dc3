"""Where gunicorn (`wsgi:app`) and the `flask` command find the application."""

from api import create_app
from cli import register_commands
from core.logs import configure_logs
from core.settings import get_settings

configure_logs(get_settings().log_level)
app = create_app(get_settings())
register_commands(app)
