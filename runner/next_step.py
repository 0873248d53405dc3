"""Suggests the next step to a user who has started the service, by what is stored."""

from core.errors import BadInput, NoModel
from core.hosts import is_loopback
from core.settings import Settings
from detection.models.sealed import check_known
from detection.models.signing import find_signer, read_keys
from records.database import Db, open_database
from records.findings.watermarks import has_watermarks
from records.keys import has_keys
from records.market.series import list_markets
from records.models.artefacts import find_signature
from records.models.champions import ALL_MARKETS
from records.models.models import find_artefact_hashes, find_models
from records.work.watchlists import find_watchlists
from runner.service import api_url


def describe_next_step(settings: Settings) -> str:
    """Return which of key, models' key, bars, model, backfill and watchlist is missing first, with
    the command that makes it.
    """
    database = open_database(settings)
    with database.client:
        step = (
            _find_first_key(settings, database)
            or _find_refused_model(settings, database)
            or _find_step(database)
        )
    return f"Next, in another terminal: {step}" if step else f"See {api_url(settings)}/"


def _find_first_key(settings: Settings, database: Db) -> str | None:
    if is_loopback(settings.host) or has_keys(database):
        return None
    return (
        f"HOST={settings.host} lets other machines ask, and nobody gets in without a key:"
        " `.venv/bin/flask keys create NAME --scope admin` makes the first (`make key` before"
        " anything listens)."
    )


def _find_refused_model(settings: Settings, database: Db) -> str | None:
    """Return what to do where a model in use cannot be opened here, else None.

    Its signing key may be missing: the model is of another service on the same MongoDB, with its
    own file of keys, or of a backup without that file. Or the model is of an earlier version of the
    code, whose columns do not exist any more.
    """
    try:
        read_keys(settings)
    except BadInput as error:  # The service can start all the same.
        return f"what detects here fails: {error.message}"
    hashes = dict(find_artefact_hashes(database))
    for model in find_models(database, state="champion"):
        version = model["_id"]
        try:
            check_known(model)
        except NoModel as error:
            return f"what detects here fails: {error.message}"
        signature = find_signature(database, version)
        if find_signer(settings, version, hashes[version], signature) is None:
            return (
                f"the model in use {version} is signed by no key of this service, and what detects"
                " here fails of it: stop this, and bring the keys of whoever trained it, the file"
                " .tapewatch/artefact.keys or ARTEFACT_KEYS (services on one MongoDB need the"
                f" same); where they are lost, `.venv/bin/flask models train --market"
                f" {model['market']} --interval {model['interval']} --promote` puts a new one in"
                " its place."
            )
    return None


def _find_step(database: Db) -> str | None:
    markets = list_markets(database)
    if not markets:
        return (
            "`.venv/bin/flask bars import FOLDER` takes in your bars; `.venv/bin/flask bars demo`"
            " real ones to try it with."
        )
    champions = {model["market"] for model in find_models(database, state="champion")}
    missing = [] if ALL_MARKETS in champions else sorted({*markets} - champions)
    if missing:
        return f"`.venv/bin/flask models train --market {missing[0]}` makes the model of your bars."
    if not has_watermarks(database):
        return f"`.venv/bin/flask backfill run --market {markets[0]}` finds what was strange."
    if not find_watchlists(database, after=None, limit=1):
        return "a watchlist, made in the dashboard, is scanned whenever its market closes a bar."
    return None
