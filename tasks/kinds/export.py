"""The batch of an export writes its files, and keeps them for a week."""

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

from pymongo.client_session import ClientSession

from market.exports.folders import explains_disk, write_folder
from market.exports.opening import open_table
from market.exports.tables import MANIFEST, Asked, Table
from records.database import Db, in_transaction
from records.tenancy import of_owner
from records.work.batches import Batch
from records.work.documents import RunDocument
from records.work.export_files import ExportFile, store_export_file
from records.work.runs import note_outcome
from tasks.engine.kind import Result
from tasks.kinds.parts import build_checkpoint, build_finish, count_done
from tasks.process.worker import Worker
from tasks.requests.exports import read_asked


def export(worker: Worker, run: RunDocument, batch: Batch) -> Result:
    """Write what an export asks for; the run's result is its manifest, and where its files are."""
    database, options = worker.database, run["options"]
    checkpoint, finish = build_checkpoint(worker, batch), build_finish(database, batch)
    files: list[ExportFile] = []

    checkpoint(0.0)  # a table of few rows has no other

    def keep(path: Path) -> None:
        files.append(store_export_file(database, path))
        path.unlink()  # one part at a time is on the disk

    def open_any(database: Db, asked: Asked) -> Table:
        if asked.table != "features":
            return open_table(database, asked)
        from detection.feature_table import open_features  # noqa: PLC0415 - loads the models

        return open_features(database, worker.models, asked)

    with explains_disk(Path(gettempdir())), TemporaryDirectory() as name:
        folder = Path(name)
        manifest = write_folder(
            # Alerts and labels are those of the tenant that asked.
            of_owner(database, run),
            read_asked(run),
            options["format"],
            folder,
            columns=tuple(options["columns"]),
            opener=open_any,
            on_rows=lambda rows, most: checkpoint(min(1.0, rows / max(1, most))),
            on_part=keep,
            now=datetime.now(UTC),
        )
        keep(folder / MANIFEST)

    def write(session: ClientSession) -> None:
        result = {"rows": manifest["rows"], "files": files}
        note_outcome(database, run["_id"], {"result": result}, session)
        finish(session, count_done(tickers=len(run["tickers"]), rows=manifest["rows"]))

    in_transaction(database, write)
    return {"detection_run_id": run["_id"], "rows": manifest["rows"]}
