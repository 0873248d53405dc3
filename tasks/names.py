"""Task and queue names. They are wire format: messages in flight carry them, so they are never renamed."""

BACKFILL = "tapewatch.backfill"
INCREMENTAL = "tapewatch.incremental"
VERIFY = "tapewatch.verify"
TRAIN = "tapewatch.train"
IMPORT_BARS = "tapewatch.import_bars"
RUN_BATCH = "tapewatch.run_batch"
SWEEP = "tapewatch.sweep"
TICK = "tapewatch.tick"

CONTROL_QUEUE = "control"
INTERACTIVE_QUEUE = "interactive"
BACKFILL_QUEUE = "backfill"
