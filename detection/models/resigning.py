"""Brings stored artefacts to the present key and format."""

from io import BytesIO

from core.errors import BadInput, ModelIntegrity
from core.settings import Settings
from detection.models.artefacts import dump_artefact
from detection.models.sealed import compute_sha256, read_unopened
from detection.models.signing import find_signer, make_key, name_key, read_keys, sign, write_keys
from records.database import Db
from records.models.artefacts import replace_artefact, replace_signature
from records.models.models import find_artefact_hashes, get_artefact_hash, get_model_record


def rotate_key(database: Db, settings: Settings) -> tuple[int, list[str]]:
    """Make a new key, sign all artefacts with it, and drop the old keys; return what `sign_again`
    returns.

    An artefact that no old key has signed stays as it is. Raises BadInput where the keys are not in
    the file.
    """
    if settings.artefact_keys:
        raise BadInput(
            "the keys come from ARTEFACT_KEYS: put a new one before the old, with a comma between,"
            " restart all processes, run `flask models sign`, then take the old one away"
        )
    key = make_key()
    # Until all artefacts are signed again, old and new keys are valid, also for running workers.
    write_keys([key, *read_keys(settings)])
    signed, unsigned = sign_again(database, settings)
    write_keys([key])
    return signed, unsigned


def sign_again(database: Db, settings: Settings) -> tuple[int, list[str]]:
    """Sign artefacts with the first key that an older key has signed; return how many, and the
    versions that no key has signed.
    """
    first, signed, unsigned = name_key(read_keys(settings)[0]), 0, []
    for version, sha256 in find_artefact_hashes(database):
        try:
            _, signature = read_unopened(database, version, sha256)
        except ModelIntegrity:
            unsigned.append(version)
            continue
        signer = find_signer(settings, version, sha256, signature)
        if signer is None:
            unsigned.append(version)
        elif signer != first:
            replace_signature(database, version, sign(settings, version, sha256))
            signed += 1
    return signed, unsigned


def migrate_pickle(database: Db, settings: Settings, version: str) -> None:
    """Convert an artefact that an earlier version stored as a pickle into signed arrays, which
    score the same to the last bit.

    Opening a pickle may execute code, so this is only for a database to which nobody else could
    write. The record keeps its `sha256`, by which anomalies name the model. Raises ModelIntegrity,
    and BadInput where the artefact is no pickle.
    """
    import joblib  # noqa: PLC0415 - opens what nothing else here may open

    from detection.detectors.isolation_forest import FlatForest  # noqa: PLC0415 - as above

    record = get_model_record(database, version)
    content, signature = read_unopened(database, version, get_artefact_hash(record))
    if signature or content.startswith(b"PK"):
        raise BadInput(
            f"the artefact of {version} is no pickle of an earlier version; there is nothing to"
            " migrate"
        )
    migrated = dump_artefact(FlatForest.from_sklearn(joblib.load(BytesIO(content))).get_arrays())
    new_sha256 = compute_sha256(migrated)
    replace_artefact(database, version, migrated, new_sha256, sign(settings, version, new_sha256))
