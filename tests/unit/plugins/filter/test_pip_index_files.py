# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import configparser
import netrc

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.bnlnpps.swf_testbed.plugins.filter.pip_index_files import pip_index_files

SWF = {
    "name": "swf",
    "url": "https://index.example.org/simple/",
    "username": "reader",
    "token": "se%cret",
    "packages": ["swf-*"],
}
TOKEN = "0123456789abcdef0123456789abcdef01234567"


def by_name(files):
    return {item["dest"].rpartition("/")[2]: item for item in files}


def test_pip_and_netrc_read_what_is_written(tmp_path):
    files = by_name(pip_index_files([SWF, {"name": "pypi"}], "/etc/x"))
    assert sorted(files) == ["netrc", "swf.conf"]
    parser = configparser.RawConfigParser()
    parser.read_string(files["swf.conf"]["content"])
    assert parser["global"]["index-url"] == parser["global"]["extra-index-url"] == SWF["url"]
    path = tmp_path / "netrc"
    path.write_text(files["netrc"]["content"])
    path.chmod(0o600)
    assert netrc.netrc(str(path)).authenticators("index.example.org")[::2] == ("reader", "se%cret")


def test_credentials_are_in_the_secret_file_only():
    files = by_name(pip_index_files([SWF], "/etc/x"))
    assert files["netrc"]["secret"] and "se%cret" not in files["swf.conf"]["content"]


@pytest.mark.parametrize(
    "change,message",
    [
        ({"url": "https://me:canary@index.example.org/simple/"}, "contains credentials"),
        ({"url": "index.example.org"}, "is not an http or https URL"),
        ({"token": None}, "has only one of username and token"),
        ({"token": "two words"}, "has a space"),
        ({"url": "http://index.example.org/simple/"}, "would be sent unencrypted"),
        ({"preset": "github"}, "has no registry for Python packages"),
    ],
)
def test_bad_indexes_are_refused_without_showing_the_secret(change, message):
    with pytest.raises(AnsibleFilterError) as caught:
        pip_index_files([dict(SWF, **change)], "/etc/x")
    assert message in str(caught.value)
    assert (
        "canary" not in str(caught.value)
        and "se%cret" not in str(caught.value)
        and "two words" not in str(caught.value)
    )


def test_plain_http_needs_consent():
    there = dict(SWF, url="http://index.example.org:8004/simple/")
    with pytest.raises(AnsibleFilterError, match="To accept the risk: allow_insecure_http: true"):
        pip_index_files([there], "/etc/x")
    files = by_name(pip_index_files([dict(there, allow_insecure_http=True)], "/etc/x"))
    assert "trusted-host = index.example.org:8004\n" in files["swf.conf"]["content"]
    # with https, consent has no effect: pip would not verify the certificate of a trusted host
    files = by_name(pip_index_files([dict(SWF, allow_insecure_http=True)], "/etc/x"))
    assert "trusted-host" not in files["swf.conf"]["content"]


def test_two_logins_for_one_host_are_refused():
    with pytest.raises(AnsibleFilterError, match="one login per host"):
        pip_index_files([SWF, dict(SWF, name="other", token="another")], "/etc/x")
