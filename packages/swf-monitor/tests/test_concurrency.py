# SPDX-License-Identifier: GPL-3.0-or-later
"""SQLite while the server and a second process write at the same time, without a pause."""

from concurrent.futures import ThreadPoolExecutor

from conftest import Api, Site

WRITER = """
import sys, time, uuid
from django.db import transaction
from django.utils import timezone
from swf_monitor.models import ListenerState, Message
end = time.monotonic() + float({seconds})
count = 0
while time.monotonic() < end:
    message = Message(message_id=uuid.uuid4(), msg_type="stf_gen", body={{}})
    Message.objects.bulk_create([message], ignore_conflicts=True)
    state = {{"subscribed": True, "updated_at": timezone.now()}}
    ListenerState.objects.update_or_create(pk=1, defaults=state)
    count += 1
print(count)
"""


def work(api: Api, worker: int) -> list[int]:
    """All requests of the agents."""
    statuses = []
    for number in range(8):
        run_id = api.post("/api/runs/", {}).json["run_id"]
        name = f"swf.{worker}.{number}.stf"
        stf = {
            "filename": name,
            "run_id": run_id,
            "path": "/x",
            "size_bytes": 1,
            "checksum": "sha256:" + "0" * 64,
            "sequence": 1,
        }
        tf = {"filename": f"{name}.tf", "stf_filename": name, "size_bytes": 1, "offset": 0}
        heartbeat = {"instance_name": f"agent{worker}", "agent_type": "data", "status": "OK"}
        statuses += [
            api.patch(f"/api/runs/{run_id}/", {"status": "running"}).status,
            api.post("/api/stf-files/", stf).status,
            api.patch(f"/api/stf-files/{name}/", {"status": "processing"}).status,
            api.post("/api/tf-files/", tf).status,
            api.patch(f"/api/stf-files/{name}/", {"status": "processed"}).status,
            api.post("/api/systemagents/heartbeat/", heartbeat).status,
            api.get("/api/summary/").status,
            api.get("/").status,
        ]
    return statuses


def test_nothing_is_ever_locked(site: Site) -> None:
    program, api = site.serve("--setup")
    with ThreadPoolExecutor(8) as pool:
        writing = [pool.submit(site.python, WRITER.format(seconds=4)) for _ in range(2)]
        working = [pool.submit(work, api, worker) for worker in range(6)]
        statuses = [status for future in working for status in future.result()]
        written = sum(int(future.result()) for future in writing)
    assert set(statuses) <= {200, 201}
    summary = api.get("/api/summary/").json
    assert summary["stf"] == {
        "total": 48,
        "registered": 0,
        "processing": 0,
        "processed": 48,
        "failed": 0,
        "sampled": 48,
    }
    assert summary["tf"] == 48
    assert summary["messages"] == written > 0
    assert "locked" not in program.output
