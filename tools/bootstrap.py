# SPDX-License-Identifier: GPL-3.0-or-later
"""Creates .venv with the pinned requirements, and links the checkout to the place where Ansible
finds the collection bnlnpps.swf_testbed.

Usage: python3 tools/bootstrap.py site|test

Reports every missing prerequisite, with the command that fixes it, before it creates anything. A
second run changes nothing. The file must parse on old Pythons, too, to report that they are too old.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys

MIN_PYTHON = (3, 10)
MIN_FREE_MB = 500
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
UV = os.path.join(VENV, "bin", "uv")


def report(text: str) -> None:
    print("==> " + text)
    sys.stdout.flush()


def problems() -> "list[str]":
    """Missing prerequisites, each with its fix."""
    found = []
    version = "%d.%d" % sys.version_info[:2]
    if sys.version_info < MIN_PYTHON:
        found.append(
            "%s is Python %s; %d.%d or newer is needed. Name a newer one: make site "
            "PYTHON=python3.12" % ((sys.executable, version) + MIN_PYTHON)
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        found.append(
            "%s has no venv module. Run: sudo apt-get install python%s-venv"
            % (sys.executable, version)
        )
    if not os.access(ROOT, os.W_OK):
        found.append(
            "%s cannot be written, and .venv goes there. Clone the repository into a folder of "
            "yours." % ROOT
        )
    free = shutil.disk_usage(ROOT).free // 1000000
    if free < MIN_FREE_MB and not os.path.exists(PYTHON):
        found.append(
            "%d MB are free at %s and about %d are needed. Free some: df -h"
            % (free, ROOT, MIN_FREE_MB)
        )
    return found


def environment() -> "dict[str, str]":
    """Without the packages and libraries of an experiment's software view, and with the certificates
    of the system, to which a lab adds its own CA. uv renamed its setting for that.
    """
    views = ("PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "LD_LIBRARY_PATH")
    ours = {name: value for name, value in os.environ.items() if name not in views}
    return dict(
        ours,
        PIP_DISABLE_PIP_VERSION_CHECK="1",
        PIP_NO_INPUT="1",
        UV_SYSTEM_CERTS="1",
        UV_NATIVE_TLS="1",
    )


def run(command: "list[str]") -> bool:
    return subprocess.call(command, cwd=ROOT, env=environment()) == 0


def must(command: "list[str]", why: str) -> None:
    if not run(command):
        sys.exit("error: %s failed, see above. Then run the same command again." % why)


def uv_requirement(text: str) -> str:
    """The pin of uv, with its hashes, from a requirements file."""
    return re.findall(r"^uv==(?:.*\\\n)+.*\n", text, re.MULTILINE)[0]


def pip_install(path: str) -> "list[str]":
    return [
        PYTHON,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--require-hashes",
        "--only-binary",
        ":all:",
        "-r",
        path,
    ]


def install(name: str, requirements: str) -> None:
    report("installing requirements/%s.txt" % name)
    only_uv = os.path.join(VENV, "uv.txt")
    with open(requirements) as stream:
        text = stream.read()
    with open(only_uv, "w") as stream:
        stream.write(uv_requirement(text))
    # uv takes a tenth of the time. pip installs everything if the platform has no uv, or if only pip
    # is configured for a mirror.
    if os.path.exists(UV) or run(pip_install(only_uv)):
        if run(
            [
                UV,
                "pip",
                "install",
                "--quiet",
                "--python",
                PYTHON,
                "--require-hashes",
                "-r",
                requirements,
            ]
        ):
            return
        report("uv failed; trying pip")
    must(pip_install(requirements), "the installation of requirements/%s.txt" % name)


def link_collection() -> None:
    """Let Ansible find the checkout under the name of the collection (collections_path in
    ansible.cfg)."""
    parent = os.path.join(ROOT, ".ansible", "collections", "ansible_collections", "bnlnpps")
    link = os.path.join(parent, "swf_testbed")
    if not os.path.islink(link):
        os.makedirs(parent, exist_ok=True)
        os.symlink(os.path.join("..", "..", "..", ".."), link)


def main() -> None:
    name = sys.argv[1]
    found = problems()
    if found:
        sys.exit(
            "error: this machine is not ready, and nothing was changed:\n"
            + "\n".join("- " + line for line in found)
        )
    requirements = os.path.join(ROOT, "requirements", name + ".txt")
    stamp = os.path.join(VENV, "installed-" + name)
    with open(requirements, "rb") as stream:
        wanted = "%s %s" % (hashlib.sha256(stream.read()).hexdigest(), sys.version.split()[0])
    if os.path.exists(PYTHON) and os.path.exists(stamp):
        with open(stamp) as stream:
            if stream.read() == wanted:
                link_collection()
                return
    if (
        not os.path.exists(PYTHON)
        or subprocess.check_output([PYTHON, "-c", "import sys; print(sys.version.split()[0])"])
        .decode()
        .strip()
        != sys.version.split()[0]
    ):
        report("making .venv with Python %s" % sys.version.split()[0])
        must([sys.executable, "-m", "venv", "--clear", VENV], "making .venv")
    install(name, requirements)
    if name == "test":
        # the tests start hundreds of processes, and let them write no bytecode; uv compiles only
        # what it installs itself, not what the requirements of site brought
        run([PYTHON, "-m", "compileall", "-q", "-j", "0", os.path.join(VENV, "lib")])
    with open(stamp, "w") as stream:
        stream.write(wanted)
    link_collection()


if __name__ == "__main__":
    main()
