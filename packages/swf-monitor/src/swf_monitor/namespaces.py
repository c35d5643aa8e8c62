# SPDX-License-Identifier: GPL-3.0-or-later
"""Which testbed uses a namespace, which data directory it has, and the messages that were set aside
in it."""

import json
import uuid
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from swf_common_lib.messages import MONITOR_QUEUE
from swf_common_lib.namespace import Namespace as Claim

from swf_monitor import summary
from swf_monitor.models import AgentStatus, Namespace, Run, SetAsideMessage, SystemAgent

# The newest messages that were set aside; others are deleted.
SET_ASIDE_RETAINED = 1000
# Earlier ones do not affect the health.
SET_ASIDE_SHOWN = timedelta(hours=1)


class NamespaceError(Exception):
    """The namespace belongs to another testbed, or is in use; the text has the cause, the evidence
    and the fix."""


def claim(claim: Claim, agent: str, *, adopts_runs: bool = True) -> Namespace:
    """Claim a namespace, or confirm the claim of its owner.

    Args:
        adopts_runs: Whether the claimant may change runs without a namespace.

    Raises:
        NamespaceError: it belongs to another owner, who was seen recently enough.
    """
    now = timezone.now()
    # The row is locked until the end of the transaction, so only the first of two claimants gets it.
    with transaction.atomic():
        row, _created = Namespace.objects.select_for_update().get_or_create(
            name=claim.name, defaults={"owner": claim.owner, "namespace_id": uuid.uuid4().hex}
        )
        if row.owner != claim.owner:
            if row.owner != claim.take_over_from and not expired(row, now):
                raise NamespaceError(_refusal(row, claim, now))
            row = Namespace(name=claim.name, owner=claim.owner, namespace_id=uuid.uuid4().hex)
        row.last_seen, row.last_agent = now, agent
        row.save()
        if adopts_runs:
            _adopt_runs(row)
    return row


def _adopt_runs(row: Namespace) -> None:
    """Give runs without a namespace, which an earlier version made, to the only one. Its data agent
    then sends their unfinished files again."""
    if Namespace.objects.exclude(pk=row.pk).exists():
        return
    Run.objects.filter(namespace="", metadata__isnull=True).update(namespace=row.name)


def confirm(
    name: str, owner: str, namespace_id: str, agent: str, *, adopts_runs: bool = True
) -> None:
    """Confirm the claim of an agent that works.

    Raises:
        NamespaceError: the namespace belongs to another owner, or this monitor does not know the
            claim.
    """
    now = timezone.now()
    claimed = Namespace.objects.filter(name=name, owner=owner)
    if namespace_id:
        claimed = claimed.filter(namespace_id=namespace_id)
    if claimed.update(last_seen=now, last_agent=agent):
        return
    if not namespace_id:
        # an agent without work in the namespace
        claim(Claim(name, owner), agent, adopts_runs=adopts_runs)
        return
    row = Namespace.objects.filter(name=name).first()
    if row and row.owner != owner:
        raise NamespaceError(_refusal(row, Claim(name, owner), now))
    raise NamespaceError(
        f"The claim of the namespace {name} is not valid any more. Evidence: this monitor has "
        f"{'another id for it' if row else 'no claim of it'}. Fix: restart the agent"
    )


def expired(row: Namespace, now: datetime) -> bool:
    """Whether another testbed may claim it."""
    return summary.age(row.last_seen, now) > settings.NAMESPACE_EXPIRY_DAYS * 86400


def _refusal(row: Namespace, claim: Claim, now: datetime) -> str:
    return (
        f"The namespace {row.name} belongs to another testbed. Evidence: its owner is {row.owner} "
        f"since {row.claimed_at:%Y-%m-%d %H:%M} UTC, last seen {summary.age(row.last_seen, now):.0f} "
        f"s ago by {row.last_agent or 'no agent'}; this testbed is {claim.owner}. Fix: set another "
        "swf_testbed_namespace (SWF_NAMESPACE); or, if that testbed is gone, set "
        f"swf_testbed_namespace_take_over (SWF_NAMESPACE_TAKE_OVER) to {row.owner}"
    )


def mark_data(name: str, owner: str, data_id: str, place: str) -> Namespace:
    """Record the data directory of a namespace, unless it has one.

    Raises:
        NamespaceError: the owner has not claimed the namespace.
    """
    mine = Namespace.objects.filter(name=name, owner=owner)
    mine.filter(data_id="").update(data_id=data_id, data_place=place)
    row = mine.first()
    if row is None:
        raise NamespaceError(
            f"The namespace {name} is not claimed by this testbed. Evidence: {owner} has no claim "
            "of it. Fix: restart the agent"
        )
    return row


def release(name: str, owner: str) -> None:
    """Release a claim. A namespace that is not claimed is not an error.

    Raises:
        NamespaceError: it belongs to another owner, or some of its agents are alive.
    """
    now = timezone.now()
    with transaction.atomic():
        row = Namespace.objects.select_for_update().filter(name=name).first()
        if row is None:
            return
        if row.owner != owner:
            raise NamespaceError(_refusal(row, Claim(name, owner), now))
        agents = SystemAgent.objects.filter(namespace=name).exclude(status=AgentStatus.EXITED)
        alive = [
            agent.instance_name
            for agent in agents
            if summary.age(agent.last_heartbeat, now)
            < summary.fresh_seconds(agent.heartbeat_interval)
        ]
        if alive:
            raise NamespaceError(
                f"The namespace {name} is in use. Evidence: {', '.join(alive[:5])} sent heartbeats. "
                "Fix: stop these agents first"
            )
        row.delete()


def set_aside(
    namespace: str, receiver: str, destination: str, reason: str, body: str
) -> SetAsideMessage:
    """Store a message that nobody can handle, and delete the oldest surplus ones."""
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError):
        sent = {}
    sent = sent if isinstance(sent, dict) else {}
    row = SetAsideMessage.objects.create(
        namespace=namespace,
        receiver=receiver,
        destination=destination[:255],
        reason=_plain(reason)[:1000],
        msg_type=_plain(sent.get("msg_type"))[:64],
        sender=_plain(sent.get("sender"))[:200],
        sender_namespace=_plain(sent.get("namespace"))[:100],
        body=_plain(body),
    )
    SetAsideMessage.objects.filter(pk__lte=row.pk - SET_ASIDE_RETAINED).delete()
    return row


def _plain(value: Any) -> str:
    """A text that both databases can hold; "" for other values."""
    if not isinstance(value, str):
        return ""
    return value.replace("\0", "\\0").encode(errors="backslashreplace").decode()


def set_aside_state(namespace: str = "") -> dict[str, Any]:
    """The messages that were set aside recently, in all namespaces or one, for the health report."""
    rows = SetAsideMessage.objects.filter(received_at__gt=timezone.now() - SET_ASIDE_SHOWN)
    if namespace:
        rows = rows.filter(namespace=namespace)
    last = rows.first()
    if last is None:
        return {"ok": True, "set_aside": 0, "last": None, "detail": "none was set aside"}
    count = rows.count()
    return {
        "ok": False,
        "set_aside": count,
        "last": {
            name: getattr(last, name)
            for name in ("sender", "sender_namespace", "destination", "reason", "namespace")
        },
        "detail": f"{count} set aside in the last hour; the last one is from "
        f"{last.sender or 'an unknown sender'} (namespace {last.sender_namespace or 'unknown'}) at "
        f"{last.destination}, {last.reason}. Look at: GET /api/set-aside-messages/",
    }


def monitor_queues() -> dict[str, Namespace]:
    """The queue of the monitor in each claimed namespace."""
    return {
        Claim(row.name, row.owner).address(MONITOR_QUEUE): row for row in Namespace.objects.all()
    }
