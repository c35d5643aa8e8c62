# SPDX-License-Identifier: GPL-3.0-or-later
"""No token leaks: the roles that handle them are run by ansible-playbook against real servers, and
everything is scanned."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

from helpers.git_servers import GitHttps, commit_all
from helpers.index_server import IndexServer, make_wheel, sha256
from helpers.installation import PLAY
from helpers.leaks import Leaks
from helpers.ports import component_ports
from helpers.seen_by_callbacks import Seen

ROOT = Path(__file__).resolve().parents[3]
INDEX_TOKEN = "canary-index%0123456789canary0123456789"
GIT_TOKEN = "canary-git/%0123456789canary0123456789"
WRONG = "canary-wrong%0123456789canary0123456789"


@pytest.fixture(name="indexes", scope="module")
def two_indexes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("indexes")
    for name in ("private", "public"):
        (folder / name).mkdir()
    make_wheel(folder / "private", "swf-testbed", "0.1.0", ["public-thing"], script="swf-testbed")
    make_wheel(folder / "public", "public-thing", "1.0")
    make_wheel(
        folder / "public", "swf-testbed", "99.0", body="raise SystemExit('dependency confusion')\n"
    )
    servers = IndexServer(folder / "private", INDEX_TOKEN), IndexServer(folder / "public")
    yield servers
    for server in servers:
        server.stop()


@pytest.fixture(name="play")
def play_in_a_home(tmp_path, indexes):
    """Runs the play for a login with a home of its own; returns what it printed and whether it
    succeeded."""
    # short, for the path of supervisord's socket; and others may enter it, so that the scan looks
    # into it
    home = Path(tempfile.mkdtemp(prefix="swf-", dir="/tmp"))
    home.chmod(0o755)
    private, public = indexes
    tools = tmp_path / "tools.txt"
    wheel = public.folder / "public_thing-1.0-py3-none-any.whl"
    tools.write_text("public-thing==1.0 --hash=sha256:%s\n" % sha256(wheel))
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "swf_testbed_python": sys.executable,
        **component_ports(),
        "swf_testbed_release_import_check": ["swf-testbed"],
        "swf_testbed_release_tools_lock_file": str(tools),
        "swf_testbed_release_constraints_file": "",
        "swf_testbed_release_requirements": ["swf-testbed"],
        "swf_testbed_pip_indexes": [
            private.as_index("swf", packages=["swf-*"]),
            public.as_index("public"),
        ],
        "swf_testbed_index_token": INDEX_TOKEN,
    }
    (tmp_path / "play.yml").write_text(PLAY)
    seen = Seen(tmp_path)

    def play(*arguments, **more):
        path = tmp_path / "variables.yml"
        path.write_text(yaml.safe_dump(dict(variables, **more)))
        path.chmod(0o600)
        environment = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("XDG_", "ANSIBLE_", "UV_"))
        }
        environment.update(
            seen.environment,
            HOME=str(home),
            ANSIBLE_HOME=str(home / ".ansible"),
            UV_SYSTEM_CERTS="1",
            UV_CACHE_DIR=str(tmp_path / "uv"),
            ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".ansible/collections"),
            ANSIBLE_LOCALHOST_WARNING="false",
        )
        ansible = str(Path(sys.executable).parent / "ansible-playbook")
        done = subprocess.run(
            [
                ansible,
                "-i",
                "localhost,",
                "-e",
                "@%s" % path,
                *arguments,
                str(tmp_path / "play.yml"),
            ],
            cwd=tmp_path,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return done.stdout, done.returncode == 0

    play.home, play.seen = home, seen
    yield play
    shutil.rmtree(home)


@pytest.mark.nightly
def test_an_installation_from_an_index(play, indexes):
    with Leaks(INDEX_TOKEN, WRONG) as leaks:
        for arguments, more, succeeds in (
            (["-vvv", "--diff", "--check"], {}, True),
            (
                ["-vvv", "--diff"],
                {
                    "swf_testbed_pip_indexes": [
                        indexes[0].as_index("swf", packages=["swf-*"], token=WRONG),
                        indexes[1].as_index("public"),
                    ]
                },
                False,
            ),
            (
                ["-vvv", "--diff"],
                {
                    "swf_testbed_pip_indexes": [
                        indexes[0].as_index(
                            "swf", url="https://me:%s@index.example.org/simple/" % WRONG
                        )
                    ]
                },
                False,
            ),
            (["-vvv", "--diff"], {}, True),
            (["-vvv", "--diff"], {}, True),
        ):
            output, succeeded = play(*arguments, **more)
            assert succeeded == succeeds, output
            leaks.text("output of %s" % arguments, output)
        leaks.disk(play.home)
        assert "changed=0" in output
        ended = set(play.seen.scan(leaks))
        assert {
            "Configure access to the package indexes",
            "Build the release",
        } <= ended
    assert leaks.processes > 20
    assert leaks.found == []
    # it is there, for its owner, and the scan went past it
    assert INDEX_TOKEN in (play.home / ".config/swf-testbed/pip/netrc").read_text()


@pytest.mark.nightly
def test_an_installation_from_git(play, tmp_path):
    source = tmp_path / "repositories/swf-testbed"
    (source / "src/swf_testbed").mkdir(parents=True)
    (source / "src/swf_testbed/__init__.py").write_text("def main():\n    print('from git')\n")
    (source / "pyproject.toml").write_text(
        "[build-system]\nrequires = ['setuptools']\nbuild-backend = "
        "'setuptools.build_meta'\n[project]\nname = 'swf-testbed'\n"
        "version = '0.1.0'\ndependencies = ['public-thing']\n[project.scripts]\nswf-testbed = "
        "'swf_testbed:main'\n"
    )
    commit = commit_all(source)
    server = GitHttps(tmp_path / "repositories", tmp_path / "ca.pem", "x-access-token", GIT_TOKEN)
    from_git = {
        "swf_testbed_release_source": "git",
        "swf_testbed_release_git_ca_cert": str(tmp_path / "ca.pem"),
        "swf_testbed_release_git_token": GIT_TOKEN,
        "swf_testbed_release_git_repositories": [
            {"url": server.url + "/swf-testbed/.git", "commit": commit}
        ],
    }
    try:
        with Leaks(GIT_TOKEN, INDEX_TOKEN, WRONG) as leaks:
            for arguments, more, expected in (
                (["-vvv", "--check"], {}, None),
                (
                    ["-vvv"],
                    {"swf_testbed_release_git_token": WRONG},
                    "rejected the credentials",
                ),
                (
                    ["-vvv"],
                    {
                        "swf_testbed_release_git_repositories": [
                            {"url": server.url, "commit": "main"}
                        ]
                    },
                    "Branches and tags move",
                ),
                (["-vvv", "--diff"], {}, None),
                (["-vvv", "--diff"], {}, None),
            ):
                output, succeeded = play(*arguments, **{**from_git, **more})
                assert succeeded == (expected is None) and (expected or "") in output, output
                leaks.text("output of %s" % arguments, output)
            leaks.disk(play.home)
            assert "changed=0" in output
            assert "Build the release" in play.seen.scan(leaks)
    finally:
        server.stop()
    assert leaks.found == []
    (release,) = (play.home / ".local/share/swf-testbed/releases").iterdir()
    assert subprocess.check_output([release / "bin/swf-testbed"], text=True) == "from git\n"
    frozen = subprocess.check_output(
        [sys.executable, "-m", "pip", "--python", str(release / "bin/python"), "freeze"], text=True
    )
    assert "swf-testbed==0.1.0" in frozen
    assert not list(release.glob("lib/*/site-packages/swf_testbed-*/direct_url.json"))


def test_the_scan_finds_what_is_planted(tmp_path):
    secret = "planted%0123456789planted"
    for number, text in enumerate(
        (
            secret,
            "https://me:planted%250123456789planted@example.org",
            json.dumps({"token": secret}),
            "bWU6cGxhbnRlZCUwMTIzNDU2Nzg5cGxhbnRlZA==",
        )
    ):
        leaks = Leaks(secret)
        leaks.text("number %d" % number, text)
        assert leaks.found == ["number %d" % number]
    with Leaks(secret) as leaks:
        sleep = [sys.executable, "-c", "import time; time.sleep(.5)"]
        subprocess.run(sleep, env=dict(os.environ, TOKEN=secret), check=True)
        subprocess.run([*sleep, secret], check=True)
        (tmp_path / "readable").write_text(secret)
        (tmp_path / "readable").chmod(0o644)
        (tmp_path / "closed").mkdir(mode=0o700)
        (tmp_path / "closed/readable").write_text(secret)
        leaks.disk(tmp_path)
    assert {place.split()[0] for place in leaks.found} == {
        "environ",
        "cmdline",
        str(tmp_path / "readable"),
    }
