"""The configuration of Celery.

The comment on each setting says what breaks without it. Addresses come from the environment
(`Settings`).
"""

from kombu import Queue

from tasks import names

# JSON only: a pickle from the broker could run any code.
accept_content = ["json"]
task_serializer = "json"
event_serializer = "json"
result_serializer = "json"

# No result backend: outcomes are stored in MongoDB. With a backend, a publish while Redis is down
# would take 19 s instead of 0.6.
task_ignore_result = True

# A message is acknowledged when its task has ended, so the task of a killed worker is delivered
# again. The claim limits the attempts; otherwise a task that kills its process would come back for
# ever.
task_acks_late = True
task_reject_on_worker_lost = True
# A task that failed or ran out of time has recorded that itself; delivered again, it would loop.
task_acks_on_failure = True
task_acks_on_timeout = True

# Without this consumer, a message with an empty body ends one worker after the other.
worker_consumer = "tasks.process.consumer:Consumer"

# This scheduler touches a file by which health checks see that beat is alive.
beat_scheduler = "tasks.process.beat:Scheduler"

# One message at a time: a worker that reserves several would keep them from idle workers.
worker_prefetch_multiplier = 1
# Batches are sized for well under a minute. A task that takes this long hangs, and must free its
# process.
task_soft_time_limit = 240
task_time_limit = 300
# A task continues when the connection to the broker drops: its commit does not need the broker.
worker_cancel_long_running_tasks_on_connection_loss = False
# A child process larger than this (KiB) is replaced when it has no task.
worker_max_memory_per_child = 1_500_000

# Redis may be down for any length of time. A worker that stopped trying would have to be restarted
# by a person.
broker_connection_retry_on_startup = True
broker_connection_max_retries = None
broker_transport_options = {
    # Longer than the hard time limit; otherwise a running task would be delivered a second time.
    "visibility_timeout": 900,
    # Look for lost messages every 15 s, and not only after 90 s.
    "unacked_restore_interval": 15,
    "unacked_restore_throttle": 1,
    # Without timeouts, a publish to a frozen Redis would hang.
    "socket_timeout": 5,
    "socket_connect_timeout": 3,
    "socket_keepalive": True,
    "health_check_interval": 25,
    # A publish tries to connect once. While Redis is down, kombu's own retries would take 6 s, and
    # 8 s while its host is down.
    "max_retries": 0,
}
# The API must answer while Redis is frozen: it tries once, and the sweeper sends the message again.
task_publish_retry = False
# As many connections as the API has threads. With fewer, requests would wait for each other's 5 s
# timeout while Redis is frozen.
broker_pool_limit = 64

# Three queues, so that a backfill delays neither scans nor the sweeper. The queue `control` has a
# worker of its own.
task_queues = [Queue(name, routing_key=name) for name in names.ALL_QUEUES]
task_default_queue = names.INTERACTIVE_QUEUE
task_create_missing_queues = False

# Flower and the metrics need the events of tasks that start and end.
worker_send_task_events = True
task_send_sent_event = True
task_track_started = True

# A result may list thousands of anomalies, so logs and Flower show only its beginning. `Request`
# adds the run to a task's log lines.
task_annotations = {"*": {"resultrepr_maxsize": 200, "Request": "tasks.process.consumer:Request"}}
timezone = "UTC"
