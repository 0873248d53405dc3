"""The HTTP API: it validates, enqueues and reads back.

It computes nothing, and never loads the numeric stack.
"""

from api.app import create_app

__all__ = ["create_app"]
