"""Task and queue names.

They are wire format: messages in flight carry them, so they are never renamed.
"""

RUN_BATCH = "tapewatch.run_batch"
SWEEP = "tapewatch.sweep"
TICK = "tapewatch.tick"
NOTIFY = "tapewatch.notify"

CONTROL_QUEUE = "control"
INTERACTIVE_QUEUE = "interactive"
BACKFILL_QUEUE = "backfill"
WORK_QUEUES = (INTERACTIVE_QUEUE, BACKFILL_QUEUE)
ALL_QUEUES = (*WORK_QUEUES, CONTROL_QUEUE)
