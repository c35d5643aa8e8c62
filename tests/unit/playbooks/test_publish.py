# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook as users run it: against a real index with a password, and the workflows it writes
under a real actionlint."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from helpers.index_server import IndexServer
from helpers.leaks import Leaks
from helpers.package_sources import edit, make_source
from helpers.seen_by_callbacks import Seen

TOKEN = "canary%0123456789canary0123456789canary01"
PUBLISHES = "TASK [bnlnpps.swf_testbed.publish : Publish"
ACTIONLINT = shutil.which(
    "actionlint", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
)


@pytest.fixture(name="index")
def running_index(tmp_path):
    server = IndexServer(tmp_path / "packages", TOKEN)
    yield server
    server.stop()


def inventory(folder, **changes):
    lab = dict(
        {
            "name": "lab",
            "preset": "pypiserver",
            "url": "https://index.example.org/simple/",
            "username": "reader",
            "token": TOKEN,
            "packages": ["swf-*"],
        },
        **changes,
    )
    path = folder / "inventory.yml"
    path.write_text(
        json.dumps(
            {
                "all": {
                    "vars": {
                        "swf_testbed_pip_indexes": [
                            lab,
                            {"name": "testpypi", "preset": "testpypi", "packages": ["test-*"]},
                            {"name": "pypi"},
                        ]
                    }
                }
            }
        )
    )
    return path


def play(root, hosts, *arguments, **variables):
    """(exit code, output) of the playbook at -vvv --diff."""
    seen = Seen(hosts.parent)
    environment = dict(
        os.environ,
        **seen.environment,
        HOME=str(hosts.parent / "home"),
        ANSIBLE_FORCE_COLOR="0",
        ANSIBLE_NOCOLOR="1",
        ANSIBLE_COLLECTIONS_PATH=str(root / ".ansible/collections"),
        UV_CACHE_DIR=os.environ.get("UV_CACHE_DIR") or os.path.expanduser("~/.cache/uv"),
    )
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "ansible-playbook"),
            "-vvv",
            "--diff",
            "-i",
            str(hosts),
            "playbooks/publish.yml",
            "-e",
            json.dumps(variables),
            *arguments,
        ],
        cwd=root,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        text=True,
        timeout=300,
    )
    leaks = Leaks(TOKEN)
    leaks.text("the output", done.stdout)
    seen.scan(leaks)
    assert leaks.found == []
    return done.returncode, done.stdout


def changed(output):
    return int(re.search(r"localhost .*changed=(\d+)", output).group(1))


@pytest.mark.nightly
def test_check_publish_and_nothing_more_to_do(root, tmp_path, index):
    hosts = inventory(tmp_path, url=index.url)
    source = make_source(tmp_path / "swf-thing")
    variables = {
        "swf_testbed_publish_sources": [str(source)],
        "swf_testbed_publish_formats": ["wheel"],
        "swf_testbed_publish_pypirc": str(tmp_path / "pypirc"),
    }
    code, output = play(root, hosts, "--check", **variables)
    assert code == 0 and changed(output) == 2 and not list(index.folder.iterdir()), output
    code, output = play(root, hosts, **variables)
    assert code == 0 and changed(output) == 2 and len(list(index.folder.iterdir())) == 1, output
    assert PUBLISHES in output
    assert TOKEN in (tmp_path / "pypirc").read_text()
    code, output = play(root, hosts, **variables)
    assert code == 0 and changed(output) == 0, output
    # only checks, and all findings in one message
    edit(source, 'description = "A thing."', "")
    edit(source, 'requires-python = ">=3.9"', "")
    code, output = play(root, hosts, "--tags", "check", **variables)
    assert (
        code != 0
        and "2 findings" in output
        and "no description" in output
        and "no requires-python" in output
    )
    assert PUBLISHES not in output


@pytest.mark.nightly
def test_what_is_not_there_is_named(root, tmp_path):
    hosts = inventory(tmp_path)
    code, output = play(root, hosts, swf_testbed_publish_workflows=[str(tmp_path / "nowhere")])
    assert (
        code != 0
        and "clone the repositories first" in output
        and not (tmp_path / "nowhere").exists()
    )
    # relative to where the play is started, not to the playbook
    code, output = play(
        root, hosts, "--tags", "check", swf_testbed_publish_sources=["packages/nowhere"]
    )
    assert code != 0 and "there is no directory %s" % (root / "packages/nowhere") in output
    code, output = play(root, hosts)
    assert code != 0 and "there is nothing to publish" in output


def workflow(root, tmp_path, index):
    checkout = tmp_path / "swf-thing"
    checkout.mkdir()
    code, output = play(
        root,
        inventory(tmp_path),
        swf_testbed_publish_workflows=[str(checkout)],
        swf_testbed_publish_index=index,
    )
    assert code == 0 and changed(output) == 1, output
    return checkout / ".github/workflows/publish.yml"


@pytest.mark.parametrize(
    "index,trusted,address",
    [
        ("lab", False, "https://index.example.org/"),
        pytest.param("testpypi", True, "https://test.pypi.org/legacy/", marks=pytest.mark.nightly),
        ("pypi", True, None),
    ],
)
def test_the_workflow_of_each_variant(root, tmp_path, index, trusted, address):
    path = workflow(root, tmp_path, index)
    assert ACTIONLINT, "there is no actionlint; it is one of the requirements of the tests"
    done = subprocess.run(
        [ACTIONLINT, "-no-color", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    text = path.read_text()
    flow = yaml.safe_load(text)
    build, upload = flow["jobs"]["build"], flow["jobs"]["upload"]
    # nobody may more than its step needs, and who builds may not upload
    assert flow["permissions"] == {} and build["permissions"] == {"contents": "read"}
    assert upload["permissions"] == ({"id-token": "write"} if trusted else {})
    assert upload["environment"] == index and upload["needs"] == "build"
    settings = upload["steps"][-1].get("with", {})
    assert settings.get("repository-url") == address
    assert ("secrets." in text) == (not trusted)
    assert settings.get("password") == (None if trusted else "${{ secrets.SWF_INDEX_TOKEN }}")
    for line in re.findall(r"uses: .*", text):
        assert re.match(r"uses: [\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line
