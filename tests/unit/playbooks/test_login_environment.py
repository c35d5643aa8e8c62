# SPDX-License-Identifier: GPL-3.0-or-later
"""The login of a physicist: an experiment's software view, with packages and libraries of its own,
comes first in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
PLAYBOOKS = sorted((ROOT / "playbooks").glob("*.yml"))
LEASE = "{{ lookup('bnlnpps.swf_testbed.lease') }}"
# they change no host
HOLDS_NOTHING = ("doctor", "publish", "wheelhouse", "export_secrets", "import_secrets")
NAMES = (
    "requests",
    "yaml",
    "jinja2",
    "ansible",
    "packaging",
    "cryptography",
    "typer",
    "rich",
    "django",
    "supervisor",
    "build",
    "twine",
    "selinux",
    "apt",
    "psycopg2",
    "urllib3",
    "sitecustomize",
)


@pytest.fixture(name="view")
def a_software_view():
    """A short path, for the path of supervisord's socket. Whoever imports one of its packages says
    so in a file."""
    folder = Path(tempfile.mkdtemp(prefix="swf-", dir="/tmp"))
    for name in NAMES:
        (folder / "view" / name).mkdir(parents=True)
        (folder / "view" / name / "__init__.py").write_text(
            "open(%r, 'a').write('wrong %s from PYTHONPATH\\n')\nraise ImportError('wrong %s')\n"
            % (str(folder / "imported"), name, name)
        )
    yield folder
    shutil.rmtree(folder)


def imported(folder):
    return (folder / "imported").read_text() if (folder / "imported").exists() else ""


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda path: path.name)
def test_every_play_has_an_environment_of_its_own(playbook):
    for play in yaml.safe_load(playbook.read_text()):
        if "hosts" in play:
            held = {"SWF_TESTBED_LEASE": LEASE} if playbook.stem not in HOLDS_NOTHING else {}
            assert play.get("environment") == dict(
                held, PYTHONPATH="", PYTHONHOME="", LD_LIBRARY_PATH=""
            ), play["name"]


def test_modules_on_a_host_do_not_see_it(view):
    # what a login's .bashrc does to every command that comes over ssh
    shell = view / "shell"
    shell.write_text(
        '#!/bin/sh\nexport PYTHONPATH=%s/view LD_LIBRARY_PATH=%s/view\nexec /bin/sh "$@"\n'
        % (view, view)
    )
    shell.chmod(0o755)
    host = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "ansible_shell_executable": str(shell),
    }
    (view / "hosts.yml").write_text(
        yaml.safe_dump(
            {
                "all": {
                    "hosts": {"one": host},
                    "children": {"index": {}, "testbed": {"hosts": {"one": {}}}},
                }
            }
        )
    )
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "ANSIBLE_"))
    }
    environment.update(
        HOME=str(view), ANSIBLE_HOME=str(view / "ansible"), ANSIBLE_CONFIG=str(ROOT / "ansible.cfg")
    )
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "ansible-playbook"),
            "-i",
            str(view / "hosts.yml"),
            str(ROOT / "playbooks/status.yml"),
        ],
        cwd=view,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        timeout=120,
    )
    # nothing is installed in this home, and that is what it says
    assert "not installed" in done.stdout, done.stdout
    assert imported(view) == ""


@pytest.fixture(name="checkout")
def a_checkout_with_an_environment(view):
    """What make finds: the checkout, with the environment that these tests run in, as if
    tools/bootstrap.py had made it."""
    folder = view / "checkout"
    folder.mkdir()
    for name in (
        "Makefile",
        "ansible.cfg",
        "site.yml",
        "playbooks",
        "inventory",
        "requirements",
        "tools",
        ".ansible",
    ):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/bin/activate").write_text("PATH=%s:$PATH\n" % Path(sys.executable).parent)
    # where bootstrap looks: the environment is there, and up to date
    stamp = (
        "import hashlib, sys; print(hashlib.sha256(open(%r, 'rb').read()).hexdigest(), "
        "sys.version.split()[0], end='')" % str(ROOT / "requirements/site.txt")
    )
    (folder / ".venv/installed-site").write_text(
        subprocess.check_output([sys.executable, "-c", stamp], text=True)
    )
    (folder / ".venv/bin/python").symlink_to(sys.executable)
    (folder / "tools").unlink()
    shutil.copytree(ROOT / "tools", folder / "tools")
    return folder


def make(view, checkout, **more):
    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("XDG_", "ANSIBLE_", "LC_", "LANG"))
    }
    environment.update(HOME=str(view), ANSIBLE_HOME=str(view / "ansible"), **more)
    return subprocess.run(
        ["make", "status", "PYTHON=" + sys.executable],
        cwd=checkout,
        env=environment,
        text=True,
        timeout=120,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    ).stdout


def test_make_does_not_see_it(view, checkout):
    output = make(view, checkout, PYTHONPATH=str(view / "view"), LD_LIBRARY_PATH=str(view / "view"))
    assert "not installed" in output, output
    assert imported(view) == ""


def test_make_runs_in_a_checkout_that_everybody_may_write(view, checkout):
    # under WSL, every directory of Windows is one
    checkout.chmod(0o777)
    output = make(view, checkout)
    assert "not installed" in output, output


@pytest.mark.parametrize(
    "locale",
    [
        {"LC_ALL": "C"},
        pytest.param({"LC_ALL": "POSIX"}, marks=pytest.mark.nightly),
        pytest.param({"LC_ALL": "tlh_QX.UTF-8"}, marks=pytest.mark.nightly),
        {"LANG": "xx_XX.ISO-8859-1"},
    ],
    ids=str,
)
def test_make_runs_in_any_locale(view, checkout, locale):
    output = make(view, checkout, **locale)
    assert "not installed" in output, output


def test_make_names_a_python_that_is_found_and_does_not_run(view, checkout):
    shim = view / "python3"
    shim.write_text("#!/bin/sh\necho 'pyenv: python3: command not found' >&2\nexit 127\n")
    shim.chmod(0o755)
    done = subprocess.run(
        ["make", "status", "PYTHON=%s" % shim],
        cwd=checkout,
        text=True,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (
        "pyenv: python3: command not found" in done.stderr
        and "does not run" in done.stderr
        and "make PYTHON=" in done.stderr
    )
