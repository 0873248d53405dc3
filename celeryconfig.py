"""How Celery runs.

Each setting says what breaks without it; addresses come from the environment (`Settings`).
"""

from kombu import Queue

from tasks import names

# JSON only: a pickle taken from the broker would run whatever it holds.
accept_content = ["json"]
task_serializer = "json"
event_serializer = "json"
result_serializer = "json"

# No result backend: MongoDB has the outcome, and with Redis down a publish would take 19 s instead
# of 0.6.
task_ignore_result = True

# A message is acknowledged when its task has ended, so that a killed worker's task comes back. The
# cap on attempts is in the claim, or a task that kills its process would come back for ever.
task_acks_late = True
task_reject_on_worker_lost = True
# A task that failed or ran out of time has recorded so itself; sent back, it would loop.
task_acks_on_failure = True
task_acks_on_timeout = True

# Without it a message with an empty body ends one worker after the other.
worker_consumer = "tasks.process.consumer:Consumer"

# Its file says that beat lives.
beat_scheduler = "tasks.process.beat:Scheduler"

# One message at a time: a worker that reserves more leaves others idle beside a full one.
worker_prefetch_multiplier = 1
# A batch is sized for well under a minute; what takes this long hangs, and must give its process
# back.
task_soft_time_limit = 240
task_time_limit = 300
# A dropped connection is no reason to throw work away: the commit does not need the broker.
worker_cancel_long_running_tasks_on_connection_loss = False
# A child that has grown is replaced when it is free (KiB).
worker_max_memory_per_child = 1_500_000

# Redis may be gone for any length of time; a worker that gives up would have to be restarted by a
# person.
broker_connection_retry_on_startup = True
broker_connection_max_retries = None
broker_transport_options = {
    # Longer than the hard time limit, or a running task is delivered a second time.
    "visibility_timeout": 900,
    # Lost messages are looked for every 15 s, not after 90 s.
    "unacked_restore_interval": 15,
    "unacked_restore_throttle": 1,
    # A frozen Redis is noticed, instead of a publish hanging on it.
    "socket_timeout": 5,
    "socket_connect_timeout": 3,
    "socket_keepalive": True,
    "health_check_interval": 25,
    # A publish tries to connect once: with Redis down, kombu's own tries would take 6 s, and 8 s
    # with its host down.
    "max_retries": 0,
}
# The API must answer while Redis is frozen: one try, the sweeper does the rest.
task_publish_retry = False
# As many as the API has threads: with fewer, requests wait for each other's 5 s of a frozen Redis.
broker_pool_limit = 64

# Three queues, so that a backfill starves neither scans nor the sweeper; control has a worker of
# its own.
task_queues = [Queue(name, routing_key=name) for name in names.ALL_QUEUES]
task_default_queue = names.INTERACTIVE_QUEUE
task_create_missing_queues = False

# Flower and metrics see tasks as they start and end.
worker_send_task_events = True
task_send_sent_event = True
task_track_started = True

# A result may name thousands of anomalies: logs and Flower show how it begins. The request's log
# lines name the run.
task_annotations = {"*": {"resultrepr_maxsize": 200, "Request": "tasks.process.consumer:Request"}}
timezone = "UTC"
