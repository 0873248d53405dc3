"""Model artefacts that were changed: refused by their hash, and never opened."""

import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import joblib
import pytest

from detection.models.artefacts import store_artefact
from detection.models.registry import promote
from detection.models.sealed import compute_sha256
from records.models.artefacts import delete_artefact, read_artefact
from records.models.models import get_model_record
from tests.faults.trial import Trial
from tests.integration.detecting import NOW

VERSION = "US_model-9.9.9"


class Bomb:
    """An object that creates a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, (str(self.folder),)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder that exists if a bomb was opened."""
    return tmp_path / "opened"


@pytest.fixture
def bomb(folder: Path) -> bytes:
    """An artefact that acts as soon as it is opened, even if its last bytes are missing or
    changed.
    """
    # Pickle protocol 2 has no frames, so the bomb acts before its end is read.
    return pickle.dumps([Bomb(folder), "a harmless end"], protocol=2)


@pytest.fixture
def champion(trial: Trial) -> Iterator[str]:
    """The champion in use, which is put back afterwards."""
    version = trial.database.champions.find_one({"_id": "champion::US::1d"})["version"]
    yield version
    promote(trial.database, version, NOW)
    trial.database.models.delete_one({"_id": VERSION})
    delete_artefact(trial.database, VERSION)


def truncate(artefact: bytes) -> bytes:
    return artefact[:-1]


def flip(artefact: bytes) -> bytes:
    return artefact.replace(b"harmless", b"Harmless")


@pytest.mark.parametrize("damage", [truncate, flip])
@pytest.mark.faults
def test_a_damaged_artefact_is_never_opened(
    trial: Trial, champion: str, bomb: bytes, folder: Path, damage: Callable[[bytes], bytes]
) -> None:
    """An artefact that was cut short or has a flipped byte ends its runs with `model_integrity`;
    the next model works.
    """
    damaged = damage(bomb)
    assert damaged != bomb
    expect_that_opening_is_noticed(damaged, folder)
    install(trial, champion, damaged, sha256=compute_sha256(bomb))
    expect_refusal(trial, champion, folder)


@pytest.mark.faults
def test_an_artefact_swapped_with_its_hash_is_never_opened(
    trial: Trial, champion: str, bomb: bytes, folder: Path
) -> None:
    """If somebody replaces an artefact and the hash in its record, the hash that was promoted still
    differs.
    """
    expect_that_opening_is_noticed(bomb, folder)
    install(trial, champion, bomb, sha256=get_model_record(trial.database, champion)["sha256"])
    trial.database.models.update_one({"_id": VERSION}, {"$set": {"sha256": compute_sha256(bomb)}})
    expect_refusal(trial, champion, folder)


def install(trial: Trial, champion: str, artefact: bytes, *, sha256: str) -> None:
    """Promote a copy of the champion, then replace its artefact by these bytes, and the hash in its
    record and pointer. Bytes that cannot be opened would not be promoted.
    """
    database = trial.database
    copied = {"_id": VERSION, "version": VERSION}
    store_artefact(database, VERSION, read_artefact(database, champion)[0])
    database.models.insert_one(get_model_record(database, champion) | copied)
    promote(database, VERSION, NOW)
    delete_artefact(database, VERSION)
    store_artefact(database, VERSION, artefact)  # Signed, as if by one of our own processes.
    database.models.update_one({"_id": VERSION}, {"$set": {"sha256": sha256}})
    database.champions.update_one({"_id": "champion::US::1d"}, {"$set": {"sha256": sha256}})


def expect_refusal(trial: Trial, champion: str, folder: Path) -> None:
    refused = trial.backfill()
    (run,) = trial.wait_for_end(refused)
    assert run["reason"] == "model_integrity"
    assert VERSION in run["error"]
    assert not folder.exists(), "it was opened"
    assert trial.database.anomalies.count_documents({}) == 0
    promote(trial.database, champion, NOW)
    trial.backfill()
    trial.wait_for_end()
    trial.check(**{refused: "failed"})


def expect_that_opening_is_noticed(artefact: bytes, folder: Path) -> None:
    with suppress(Exception):
        joblib.load(BytesIO(artefact))
    assert folder.exists()
    folder.rmdir()
