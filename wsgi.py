"""Where gunicorn (`wsgi:app`) and the `flask` command find the application."""

import gc
import sys

# What is loaded stays: looking through it meanwhile, again and again, is a sixth of a start.
gc.disable()

import click  # noqa: E402 - see above
from flask import Flask  # noqa: E402
from flask.cli import ScriptInfo  # noqa: E402

from cli import register_commands  # noqa: E402
from core.errors import BadInput  # noqa: E402
from core.logs import configure_logs  # noqa: E402
from core.settings import Settings, get_settings  # noqa: E402


def create(settings: Settings) -> Flask:
    """Create the API or, where `flask` looks for one of our commands, an application with these
    alone: to load the API takes longer than most commands.
    """
    context = click.get_current_context(silent=True)
    # Other programs that load the API are made with click too, such as uvicorn.
    is_flask = context is not None and isinstance(context.obj, ScriptInfo)
    if is_flask and context.parent is None:
        return Flask(__name__)
    from api import create_app  # noqa: PLC0415 - only what is needed is loaded

    return create_app(settings)


try:
    settings = get_settings()
except BadInput as error:
    sys.exit(f"Error: {error.message}")
configure_logs(settings.log_level)
app = create(settings)
# The API has them too: the shell asks for what completes a command before there is a context.
register_commands(app)
gc.freeze()
gc.enable()
