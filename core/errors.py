"""Every error that Tapewatch raises on purpose, in one tree.

A message says what was asked, what was found and what to do. `api/http/errors.py` maps the classes
to HTTP statuses, the command line exits with 2 on `BadInput`, and tasks retry exactly the
`Transient` branch.
"""

LONGEST_MESSAGE = 2_000


class TapewatchError(Exception):
    """An error that this service can explain.

    `reason` is a stable word that clients can switch on; `details` are further facts for them, such
    as the `run_id` of a run that is in the way. A very long message is cut, as messages are stored,
    logged and sent.
    """

    reason = "error"

    def __init__(self, message: str, *, reason: str | None = None, **details: object) -> None:
        if len(message) > LONGEST_MESSAGE:
            message = f"{message[:LONGEST_MESSAGE]}..."
        super().__init__(message)
        self.message = message
        self.details = details
        if reason is not None:
            self.reason = reason


class BadInput(TapewatchError):
    """The caller's value cannot be used; nothing was written."""

    reason = "bad_input"


class NothingNamed(BadInput):
    """The request does not say what it is about."""

    reason = "nothing_named"


class ScopeMissing(TapewatchError):
    """The key of the request may not do what this request would do."""

    reason = "scope_missing"


class NotFound(TapewatchError):
    """Something that was asked for by name does not exist."""

    reason = "not_found"


class Conflict(TapewatchError):
    """The request is valid, but cannot be done in the present state."""

    reason = "conflict"


class VersionMoved(Conflict):
    """The document has changed since the caller read it."""

    reason = "version_moved"


class NoModel(Conflict):
    """A market, watchlist or ticker has no champion model."""

    reason = "no_model"


class ModelIntegrity(TapewatchError):
    """A stored model artefact is missing, cut short or altered; it was not opened."""

    reason = "model_integrity"


class DatabaseUnfit(TapewatchError):
    """The database is not in the state that this code needs; the message says how to upgrade it."""

    reason = "database_unfit"


class SeriesError(TapewatchError):
    """One series cannot be detected; the rest of its batch goes on."""

    reason = "series_error"


class TooMuchAtOnce(TapewatchError):
    """Too much for one transaction; with less at once it may succeed."""

    reason = "too_much_at_once"


class Cancelled(TapewatchError):
    """The run was cancelled while its batch was at work."""

    reason = "cancelled"


class LeaseLost(TapewatchError):
    """Another worker holds the batch now; this one must write nothing."""

    reason = "lease_lost"


class Transient(TapewatchError):
    """A server did not answer; the same call may succeed later."""

    reason = "transient"


class Busy(Transient):
    """More is being sent than can be stored; the same call may succeed when there is less load."""

    reason = "busy"


class ServerUnreachable(Transient):
    """MongoDB or Redis could not be reached."""

    reason = "server_unreachable"


class ServerProblem(TapewatchError):
    """An embedded server cannot be started; the message says what is missing and how to get it."""

    reason = "server_problem"


def explain_forbidden(error: OSError) -> str:
    """Return what to do where the service's folder cannot be used, as after a start by `sudo`."""
    place = f"{error.filename}: " if error.filename else ""
    return (
        f"{place}{error.strerror}. Work in a folder that is yours; where another user started the"
        " service here, work as that user, or give its .tapewatch to yourself (chown -R)"
    )
