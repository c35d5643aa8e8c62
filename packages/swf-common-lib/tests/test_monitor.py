# SPDX-License-Identifier: GPL-3.0-or-later
"""The REST client, against the real monitor, and against a stand-in for failures."""

from __future__ import annotations

import logging
import secrets
import ssl
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from proxies import Proxy
from standin import StandInMonitor

from swf_common_lib.monitor import (
    MonitorClient,
    MonitorResponseError,
    MonitorUnavailable,
    TokenError,
)
from swf_common_lib.settings import MonitorSettings
from swf_common_lib.shutdown import Shutdown, Stopping
from swf_common_lib.stf import StfName
from swf_common_lib.testing import MonitorProgram, free_port, wait_until

TOKEN = secrets.token_hex(20)
CHECKSUM = "sha256:" + "0" * 64


@pytest.fixture(autouse=True)
def no_token_in_the_logs(
    caplog: pytest.LogCaptureFixture, monitor: MonitorProgram
) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    assert TOKEN not in caplog.text
    assert monitor.token not in caplog.text


def client(
    url: str,
    token: str = TOKEN,
    patient: bool = True,
    shutdown: Shutdown | None = None,
    ca_certs: str = "",
) -> MonitorClient:
    return MonitorClient(MonitorSettings(url, token, ca_certs), shutdown or Shutdown(), patient)


def register(real: MonitorClient, name: StfName) -> None:
    real.register_stf(
        filename=str(name),
        run_id=name.run_id,
        path=f"/data/{name}",
        size_bytes=3,
        checksum=CHECKSUM,
        sequence=name.sequence,
    )


class TestRealMonitor:
    def test_a_file_from_its_registration_to_its_end(self, monitor: MonitorProgram) -> None:
        real = client(monitor.url, monitor.token)
        run_id = real.create_run()
        real.update_run(run_id, status="running")
        name = StfName(run_id, 1)
        register(real, name)
        register(real, name)
        assert real.update_stf(str(name), status="processing")["status"] == "processing"
        assert (
            real.update_stf(str(name), status="processed", processing_seconds=0.5)["status"]
            == "processed"
        )
        assert real.update_stf(str(name), status="processing")["status"] == "processed"
        assert [row["filename"] for row in real.stf_files(run_id=run_id, sampled="false")] == [
            str(name)
        ]
        real.register_tf(
            filename=name.time_frame(0), stf_filename=str(name), size_bytes=1, offset=0
        )
        assert real.stf_files(run_id=run_id, sampled="false") == []
        assert next(run["status"] for run in real.runs() if run["run_id"] == run_id) == "running"
        assert real.summary()["stf"]["total"] >= 1
        assert real.messages() == []
        real.heartbeat(instance_name="a@b", agent_type="data", status="OK")
        assert "a@b" in {agent["instance_name"] for agent in real.agents()}

    def test_a_long_list_is_read_to_its_end(
        self, monitor: MonitorProgram, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("swf_common_lib.monitor._PAGE", 2)
        real = client(monitor.url, monitor.token)
        run_id = real.create_run()
        for sequence in range(1, 6):
            register(real, StfName(run_id, sequence))
        assert len({row["filename"] for row in real.stf_files(run_id=run_id)}) == 5
        assert len(real.stf_files(run_id=run_id, limit=3)) == 3

    def test_health_is_reported_also_when_it_is_bad(self, monitor: MonitorProgram) -> None:
        health = client(monitor.url, monitor.token).health()
        assert health["status"] == "error", "there is no listener"
        assert health["database"]["ok"]

    def test_a_wrong_token_is_refused_at_once(self, monitor: MonitorProgram) -> None:
        with pytest.raises(TokenError, match="SWF_API_TOKEN") as error:
            client(monitor.url).create_run()
        assert TOKEN not in "".join(traceback.format_exception(error.type, error.value, error.tb))

    def test_it_waits_for_a_monitor_that_is_down(self, monitor: MonitorProgram) -> None:
        monitor.stop()
        runs: list[int] = []
        real = client(monitor.url, monitor.token)
        asking = threading.Thread(target=lambda: runs.append(real.create_run()), daemon=True)
        asking.start()
        time.sleep(1)
        monitor.start()
        asking.join(30)
        assert len(runs) == 1

    def test_tls_needs_the_right_authority(self, monitor: MonitorProgram, tmp_path: Path) -> None:
        authority, other = trustme.CA(), trustme.CA()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        other.cert_pem.write_to_path(tmp_path / "other.pem")
        with Proxy(monitor.port, context) as proxy:
            url = f"https://127.0.0.1:{proxy.port}"
            good = client(url, monitor.token, ca_certs=str(tmp_path / "ca.pem"))
            assert good.summary()["runs"] >= 0
            for ca_certs in (str(tmp_path / "other.pem"), ""):
                bad = client(url, monitor.token, patient=False, ca_certs=ca_certs)
                with pytest.raises(MonitorUnavailable, match="certificate verify failed"):
                    bad.summary()


def test_failures_of_the_monitor_are_tried_again_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    failures = [(503, ""), (500, ""), (500, ""), (429, ""), (200, "<html>")]
    with StandInMonitor(*failures, (201, {"run_id": 7})) as stand_in:
        assert client(stand_in.url).create_run() == 7
        assert len(stand_in.requests) == 6
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == 4, "one per cause in a row"


@pytest.mark.parametrize("status", [400, 404, 409, 302])
def test_a_refused_request_is_not_tried_again(status: int) -> None:
    elsewhere = {"Location": "http://127.0.0.1:1/"}
    with StandInMonitor((status, {"detail": "no such run"}), headers=elsewhere) as stand_in:
        with pytest.raises(
            MonitorResponseError, match=f"{status} for PATCH /api/runs/3/: .*no such run"
        ) as error:
            client(stand_in.url).update_run(3, status="ended")
        assert error.value.status == status
        assert len(stand_in.requests) == 1


def test_a_request_beyond_the_rights_of_the_token_shows_the_cause() -> None:
    cause = "The login may not change it. Evidence: it is of lab. Fix: use another login"
    for answer, shown in (({"detail": cause}, cause), ("<html>\n", "check SWF_API_TOKEN")):
        with StandInMonitor((403, answer)) as stand_in, pytest.raises(TokenError) as error:
            client(stand_in.url).create_run()
        assert str(error.value) == f"the monitor refused the token (403): {shown}"


def test_a_client_that_is_not_patient_fails_at_once() -> None:
    with pytest.raises(MonitorUnavailable) as error:
        client(f"http://127.0.0.1:{free_port()}", patient=False).summary()
    assert str(error.value) == "Connection refused"
    assert TOKEN not in "".join(traceback.format_exception(error.type, error.value, error.tb))


def test_the_wait_ends_with_the_request_to_stop() -> None:
    shutdown = Shutdown()
    threading.Timer(0.5, shutdown.request).start()
    with pytest.raises(Stopping):
        client(f"http://127.0.0.1:{free_port()}", shutdown=shutdown).create_run()


def test_netrc_and_proxies_of_the_user_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login index password index-password\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    with StandInMonitor((200, {"runs": 0})) as stand_in:
        client(stand_in.url).summary()
        ((_, _, headers),) = stand_in.requests
    assert headers["Authorization"] == f"Token {TOKEN}"


def test_requests_from_many_threads(monitor: MonitorProgram) -> None:
    real = client(monitor.url, monitor.token)
    runs: list[int] = []
    threads = [threading.Thread(target=lambda: runs.append(real.create_run())) for _ in range(12)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(set(runs)) == 12)
