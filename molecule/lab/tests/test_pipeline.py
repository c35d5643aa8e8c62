# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages and files go through the whole lab, and the monitor shows them to those who log in."""

from __future__ import annotations

import json
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request

import pytest


def test_files_are_registered_processed_and_sampled(lab, wait_until):
    before = lab.stf()
    wait_until(
        lambda: all(
            lab.stf().get(key, 0) >= before[key] + 3 for key in ("total", "processed", "sampled")
        ),
        60,
        lab.stf,
    )
    assert lab.stf()["failed"] == 0


def test_health_is_ok(lab):
    health = lab.ask("/api/health/")
    assert health["status"] == "ok" and health["listener"]["subscribed"], json.dumps(health)
    assert health["database"]["engine"] == "postgresql"


def test_every_agent_is_alive_on_its_own_host(lab, wait_until):
    wanted = {
        program.partition("-")[0] + "@swf-testbed.swf-testbed." + name
        for name in lab.agents
        for program in lab.variables[name]["swf_testbed_components"]
    }
    wait_until(
        lambda: (
            {
                agent["instance_name"]
                for agent in lab.ask("/api/summary/")["agents"]
                if agent["alive"]
            }
            == wanted
        ),
        30,
        lambda: lab.ask("/api/summary/"),
    )


class Browser:
    """Without the token of the programs."""

    def __init__(self, lab):
        self.url = lab.url
        self.opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=lab.tls()), urllib.request.HTTPCookieProcessor()
        )

    def open(self, path, form=None):
        """(address of the page after redirections, its text)"""
        url = path if path.startswith("http") else self.url + path
        data = urllib.parse.urlencode(form).encode() if form else None
        # of the form, which Django compares
        request = urllib.request.Request(url, data, {"Referer": url})
        with self.opener.open(request, timeout=10) as answer:
            return answer.url, answer.read().decode()

    def log_in(self, name, password):
        _url, page = self.open("/login/")
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page).group(1)
        form = {"username": name, "password": password, "csrfmiddlewaretoken": token, "next": "/"}
        return self.open("/login/", form)


def test_a_person_sees_files_and_agents_after_a_login_alone(lab):
    browser = Browser(lab)
    url, page = browser.open(lab.url.replace("https:", "http:") + "/files/")
    assert url == lab.url + "/login/?next=/files/" and "swf." not in page
    password = (lab.secrets / "monitor_user_swf").read_text().strip()
    url, page = browser.log_in("swf", password)
    assert url == lab.url + "/"
    assert re.search(r"swf\.\d{6}\.\d{6}\.stf", page)
    for agent in lab.ask("/api/summary/")["agents"]:
        assert agent["instance_name"] in page


def test_messages_of_agents_on_two_hosts_are_recorded(lab):
    senders = {message["sender"] for message in lab.ask("/api/messages/?limit=100")["results"]}
    assert {sender.rpartition(".")[2] for sender in senders} == set(lab.agents), senders


def test_the_file_that_one_host_wrote_is_the_one_that_another_read(lab):
    row = lab.files("&status=processed")[0]
    paths = {
        lab.host(lab.host_of(program)).check_output("sha256sum %s", row["path"]).split()[0]
        for program in ("daqsim-agent", "processing-agent")
    }
    assert lab.host_of("daqsim-agent") != lab.host_of("processing-agent")
    assert {"sha256:" + digest for digest in paths} == {row["checksum"]}


def test_a_browser_without_the_ca_is_warned(lab):
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.urlopen(lab.url, timeout=10, context=ssl.create_default_context())


def test_nobody_reads_the_numbers_without_the_token(lab):
    with urllib.request.urlopen(lab.url + "/api/health/", timeout=10, context=lab.tls()) as answer:
        assert json.load(answer) == {"status": "ok"}
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(lab.url + "/api/summary/", timeout=10, context=lab.tls())
    assert refused.value.code == 401


def test_nobody_writes_without_the_token(lab):
    request = urllib.request.Request(
        lab.url + "/api/runs/", data=b"{}", headers={"Content-Type": "application/json"}
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(
            request, timeout=10, context=ssl.create_default_context(cafile=lab.ca_file)
        )
    assert refused.value.code in (401, 403)


def test_packages_came_from_the_index_of_the_lab_alone(lab):
    """The hosts of agents have no access to the internet. The index cached their downloads."""
    cached = lab.host(lab.services).check_output(
        "find /var/lib/swf-index/mirror -name '*.whl' | wc -l"
    )
    assert int(cached) > 20
