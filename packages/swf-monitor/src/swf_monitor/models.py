# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor's records: agents, namespaces, runs, STF and TF files, messages, counters, the state of
the listener."""

from django.db import models
from django.utils import timezone


class AgentStatus(models.TextChoices):
    """The status that an agent reports. Whether it is alive follows from the age of its
    heartbeat."""

    OK = "OK"
    WARNING = "WARNING"
    ERROR = "ERROR"
    # The last heartbeat of an agent of the public testbed. The reference agents send a DELETE.
    EXITED = "EXITED"


class OperationalState(models.TextChoices):
    """The activity that an agent of the public testbed reports."""

    STARTING = "STARTING"
    READY = "READY"
    PROCESSING = "PROCESSING"
    EXITED = "EXITED"


class SystemAgent(models.Model):
    """One instance of an agent, with its newest heartbeat."""

    instance_name = models.CharField(max_length=200, unique=True)
    agent_type = models.CharField(max_length=64)
    status = models.CharField(max_length=10, choices=AgentStatus.choices)
    # Defaults of the database: an earlier monitor, after a rollback, does not set these columns.
    operational_state = models.CharField(
        max_length=10, choices=OperationalState.choices, blank=True, default="", db_default=""
    )
    namespace = models.CharField(max_length=100, blank=True, default="", db_default="")
    hostname = models.CharField(max_length=255, blank=True)
    pid = models.PositiveIntegerField(null=True)
    version = models.CharField(max_length=64, blank=True)
    description = models.TextField(blank=True)
    started_at = models.DateTimeField(null=True)
    # Seconds until the next heartbeat is due.
    heartbeat_interval = models.FloatField(default=10.0, db_default=10.0)
    last_heartbeat = models.DateTimeField()

    class Meta:
        ordering = ("agent_type", "instance_name")

    def __str__(self) -> str:
        return self.instance_name


class Namespace(models.Model):
    """A namespace that a testbed claimed. Others are refused until it is released or expires."""

    name = models.CharField(max_length=100, primary_key=True)
    # The identity of the testbed, the same for all of its programs.
    owner = models.CharField(max_length=255)
    # In each message. A new owner gets a new one.
    namespace_id = models.CharField(max_length=32)
    claimed_at = models.DateTimeField(default=timezone.now)
    last_seen = models.DateTimeField(default=timezone.now)
    last_agent = models.CharField(max_length=200, blank=True)
    # The id in the marker of the data directory, and its host and path. "": it has none yet.
    data_id = models.CharField(max_length=64, blank=True, default="")
    data_place = models.TextField(blank=True, default="")

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class SetAsideMessage(models.Model):
    """A message that nobody could handle: of another namespace, malformed or refused."""

    # That of the receiver.
    namespace = models.CharField(max_length=100)
    receiver = models.CharField(max_length=200)
    destination = models.CharField(max_length=255, blank=True)
    reason = models.CharField(max_length=1000)
    msg_type = models.CharField(max_length=64, blank=True)
    sender = models.CharField(max_length=200, blank=True)
    sender_namespace = models.CharField(max_length=100, blank=True)
    body = models.TextField()
    received_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.msg_type or 'message'} at {self.destination}"


class RunStatus(models.TextChoices):
    IMMINENT = "imminent"
    RUNNING = "running"
    ENDED = "ended"


# The statuses from which each status can be reached. An ended run does not change.
RUN_BEFORE: dict[str, tuple[str, ...]] = {
    RunStatus.IMMINENT: (),
    RunStatus.RUNNING: (RunStatus.IMMINENT,),
    RunStatus.ENDED: (RunStatus.IMMINENT, RunStatus.RUNNING),
}


class Run(models.Model):
    """One data-taking run. Its number is never reused, not even after the row was pruned."""

    run_id = models.BigAutoField(primary_key=True)
    # "": a run of the public testbed, or of an earlier version whose namespace is not claimed yet.
    namespace = models.CharField(max_length=100, blank=True, default="", db_default="")
    status = models.CharField(max_length=10, choices=RunStatus.choices, default=RunStatus.IMMINENT)
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    total_files = models.PositiveIntegerField(null=True)
    # The `run_conditions` of a run of the public testbed. None: a run of the reference agents.
    metadata = models.JSONField(null=True)

    class Meta:
        ordering = ("-run_id",)

    def __str__(self) -> str:
        return f"run {self.run_id}"


class StfStatus(models.TextChoices):
    REGISTERED = "registered"
    PROCESSING = "processing"
    PROCESSED = "processed"
    FAILED = "failed"


class StfFile(models.Model):
    """One super time frame file on its way through the testbed."""

    filename = models.CharField(max_length=255, unique=True)
    # No index of its own: the one on (run, sequence) serves the same look-ups.
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="stf_files", db_index=False)
    path = models.TextField()
    # Files of the public testbed may have no size, path or checksum.
    size_bytes = models.PositiveBigIntegerField(null=True)
    checksum = models.CharField(max_length=71)
    sequence = models.PositiveIntegerField()
    status = models.CharField(
        max_length=10, choices=StfStatus.choices, default=StfStatus.REGISTERED
    )
    reason = models.TextField(blank=True)
    processing_seconds = models.FloatField(null=True)
    registered_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    sampled_at = models.DateTimeField(null=True)
    # Of a file of the public testbed.
    metadata = models.JSONField(null=True)

    class Meta:
        ordering = ("-id",)
        indexes = (
            models.Index(fields=["run", "sequence"], name="stf_run_sequence"),
            models.Index(fields=["status", "id"], name="stf_status"),
            # Few files are unsampled, so this index stays small for any number of files.
            models.Index(
                fields=["id"], name="stf_unsampled", condition=models.Q(sampled_at__isnull=True)
            ),
        )

    def __str__(self) -> str:
        return self.filename


class TfFile(models.Model):
    """One time frame sampled out of an STF file."""

    filename = models.CharField(max_length=255, unique=True)
    stf_file = models.ForeignKey(StfFile, on_delete=models.CASCADE, related_name="tf_files")
    size_bytes = models.PositiveBigIntegerField()
    # None: a time frame of the public testbed, with the numbers of its first and last one.
    offset = models.PositiveBigIntegerField(null=True)
    registered_at = models.DateTimeField(default=timezone.now)
    metadata = models.JSONField(null=True)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return self.filename


class Message(models.Model):
    """One message of the workflow, as the listener received it."""

    # Identifies a redelivered message.
    message_id = models.UUIDField(unique=True)
    msg_type = models.CharField(max_length=64)
    namespace = models.CharField(max_length=100, blank=True)
    sender = models.CharField(max_length=200, blank=True)
    # No foreign key: a message may arrive before the run is recorded, and outlive it.
    run_id = models.BigIntegerField(null=True)
    filename = models.CharField(max_length=255, blank=True)
    sent_at = models.DateTimeField(null=True)
    received_at = models.DateTimeField(default=timezone.now)
    body = models.JSONField()

    class Meta:
        # One order for lists, for pruning, and for the messages of the last hour, so that two
        # indexes are enough.
        ordering = ("-received_at", "-id")
        indexes = (
            models.Index(fields=["received_at", "id"], name="message_received"),
            models.Index(fields=["msg_type", "received_at", "id"], name="message_type"),
        )

    def __str__(self) -> str:
        return f"{self.msg_type} {self.message_id}"


class Counter(models.Model):
    """The last number of a sequence, for example of the names of agents."""

    name = models.CharField(max_length=20, primary_key=True)
    value = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name} {self.value}"


class ListenerState(models.Model):
    """The single row in which the listener records its state (its key is always 1)."""

    subscribed = models.BooleanField(default=False)
    detail = models.TextField(blank=True)
    updated_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return "listener"
