# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pip needs help to talk TLS to an address. The Molecule scenario lab installs with one that
does, Debian 13's."""

from __future__ import annotations

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import old_tls

OPTION = ["--use-deprecated", "legacy-certs"]


@pytest.fixture(name="venv")
def venv_with_a_stand_in_for_pip(tmp_path):
    """Call it with the version of urllib3 and the deprecated features of that pip."""

    def make(urllib3, features):
        package = tmp_path / "lib/python3.13/site-packages/pip"
        (package / "_vendor/urllib3").mkdir(parents=True)
        (package / "_internal/cli").mkdir(parents=True)
        (package / "_vendor/urllib3/_version.py").write_text('__version__ = "%s"\n' % urllib3)
        (package / "_internal/cli/cmdoptions.py").write_text(
            'choices=["%s"]\n' % '", "'.join(features)
        )
        return str(tmp_path)

    return make


@pytest.mark.parametrize(
    "url", ["https://192.0.2.10:8004/simple/", "https://[2001:db8::1]:8004/simple/"]
)
def test_a_pip_that_cannot_is_helped(venv, url):
    assert old_tls(venv("1.26.20", ["legacy-resolver", "legacy-certs"]), {"url": url}) == OPTION


@pytest.mark.parametrize(
    "urllib3,features,url",
    [
        ("1.26.12", ["legacy-resolver"], "https://192.0.2.10/simple/"),
        ("2.8.0", ["legacy-certs"], "https://192.0.2.10/simple/"),
        ("1.26.20", ["legacy-certs"], "https://index.example.org/simple/"),
        ("1.26.20", ["legacy-certs"], None),
    ],
)
def test_others_are_left_alone(venv, urllib3, features, url):
    assert old_tls(venv(urllib3, features), {"url": url}) == []
