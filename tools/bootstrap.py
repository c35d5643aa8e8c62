# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes .venv with the pinned requirements, and the checkout importable as the collection
bnlnpps.swf_testbed.

Usage: python3 tools/bootstrap.py site|test

Says what is missing, with the command that mends it, before anything is made. Run again, it does
nothing. It must parse on any Python 3, old ones too, to be able to say that they are too old.
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


def say(text):
    print("==> " + text)
    sys.stdout.flush()


def problems():
    """What stands in the way, each with its fix."""
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


def environment():
    """Certificates are those of the system, where a lab adds its own CA; uv's setting for it was
    renamed.

    An experiment's software view, which a login may set, has packages and libraries of its own.
    """
    views = ("PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "LD_LIBRARY_PATH")
    kept = {name: value for name, value in os.environ.items() if name not in views}
    return dict(
        kept,
        PIP_DISABLE_PIP_VERSION_CHECK="1",
        PIP_NO_INPUT="1",
        UV_SYSTEM_CERTS="1",
        UV_NATIVE_TLS="1",
    )


def run(command):
    return subprocess.call(command, cwd=ROOT, env=environment()) == 0


def must(command, why):
    if not run(command):
        sys.exit("error: %s failed, see above. Then run the same command again." % why)


def uv_requirement(text):
    """The pin of uv, with its hashes, out of a requirements file."""
    return re.search(r"^uv==(?:.*\\\n)+.*\n", text, re.MULTILINE).group(0)


def pip_install(path):
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


def install(kind, requirements):
    say("installing requirements/%s.txt" % kind)
    only_uv = os.path.join(VENV, "uv.txt")
    with open(requirements) as stream:
        text = stream.read()
    with open(only_uv, "w") as stream:
        stream.write(uv_requirement(text))
    # uv installs the rest in a tenth of the time; pip does it all where there is no uv for the
    # platform, or where only pip is set up for a mirror
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
        say("uv could not; trying pip")
    must(pip_install(requirements), "the installation of requirements/%s.txt" % kind)


def link_collection():
    """Let Ansible find the checkout under the name of the collection (collections_path in
    ansible.cfg)."""
    parent = os.path.join(ROOT, ".ansible", "collections", "ansible_collections", "bnlnpps")
    link = os.path.join(parent, "swf_testbed")
    if not os.path.islink(link):
        os.makedirs(parent, exist_ok=True)
        os.symlink(os.path.join("..", "..", "..", ".."), link)


def main():
    kind = sys.argv[1]
    found = problems()
    if found:
        sys.exit(
            "error: this machine is not ready, and nothing was changed:\n"
            + "\n".join("- " + line for line in found)
        )
    requirements = os.path.join(ROOT, "requirements", kind + ".txt")
    stamp = os.path.join(VENV, "installed-" + kind)
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
        say("making .venv with Python %s" % sys.version.split()[0])
        must([sys.executable, "-m", "venv", "--clear", VENV], "making .venv")
    install(kind, requirements)
    if kind == "test":
        # the tests start hundreds of processes, and let them write no bytecode; uv compiles only
        # what it installs itself, not what the requirements of site brought
        run([PYTHON, "-m", "compileall", "-q", "-j", "0", os.path.join(VENV, "lib")])
    with open(stamp, "w") as stream:
        stream.write(wanted)
    link_collection()


if __name__ == "__main__":
    main()
