"""Kinds of runs: one row each says how runs of it are named, queued, split and done."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING, cast

from core.words import Task
from records.work.batches import Batch
from records.work.documents import BatchDocument, RunDocument
from tasks import names
from tasks.engine import splitting

if TYPE_CHECKING:
    from tasks.process.worker import Worker

Result = Mapping[str, object] | Sequence[Mapping[str, object]] | None
Handler = Callable[["Worker", RunDocument, Batch], Result]


@dataclass(frozen=True, slots=True)
class RunKind:
    """One kind of run.

    Attributes:
        task: the word for this kind in run documents and over HTTP.
        name: the Celery task's name. It is wire format: messages in flight carry it, so it is never
            renamed.
        queue: the queue for the messages of its runs and their batches.
        split: returns the documents of a run's batches, not yet stored; raises if there is nothing
            to do.
        heavy: whether each of its batches may take more than some ten seconds. If only some batches
            of a kind do, `split` marks these. Of all heavy batches, of whatever kinds, at most
            HEAVY_AT_ONCE run at a time, so that scans always find a free process.
        handler: the function that does one batch, as `module:function`. It calls one function of a
            lower package, then commits under the batch's fence. During long work it calls its
            checkpoint (tasks/kinds/parts.py) at least once a second, which keeps the lease and
            notices a cancellation. It is a path because the control worker knows all kinds and must
            never load numpy.
    """

    task: Task
    name: str
    queue: str
    split: Callable[["Worker", RunDocument, datetime], list[BatchDocument]]
    handler: str
    heavy: bool = False

    def load_handler(self) -> Handler:
        """Return the function that does one batch; its module is imported at the first call."""
        module, _, function = self.handler.partition(":")
        return cast("Handler", getattr(import_module(module), function))


KINDS: dict[str, RunKind] = {
    kind.task: kind
    for kind in (
        RunKind(
            task="backfill",
            name="tapewatch.backfill",
            queue=names.BACKFILL_QUEUE,
            split=splitting.split_backfill,
            handler="tasks.kinds.detection:detect",
        ),
        RunKind(
            task="incremental",
            name="tapewatch.incremental",
            queue=names.INTERACTIVE_QUEUE,
            split=splitting.split_incremental,
            handler="tasks.kinds.detection:detect",
        ),
        RunKind(
            task="verify",
            name="tapewatch.verify",
            queue=names.INTERACTIVE_QUEUE,
            split=splitting.split_verification,
            handler="tasks.kinds.verification:verify",
        ),
        RunKind(
            task="train",
            name="tapewatch.train",
            queue=names.BACKFILL_QUEUE,
            split=splitting.keep_whole,
            handler="tasks.kinds.training:train",
            heavy=True,
        ),
        RunKind(
            task="evaluate",
            name="tapewatch.evaluate",
            queue=names.BACKFILL_QUEUE,
            split=splitting.keep_whole,
            handler="tasks.kinds.evaluation:evaluate",
            heavy=True,
        ),
        RunKind(
            task="import",
            name="tapewatch.import_bars",
            queue=names.INTERACTIVE_QUEUE,
            split=splitting.split_import,
            handler="tasks.kinds.bar_import:import_bars",
        ),
        RunKind(
            task="fit_series",
            name="tapewatch.fit_series",
            queue=names.INTERACTIVE_QUEUE,
            split=splitting.keep_whole,
            handler="tasks.kinds.series_fit:fit",
        ),
        RunKind(
            task="analytics",
            name="tapewatch.analytics",
            queue=names.INTERACTIVE_QUEUE,
            split=splitting.split_analytics,
            handler="tasks.kinds.analytics:compute",
        ),
        RunKind(
            task="correlation",
            name="tapewatch.correlation",
            queue=names.INTERACTIVE_QUEUE,
            split=splitting.keep_whole,
            handler="tasks.kinds.correlation:correlate",
        ),
        RunKind(
            task="fetch",
            name="tapewatch.fetch_bars",
            # A user who waits at a chart must not be delayed by a slow vendor.
            queue=names.BACKFILL_QUEUE,
            split=splitting.keep_whole,
            handler="tasks.kinds.bar_fetch:fetch_bars",
            heavy=True,
        ),
        RunKind(
            task="export",
            name="tapewatch.export",
            # A user may be waiting for an export of only some thousand rows.
            queue=names.INTERACTIVE_QUEUE,
            split=splitting.split_export,
            handler="tasks.kinds.export:export",
        ),
        RunKind(
            task="fill",
            name="tapewatch.fill_gaps",
            queue=names.BACKFILL_QUEUE,
            split=splitting.keep_whole,
            handler="tasks.kinds.bar_fetch:fill_gaps",
            heavy=True,
        ),
        RunKind(
            task="correct",
            name="tapewatch.correct",
            queue=names.INTERACTIVE_QUEUE,
            split=splitting.split_correction,
            handler="tasks.kinds.correction:correct",
        ),
    )
}
