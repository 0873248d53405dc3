"""A pickle does what it says when it is opened; so one that is not as recorded must never be."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import joblib
import pytest
from gridfs import GridFSBucket

from core.errors import ModelIntegrity
from detection.models.artefacts import compute_sha256
from detection.models.manager import ModelManager
from detection.models.training import save_model
from records.database import Db
from records.models.artefacts import BUCKET
from tests.integration.modelling import NOW, add_model, make_fit


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.path,)


@pytest.fixture
def sprung(tmp_path: Path) -> Path:
    """The file that is there once the trap was opened."""
    return tmp_path / "sprung"


@pytest.fixture
def armed(database: Db, sprung: Path) -> str:
    """A champion whose artefact is a trap, three chunks long; what follows the pickle proper may be cut or changed."""
    content = pickle.dumps(Trap(sprung)) + bytes(600_000)
    version: str = save_model(database, replace(make_fit(), artefact=content), now=NOW)["version"]
    return version


def chunks(database: Db, version: str) -> list[bytes]:
    return [chunk["data"] for chunk in database[f"{BUCKET}.chunks"].find({"files_id": version}).sort("n", 1)]


def replace_content(database: Db, version: str, content: bytes) -> None:
    bucket = GridFSBucket(database, BUCKET)
    bucket.delete(version)
    bucket.upload_from_stream_with_id(version, f"{version}.joblib", content)


def flip_a_byte(database: Db, version: str) -> None:
    last = bytearray(chunks(database, version)[-1])
    last[-1] ^= 1
    database[f"{BUCKET}.chunks"].update_one({"files_id": version, "n": 2}, {"$set": {"data": bytes(last)}})


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
    database.champions.update_one({"_id": "champion::US"}, {"$set": {"sha256": other["sha256"]}})


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
def test_an_artefact_that_is_not_as_recorded_is_never_opened(
    database: Db, armed: str, sprung: Path, tamper: Callable[[Db, str], None]
) -> None:
    tamper(database, armed)
    recorded = database.models.find_one({"_id": armed})
    assert recorded is not None
    manager = ModelManager(database)
    for ask in (lambda: manager.get_model("US"), lambda: manager.get_model_version(armed)):
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


def test_a_foreign_artefact_is_refused_with_both_hashes(database: Db, sprung: Path) -> None:
    version = add_model(database)
    foreign = pickle.dumps(Trap(sprung))
    replace_content(database, version, foreign)
    with pytest.raises(ModelIntegrity, match=compute_sha256(foreign)):
        ModelManager(database).get_model("US")
    assert not sprung.exists()


def test_a_restored_artefact_is_used_again_by_the_same_manager(database: Db) -> None:
    version = add_model(database)
    genuine = b"".join(chunks(database, version))
    manager = ModelManager(database)
    replace_content(database, version, genuine[:-1])
    with pytest.raises(ModelIntegrity):
        manager.get_model("US")
    replace_content(database, version, genuine)
    assert manager.get_model("US").version == version


def test_one_altered_model_leaves_the_other_markets_alone(database: Db) -> None:
    broken, sound = add_model(database), add_model(database, market="JP")
    lose_the_file(database, broken)
    manager = ModelManager(database)
    with pytest.raises(ModelIntegrity):
        manager.group_by_model("US", ["AAPL"])
    ((model, tickers),) = manager.group_by_model("JP", ["7203.T"])
    assert (model.version, tickers) == (sound, ("7203.T",))
