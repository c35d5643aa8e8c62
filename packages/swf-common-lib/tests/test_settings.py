# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings: defaults, secrets in files, and errors that name the variable and show no secret."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from swf_common_lib.namespace import login, valid_namespace
from swf_common_lib.settings import AgentSettings, ConfigurationError, Environment

TOKEN = "c0ffee" * 6 + "abcd"
GOOD = {"SWF_API_TOKEN": TOKEN}


def read(**variables: str) -> AgentSettings:
    return AgentSettings.from_environment("data", Environment({**GOOD, **variables}))


def test_defaults() -> None:
    settings = read()
    assert (settings.broker.host, settings.broker.port, settings.broker.heartbeat_ms) == (
        "127.0.0.1",
        61613,
        10000,
    )
    assert settings.monitor.url == "http://127.0.0.1:8002"
    assert valid_namespace(settings.namespace.name)
    assert settings.namespace.name.startswith(login())
    assert settings.heartbeat_interval == 10
    assert settings.agent_name.startswith("data@")
    assert settings.data_dir == Path("data").absolute()


def test_a_secret_comes_from_a_file_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN + "\n")
    (tmp_path / "password").write_text(" with blanks \r\n")
    settings = AgentSettings.from_environment(
        "data",
        Environment(
            {
                "SWF_API_TOKEN_FILE": str(tmp_path / "token"),
                "ACTIVEMQ_USER": "swf",
                "ACTIVEMQ_PASSWORD_FILE": str(tmp_path / "password"),
            }
        ),
    )
    assert settings.monitor.token == TOKEN
    assert settings.broker.password == " with blanks "


def test_a_representation_shows_no_secret() -> None:
    shown = repr(read(ACTIVEMQ_USER="swf", ACTIVEMQ_PASSWORD="hunter2hunter2"))
    assert TOKEN not in shown
    assert "hunter2" not in shown


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"SWF_API_TOKEN": ""}, "SWF_API_TOKEN"),
        ({"SWF_NAMESPACE": "a.b"}, "SWF_NAMESPACE"),
        ({"SWF_NAMESPACE": "A"}, "SWF_NAMESPACE"),
        ({"SWF_NAMESPACE": "-a"}, "SWF_NAMESPACE"),
        ({"SWF_NAMESPACE": "a" * 101}, "SWF_NAMESPACE"),
        ({"SWF_API_TOKEN": TOKEN[:-1]}, "SWF_API_TOKEN"),
        ({"SWF_API_TOKEN": TOKEN + "\nX-Other: 1"}, "SWF_API_TOKEN"),
        ({"SWF_API_TOKEN_FILE": "/some/file"}, "SWF_API_TOKEN_FILE"),
        ({"SWF_API_TOKEN": "", "SWF_API_TOKEN_FILE": "/no/such/file"}, "/no/such/file"),
        ({"SWF_API_TOKEN": "", "SWF_API_TOKEN_FILE": "/dev/null"}, "SWF_API_TOKEN_FILE"),
        ({"ACTIVEMQ_PORT": "many"}, "ACTIVEMQ_PORT"),
        ({"ACTIVEMQ_PORT": "65536"}, "ACTIVEMQ_PORT"),
        ({"ACTIVEMQ_USE_SSL": "perhaps"}, "ACTIVEMQ_USE_SSL"),
        ({"ACTIVEMQ_SSL_CA_CERTS": "/no/such/file"}, "ACTIVEMQ_SSL_CA_CERTS"),
        ({"ACTIVEMQ_PASSWORD": "hunter2hunter2"}, "ACTIVEMQ_USER"),
        ({"SWF_MONITOR_URL": "monitor:8002"}, "SWF_MONITOR_URL"),
        ({"SWF_MONITOR_URL": "http://user:hunter2hunter2@monitor"}, "SWF_MONITOR_URL"),
        ({"SWF_MONITOR_URL": "http://[::1"}, "SWF_MONITOR_URL"),
        ({"SWF_HEARTBEAT_INTERVAL": "nan"}, "SWF_HEARTBEAT_INTERVAL"),
        ({"SWF_HEARTBEAT_INTERVAL": "0"}, "SWF_HEARTBEAT_INTERVAL"),
        ({"SWF_LOG_LEVEL": "loud"}, "SWF_LOG_LEVEL"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(variables: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        read(**variables)
    text = str(error.value)
    assert named in text
    assert "\n" not in text
    assert "hunter2" not in text
    assert TOKEN[:-1] not in text


def test_programs_instances_and_logins_have_names_of_their_own() -> None:
    names = [
        read(**variables).agent_name
        for variables in (
            {"SUPERVISOR_PROCESS_NAME": "data-agent"},
            {"SWF_INSTANCE": "one", "SUPERVISOR_PROCESS_NAME": "data-agent"},
            {"SWF_INSTANCE": "two"},
            {"SWF_INSTANCE": "two", "SUPERVISOR_PROCESS_NAME": "data-agent-2"},
        )
    ]
    place = f"{login()}.{socket.gethostname()}"
    assert names == [
        f"data@{place}",
        f"data@one.{place}",
        f"data@two.{place}",
        f"data-agent-2@two.{place}",
    ]


def test_a_queue_is_one_word_of_an_address() -> None:
    namespace = read(SWF_NAMESPACE="lab_1-x").namespace
    assert namespace.address("data") == "/queue/swf.lab_1-x.data"
    assert namespace.address("/topic/epictopic") == "/topic/epictopic"
