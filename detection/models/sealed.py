"""Checks stored artefacts before they are opened: a version's record, hash and signature. The API
uses it too, so it does not import numpy.

Nothing in an artefact can execute: it is a zip of `.npy` arrays, opened without pickle. And it is
opened only where its bytes have the recorded hash and a signature by one of this installation's
keys, which are not in the database (signing.py).
"""

import hashlib
import json
from io import BytesIO
from zipfile import BadZipFile, ZipFile

from core.errors import ModelIntegrity, NoModel, NotFound
from core.settings import get_settings
from detection.detectors.catalogue import DETECTORS
from detection.features.feature_sets import FEATURE_SETS
from detection.models.signing import find_signer
from records.database import Db
from records.models import artefacts
from records.models.artefacts import Signature
from records.models.champions import Champion
from records.models.documents import ModelDocument, ModelSummary
from records.models.models import get_artefact_hash, get_model_record

HEADER = "header"
FORMAT = 1


def compute_sha256(content: bytes) -> str:
    """Return `sha256:` and the hexadecimal digest."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def read_champion(database: Db, champion: Champion) -> tuple[ModelDocument, bytes]:
    """Return the record of a champion and the bytes of its artefact, if it can be opened.

    Raises:
        NotFound: there is no such version.
        NoModel: its detector or columns do not exist any more.
        ModelIntegrity: as `read_sealed`, or the record's hash differs from that of the promotion.
    """
    record = get_model_record(database, champion.version)
    if record["sha256"] != champion.sha256:
        raise ModelIntegrity(
            f"model {champion.version} was promoted with the hash {champion.sha256}, and its record"
            f" now says {record['sha256']}; it was not opened. Restore the record from a backup, or"
            " promote another version"
        )
    check_known(record)
    return record, read_sealed(database, champion.version, get_artefact_hash(record))


def check_known(record: ModelSummary | ModelDocument) -> None:
    """Raise NoModel where a version's columns or detector do not exist any more, as after
    an upgrade.
    """
    if record["feature_set"] not in {known.label for known in FEATURE_SETS}:
        raise NoModel(
            f"model {record['_id']} looks at the columns of {record['feature_set']}, which are"
            f" no more; train another: `flask models train --market {record['market']}"
            f" --interval {record['interval']} --detector {record['parameters']['detector']}"
            " --promote`",
            reason="unknown_feature_set",
        )
    if record["parameters"]["detector"] not in DETECTORS:
        raise NoModel(
            f"model {record['_id']} is of the detector {record['parameters']['detector']}, which"
            f" is no more; train another: `flask models train --market {record['market']}"
            f" --interval {record['interval']} --promote`",
            reason="unknown_detector",
        )


def read_sealed(database: Db, version: str, sha256: str) -> bytes:
    """Return the bytes stored under `version`, if they have the recorded hash, are signed, and are
    an artefact in the present format.

    Raises:
        ModelIntegrity: the bytes are missing, cut short, not those recorded, not signed by a key of
            this installation, or no artefact; they were not opened.
    """
    content, signature = read_unopened(database, version, sha256)
    if find_signer(get_settings(), version, sha256, signature) is None:
        market = _read_market(version)
        raise ModelIntegrity(
            f"the artefact of model {version} was not opened: it is not signed by any key of this"
            " service. Where another service on this MongoDB made it, give both the same"
            " ARTEFACT_KEYS; where the keys were lost, restore them; where it was made by a version"
            " that did not sign, and nobody else could write to the database, `flask models migrate"
            f" {version} --trust`; else train a new one with `flask models train --market {market}"
            " --promote`"
        )
    try:
        with ZipFile(BytesIO(content)) as stored:
            # numpy's header before an array ends with a line break.
            form = json.loads(stored.read(f"{HEADER}.npy").partition(b"\n")[2])["format"]
    except (ValueError, LookupError, TypeError, EOFError, OSError, BadZipFile) as error:
        raise explain(version, sha256, f"bytes that are no artefact ({error})") from error
    if form != FORMAT:
        raise explain(version, sha256, f"an artefact in format {form!r}, not {FORMAT}")
    return content


def read_unopened(database: Db, version: str, sha256: str) -> tuple[bytes, Signature]:
    """Return the bytes stored under `version`, unopened, and their signature.

    Raises ModelIntegrity.
    """
    try:
        content, signature = artefacts.read_artefact(database, version)
    except NotFound as error:
        raise explain(version, sha256, error.message) from error
    found = compute_sha256(content)
    if found != sha256:
        raise explain(version, sha256, f"{found} ({len(content):,} bytes)")
    return content, signature


def explain(version: str, expected: str, found: str) -> ModelIntegrity:
    """Return the error for bytes that are not as recorded, with what to do."""
    market = _read_market(version)
    return ModelIntegrity(
        f"the artefact of model {version} was not opened: its record says {expected}, found was"
        f" {found}. Restore it from a backup, promote another version (`flask models list --market"
        f" {market}`), or train a new one with `flask models train --market {market} --promote`"
    )


def _read_market(version: str) -> str:
    return version.partition("_model-")[0]
