# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._addresses import (
    host_refusal,
    is_loopback,
    url_refusal,
)

WEB = ("http", "https")


@pytest.mark.parametrize(
    "host",
    [
        "::1",
        "2001:db8::7",
        "192.0.2.7",
        "127.0.0.1",
        "localhost",
        "lab-1",
        "a_b.example.org",
        "x.y.z.org",
        "123.example.org",
        "::ffff:192.0.2.7",
    ],
)
def test_hosts(host):
    assert host_refusal(host) is None
    shown = "[%s]" % host if ":" in host else host
    assert url_refusal("https://%s:8443/path" % shown, WEB)[0] is None


@pytest.mark.parametrize(
    "host",
    [
        "",
        "[::1]",
        "::1%lo",
        "1.2.3",
        "256.1.1.1",
        "a..b",
        ".a",
        "a.",
        "a b",
        "a/b",
        "*.example.org",
        "x:1",
        "http://x",
        "ü.org",
        "a" * 64,
        "a\nb",
        "a\n",
    ],
)
def test_no_hosts(host):
    assert host_refusal(host)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "//x",
        "http://",
        "https://a b",
        "http://x:0",
        "http://x:65536",
        "http://x:y",
        "http://1.2.3",
        "http://x#y",
        "file:///x",
        "http://x\n",
        "http://[fe80::1%25lo]",
    ],
)
def test_no_urls(url):
    assert url_refusal(url, WEB)[0]


def test_a_url_with_credentials_is_not_to_be_shown():
    assert (
        url_refusal("https://me:secret@x", WEB)[1] and url_refusal("https://me:secret@x:y", WEB)[1]
    )


def test_loopback_is_an_address_and_not_how_a_name_begins():
    assert is_loopback("127.8.0.1") and is_loopback("::1") and is_loopback("localhost")
    assert (
        not is_loopback("127.evil.example.org")
        and not is_loopback("0.0.0.0")
        and not is_loopback("::")
    )
