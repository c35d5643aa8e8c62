# SPDX-License-Identifier: GPL-3.0-or-later
"""What Artemis does with messages, of the default version and of that which labs may have: as it is
created, with prefixes, and with the lines that a message names. Takes 30 s per version, and needs
Maven Central once."""

from __future__ import annotations

import re

import pytest

from helpers.brokers import ARTEMIS, PASSWORD, USER, Artemis
from helpers.used_services import findings, texts

pytestmark = pytest.mark.nightly
NEEDS = {"anycast": ["/queue/x.work"], "multicast": ["/topic/x"]}
BARE = {"anycast": ["work"], "multicast": ["news"], "bare_names": True}
LINE = re.compile(r"in <([a-z-]+)>: (<.*>)")


@pytest.fixture(name="artemis", scope="module", params=sorted(ARTEMIS))
def an_artemis(request, tmp_path_factory):
    with Artemis(tmp_path_factory.mktemp("artemis"), request.param).running() as broker:
        yield broker


def item(needs, **more):
    given = {"protocol": "stomp", "user": USER, "password": PASSWORD, "needs": needs}
    return {**given, "probe": "swf.probe.", "instance": "swf-testbed", **more}


def test_headers_make_queues_without_an_administrator(artemis):
    needs = {**NEEDS, "routing_headers": True, "selectors": True, "bare_names": True}
    assert texts(artemis.port, **item(needs)) == []


@pytest.mark.parametrize("needs", [NEEDS, {**NEEDS, "routing_headers": True}])
def test_prefixes_make_queues(artemis, needs):
    assert texts(artemis.prefixed, **item(needs)) == []


def test_a_limited_login(artemis):
    login = {"user": "guest", "password": "canary"}
    (found,) = findings(artemis.port, **item(NEEDS, **login))
    assert found["cause"].startswith("the broker is not verified"), found
    needs = {**NEEDS, "routing_headers": True}
    assert texts(artemis.port, **item(needs, probe="lab.probe.", **login)) == []


def test_a_wrong_password(artemis):
    (text,) = texts(artemis.port, **item(NEEDS, password="canary"))
    assert "the broker refuses the login" in text and "password is invalid" in text


@pytest.mark.parametrize("needs", [NEEDS, BARE])
def test_the_lines_of_the_message_are_the_fix(artemis, needs):
    """The last one, because the broker has them from then on."""
    (text,) = texts(artemis.port, **item(needs))
    assert "6 and 6 of 6 messages, and each must have one reader" in text
    lines = LINE.findall(text)
    assert [section for section, _line in lines] == ["addresses", "address-settings"]
    assert needs["anycast"][0] in lines[0][1] and "ActiveMQ-Artemis/" in text
    artemis.add(lines)
    assert texts(artemis.port, **item(needs)) == []
