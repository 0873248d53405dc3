"""The content of an artefact cannot execute code. An artefact that differs from its record, or is
not signed, is not opened at all.
"""

import os
import pickle
import re
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import joblib
import numpy as np
import pytest
from gridfs import GridFSBucket
from sklearn.ensemble import IsolationForest

from core.errors import BadInput, Conflict, ModelIntegrity
from core.settings import Settings, get_settings
from detection.detectors.isolation_forest import fit_forest
from detection.models import registry, signing
from detection.models.manager import ModelManager
from detection.models.resigning import migrate_pickle, rotate_key, sign_again
from detection.models.sealed import compute_sha256
from detection.models.signing import sign
from detection.models.training import save_model
from records.database import Db
from records.models.artefacts import BUCKET
from records.models.champions import Scope, find_pointer
from tests.conftest import ROOT, WINGS
from tests.integration.modelling import NOW, add_model, make_fit


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.path,)


@pytest.fixture
def sprung(tmp_path: Path) -> Path:
    """The file that exists if the trap was opened."""
    return tmp_path / "sprung"


@pytest.fixture
def armed(database: Db, sprung: Path) -> str:
    """A champion whose artefact is a trap, three chunks long; the bytes after the pickle itself may
    be cut or changed.
    """
    content = pickle.dumps(Trap(sprung)) + bytes(600_000)
    version: str = save_model(database, replace(make_fit(), artefact=content), now=NOW)["version"]
    return version


def chunks(database: Db, version: str) -> list[bytes]:
    return [
        chunk["data"]
        for chunk in database[f"{BUCKET}.chunks"].find({"files_id": version}).sort("n", 1)
    ]


def replace_content(database: Db, version: str, content: bytes) -> None:
    """Replace the bytes of an artefact, and keep its signature."""
    bucket, signature = GridFSBucket(database, BUCKET), read_signature(database, version)
    bucket.delete(version)
    bucket.upload_from_stream_with_id(version, f"{version}.npz", content, metadata=signature)


def read_signature(database: Db, version: str) -> dict[str, str]:
    file = database[f"{BUCKET}.files"].find_one({"_id": version})
    assert file is not None
    return dict(file["metadata"])


def flip_a_byte(database: Db, version: str) -> None:
    last = bytearray(chunks(database, version)[-1])
    last[-1] ^= 1
    database[f"{BUCKET}.chunks"].update_one(
        {"files_id": version, "n": 2}, {"$set": {"data": bytes(last)}}
    )


def cut_short(database: Db, version: str) -> None:
    replace_content(database, version, b"".join(chunks(database, version))[:-1])


def cut_the_last_chunk(database: Db, version: str) -> None:
    last = chunks(database, version)[-1][:-10]
    database[f"{BUCKET}.chunks"].update_one({"files_id": version, "n": 2}, {"$set": {"data": last}})


def lose_the_last_chunk(database: Db, version: str) -> None:
    database[f"{BUCKET}.chunks"].delete_one({"files_id": version, "n": 2})


def lose_all_chunks(database: Db, version: str) -> None:
    database[f"{BUCKET}.chunks"].delete_many({"files_id": version})


def lose_the_file(database: Db, version: str) -> None:
    GridFSBucket(database, BUCKET).delete(version)


def empty_the_file(database: Db, version: str) -> None:
    replace_content(database, version, b"")


def swap_the_hash(database: Db, version: str) -> None:
    other = compute_sha256(make_fit(8).artefact)
    database.models.update_one({"_id": version}, {"$set": {"sha256": other}})


def swap_both_hashes(database: Db, version: str) -> None:
    swap_the_hash(database, version)
    other = database.models.find_one({"_id": version})
    assert other is not None
    database.champions.update_one(
        {"_id": "champion::US::1d"}, {"$set": {"sha256": other["sha256"]}}
    )


TAMPERINGS = (
    flip_a_byte,
    cut_short,
    cut_the_last_chunk,
    lose_the_last_chunk,
    lose_all_chunks,
    lose_the_file,
    empty_the_file,
    swap_the_hash,
    swap_both_hashes,
)


def test_the_trap_is_real(database: Db, armed: str, sprung: Path) -> None:
    flip_a_byte(database, armed)
    joblib.load(BytesIO(b"".join(chunks(database, armed))))
    assert sprung.exists()


@pytest.mark.parametrize("tamper", TAMPERINGS, ids=lambda tamper: tamper.__name__)
def test_an_artefact_that_differs_from_its_record_is_never_opened(
    database: Db, armed: str, sprung: Path, tamper: Callable[[Db, str], None]
) -> None:
    tamper(database, armed)
    recorded = database.models.find_one({"_id": armed})
    assert recorded is not None
    manager = ModelManager(database)
    for ask in (lambda: manager.get_model("US", "1d"), lambda: manager.get_model_version(armed)):
        with pytest.raises(ModelIntegrity) as refusal:
            ask()
        assert armed in refusal.value.message
        assert recorded["sha256"] in refusal.value.message
        assert "flask models" in refusal.value.message or "promote another" in refusal.value.message
    assert not sprung.exists()
    assert manager.get_cache_stats() | {"capacity": 0} == {
        "hits": 0,
        "misses": 2,
        "loads": 0,
        "models": [],
        "capacity": 0,
    }


def test_an_artefact_that_cannot_be_opened_is_not_promoted_or_rolled_back_to(database: Db) -> None:
    first, second, us = add_model(database), add_model(database), Scope("market", "US")
    registry.promote(database, second, NOW)
    before = find_pointer(database, us, "1d"), database.models.find_one({"_id": first})
    lose_the_file(database, first)
    for act in (
        lambda: registry.promote(database, first, NOW),
        lambda: registry.rollback(database, us, "1d", NOW),
    ):
        with pytest.raises(Conflict, match=f"{first} was not put in use.*no artefact") as refusal:
            act()
        assert refusal.value.reason == "model_integrity"
        assert f"flask models retire {first}" in refusal.value.message
    assert (find_pointer(database, us, "1d"), database.models.find_one({"_id": first})) == before


def test_an_artefact_of_an_unknown_detector_or_column_is_not_promoted(database: Db) -> None:
    add_model(database)
    second = add_model(database)
    for gone, reason in (
        ({"feature_set": "moon_phases/1"}, "unknown_feature_set"),
        ({"parameters.detector": "dowsing"}, "unknown_detector"),
    ):
        kept = database.models.find_one({"_id": second})
        assert kept is not None
        database.models.update_one({"_id": second}, {"$set": gone})
        with pytest.raises(Conflict, match="train another") as refusal:
            registry.promote(database, second, NOW)
        assert refusal.value.reason == reason
        database.models.replace_one({"_id": second}, kept)
    assert registry.promote(database, second, NOW)["version"] == second


def test_an_artefact_in_an_unknown_format_is_not_promoted(database: Db) -> None:
    add_model(database)
    for form, said in ((b'{"format": 2}', "in format 2, not 1"), (b"[]", "no artefact")):
        buffer = BytesIO()
        np.savez(buffer, header=np.frombuffer(form, np.uint8))
        fit = replace(make_fit(promote=False), artefact=buffer.getvalue())
        version = save_model(database, fit, now=NOW)["version"]
        with pytest.raises(Conflict, match=said):
            registry.promote(database, version, NOW)


def test_a_rollback_skips_a_retired_version_whose_artefact_is_lost(database: Db) -> None:
    versions = [add_model(database) for _ in range(3)]
    for version in versions[1:]:
        registry.promote(database, version, NOW)
    lose_the_file(database, versions[1])
    with pytest.raises(Conflict):
        registry.rollback(database, Scope("market", "US"), "1d", NOW)
    registry.retire(database, versions[1], NOW)
    went_to = registry.rollback(database, Scope("market", "US"), "1d", NOW)
    assert went_to["version"] == versions[0]


def test_a_foreign_artefact_is_refused_with_both_hashes(database: Db, sprung: Path) -> None:
    version = add_model(database)
    foreign = pickle.dumps(Trap(sprung))
    replace_content(database, version, foreign)
    with pytest.raises(ModelIntegrity, match=compute_sha256(foreign)):
        ModelManager(database).get_model("US", "1d")
    assert not sprung.exists()


def test_a_restored_artefact_is_used_again_by_the_same_manager(database: Db) -> None:
    version = add_model(database)
    genuine = b"".join(chunks(database, version))
    manager = ModelManager(database)
    replace_content(database, version, genuine[:-1])
    with pytest.raises(ModelIntegrity):
        manager.get_model("US", "1d")
    replace_content(database, version, genuine)
    assert manager.get_model("US", "1d").version == version


def test_a_changed_model_does_not_affect_other_markets(database: Db) -> None:
    broken, sound = add_model(database), add_model(database, market="JP")
    lose_the_file(database, broken)
    manager = ModelManager(database)
    with pytest.raises(ModelIntegrity):
        manager.group_by_model("US", "1d", ["AAPL"])
    ((model, tickers),) = manager.group_by_model("JP", "1d", ["7203.T"])
    assert (model.version, tickers) == (sound, ("7203.T",))


def point_to(database: Db, version: str, sha256: str) -> None:
    """Write a hash into the model's record and pointer, as somebody with write access to the
    database could.
    """
    database.models.update_one({"_id": version}, {"$set": {"sha256": sha256}})
    database.champions.update_one({"_id": "champion::US::1d"}, {"$set": {"sha256": sha256}})


@pytest.mark.parametrize("forged", ["kept", "taken away", "made with another key"])
def test_an_artefact_replaced_with_both_its_hashes_is_refused_unopened(
    database: Db, sprung: Path, forged: str, settings: Settings
) -> None:
    version, foreign = add_model(database), pickle.dumps(Trap(sprung))
    replace_content(database, version, foreign)
    point_to(database, version, compute_sha256(foreign))
    if forged != "kept":
        mine = settings.model_copy(update={"artefact_keys": "a" * 64})
        metadata = sign(mine, version, compute_sha256(foreign)) if "key" in forged else None
        database[f"{BUCKET}.files"].update_one({"_id": version}, {"$set": {"metadata": metadata}})
    # A version that is only trained is not used in its place.
    with pytest.raises(ModelIntegrity, match=r"not signed by any key.*train --market US --promote"):
        ModelManager(database).get_model("US", "1d")
    assert not sprung.exists()


def test_a_signed_artefact_of_another_version_is_refused(database: Db) -> None:
    version, other = add_model(database), add_model(database, 8)
    replace_content(database, version, b"".join(chunks(database, other)))
    database[f"{BUCKET}.files"].update_one(
        {"_id": version}, {"$set": {"metadata": read_signature(database, other)}}
    )
    point_to(database, version, database.models.find_one({"_id": other})["sha256"])
    with pytest.raises(ModelIntegrity, match="not signed by any key"):
        ModelManager(database).get_model("US", "1d")


def test_even_a_signed_pickle_runs_nothing(database: Db, sprung: Path) -> None:
    for number, content in enumerate(
        (pickle.dumps(Trap(sprung)), dump_objects(sprung), b"", b"PK")
    ):
        fit = replace(make_fit(market="JP"), artefact=content)
        version = save_model(database, fit, now=NOW)["version"]
        assert version == f"JP_model-0.1.{number}"
        with pytest.raises(ModelIntegrity, match="no artefact"):
            ModelManager(database).get_model_version(version)
    assert not sprung.exists()


def dump_objects(path: Path) -> bytes:
    """Return an archive of arrays, one of which holds objects, which numpy would unpickle."""
    buffer = BytesIO()
    header = np.frombuffer(b'{"format": 1}', np.uint8)
    np.savez(buffer, header=header, trap=np.array([Trap(path)], object))
    return buffer.getvalue()


@pytest.fixture
def key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Keys from a file, as on a single machine."""
    monkeypatch.setattr(signing, "KEYS_FILE", tmp_path / "artefact.keys")
    monkeypatch.setenv("ARTEFACT_KEYS", "")
    get_settings.cache_clear()
    yield tmp_path / "artefact.keys"
    monkeypatch.undo()
    get_settings.cache_clear()


def test_the_key_is_created_at_first_use_and_readable_only_by_its_owner(
    database: Db, key_file: Path
) -> None:
    version = add_model(database)
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert ModelManager(database).get_model("US", "1d").version == version
    key_file.chmod(0o640)
    with pytest.raises(BadInput, match="others can read"):
        ModelManager(database).get_model("US", "1d")


def test_processes_that_create_the_key_at_once_agree_on_one(key_file: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: signing.read_keys(get_settings())[0], range(8)))
    assert len(set(found)) == 1
    assert os.listdir(key_file.parent) == ["artefact.keys"]  # noqa: PTH208 - names only


def test_a_key_is_rotated_and_the_old_one_removed(database: Db, key_file: Path) -> None:
    versions = [add_model(database), add_model(database, 8)]
    before, (old,) = read_signature(database, versions[0]), key_file.read_text().split()
    hashes = [database.models.find_one({"_id": version})["sha256"] for version in versions]
    assert rotate_key(database, get_settings()) == (2, [])
    (new,) = key_file.read_text().split()
    assert (new != old, read_signature(database, versions[0]) != before) == (True, True)
    manager = ModelManager(database)
    assert [manager.get_model_version(version).sha256 for version in versions] == hashes
    key_file.write_text(f"{old}\n")
    with pytest.raises(ModelIntegrity, match="not signed by any key"):
        ModelManager(database).get_model("US", "1d")


def test_a_rotation_signs_nothing_that_was_not_signed(database: Db, key_file: Path) -> None:
    sound, forged = add_model(database), add_model(database, 8)
    database[f"{BUCKET}.files"].update_one({"_id": forged}, {"$unset": {"metadata": ""}})
    assert rotate_key(database, get_settings()) == (1, [forged])
    assert ModelManager(database).get_model_version(sound).version == sound
    with pytest.raises(ModelIntegrity):
        ModelManager(database).get_model_version(forged)


def test_keys_in_the_environment_must_be_rotated_by_their_owner(
    database: Db, settings: Settings
) -> None:
    version = add_model(database)
    present = get_settings().artefact_keys
    both = settings.model_copy(update={"artefact_keys": f"{'b' * 64},{present}"})
    assert sign_again(database, both) == (1, [])
    assert sign_again(database, both) == (0, [])
    new_alone = settings.model_copy(update={"artefact_keys": "b" * 64})
    sha256 = database.models.find_one({"_id": version})["sha256"]
    assert signing.find_signer(new_alone, version, sha256, read_signature(database, version))
    with pytest.raises(BadInput, match="flask models sign"):
        rotate_key(database, both)
    with pytest.raises(BadInput, match="at least 32 characters"):
        signing.read_keys(settings.model_copy(update={"artefact_keys": "short"}))


@pytest.fixture
def pickled(database: Db) -> tuple[str, IsolationForest]:
    """A champion as an earlier version stored it: pickled by joblib, hashed, not signed."""
    version, fit = add_model(database, 11), make_fit(11)
    rows = (
        np.random.default_rng(11)
        .normal(size=(400, len(fit.plan.feature_set.columns)))
        .astype(np.float32)
    )
    forest = fit_forest(rows, **fit.plan.parameters, seed=11)
    buffer = BytesIO()
    joblib.dump(forest, buffer, compress=("zlib", 3), protocol=5)
    GridFSBucket(database, BUCKET).delete(version)
    GridFSBucket(database, BUCKET).upload_from_stream_with_id(
        version, f"{version}.joblib", buffer.getvalue()
    )
    point_to(database, version, compute_sha256(buffer.getvalue()))
    return version, forest


def test_an_old_artefact_is_migrated_and_scores_the_same(
    database: Db, pickled: tuple[str, IsolationForest], settings: Settings
) -> None:
    version, forest = pickled
    with pytest.raises(ModelIntegrity, match=f"flask models migrate {version} --trust"):
        ModelManager(database).get_model("US", "1d")
    before = database.models.find_one({"_id": version})["sha256"]
    migrate_pickle(database, get_settings(), version)
    model = ModelManager(database).get_model("US", "1d")
    inputs = np.random.default_rng(1).normal(size=(2_000, forest.n_features_in_)).astype(np.float32)
    np.testing.assert_array_equal(
        model.detector.score_samples(inputs), forest.score_samples(inputs)
    )
    assert model.sha256 == before, "anomalies name the model by it"
    assert database[f"{BUCKET}.files"].count_documents({}) == 1
    assert set(database[f"{BUCKET}.chunks"].distinct("files_id")) == {version}
    with pytest.raises(BadInput, match="nothing to migrate"):
        migrate_pickle(database, get_settings(), version)


def test_a_pickle_that_differs_from_its_record_is_not_migrated(
    database: Db, pickled: tuple[str, IsolationForest], sprung: Path
) -> None:
    version, _ = pickled
    GridFSBucket(database, BUCKET).delete(version)
    trap = pickle.dumps(Trap(sprung))
    GridFSBucket(database, BUCKET).upload_from_stream_with_id(version, f"{version}.joblib", trap)
    with pytest.raises(ModelIntegrity):
        migrate_pickle(database, get_settings(), version)
    assert not sprung.exists()


def test_no_service_process_opens_a_pickle() -> None:
    """Only the migration, which a person starts, contains code that can open one."""
    users = {
        str(path.relative_to(ROOT))
        for wing in WINGS
        for path in (ROOT / wing).rglob("*.py")
        if re.search(
            r"^\s*(?:import|from) (?:joblib|pickle|shelve|marshal|dill|cloudpickle)\b",
            path.read_text(),
            re.M,
        )
        or "allow_pickle=True" in path.read_text()
    }
    assert users == {"detection/models/resigning.py"}
