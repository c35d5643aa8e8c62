# SPDX-License-Identifier: GPL-3.0-or-later
"""The oldest and the newest clients against the index as the role runs it. They come from the
package index of this machine."""

from __future__ import annotations

import concurrent.futures
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.distribution_files import sdist_bytes, wheel_bytes
from helpers.served_index import PUBLISHER, READER, running_index

pytestmark = pytest.mark.nightly
UV = str(Path(sys.executable).parent / "uv")
# pip 21.1 is the first that runs on Python 3.10; uv and twine as in requirements/site.in
CLIENTS = [
    "pip==21.1",
    "pip",
    "uv==0.8.0",
    "uv",
    "twine==6.0.0",
    "twine",
    "poetry==1.8.5",
    "poetry",
]


@pytest.fixture(name="index", scope="module")
def index_with_tls(tmp_path_factory):
    with running_index(tmp_path_factory.mktemp("index")) as running:
        yield running


@pytest.fixture(name="program", scope="session")
def installed(tmp_path_factory):
    """The path of a client's program, from an environment of its own."""
    folder, made = tmp_path_factory.mktemp("clients"), {}

    def program(requirement):
        if requirement not in made:
            venv = folder / requirement.replace("=", "-")
            subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, venv], check=True)
            subprocess.run(
                [UV, "pip", "install", "--quiet", "--python", venv / "bin/python", requirement],
                check=True,
            )
            made[requirement] = venv / "bin" / requirement.partition("=")[0]
        return str(made[requirement])

    return program


def run(command, cwd, env, code=0):
    done = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=300
    )
    output = done.stdout + done.stderr
    assert (done.returncode == 0) == (code == 0), output
    assert READER not in output and PUBLISHER not in output
    return output


def client_of(index):
    """The environment of a client. Before pip 22, a bundle in the environment has precedence."""
    return index.client(REQUESTS_CA_BUNDLE=str(index.ca))


def install(program, target, *arguments):
    quick = ["--no-cache"] if Path(program).name == "uv" else ["--disable-pip-version-check"]
    command = [program, "pip"] if Path(program).name == "uv" else [program]
    python = ["--python", sys.executable] if Path(program).name == "uv" else []
    return [*command, "install", *quick, *python, "--target", str(target), *arguments]


@pytest.mark.parametrize("client", CLIENTS[:4])
def test_a_client_installs_private_and_mirrored_packages(index, program, tmp_path, client):
    run(install(program(client), tmp_path / "out", "swf-thing"), tmp_path, client_of(index))
    found = {path.name for path in (tmp_path / "out").glob("*.dist-info")}
    assert found == {"swf_thing-1.0.dist-info", "thing-1.0.dist-info"}


@pytest.mark.parametrize("client", CLIENTS[:4])
def test_hashes_are_required(index, program, tmp_path, client):
    name = "swf_thing-1.0-py3-none-any.whl"
    digest = hashlib.sha256((index.packages / name).read_bytes()).hexdigest()
    for value, code in ((digest, 0), ("0" * 64, 1)):
        requirements = tmp_path / (value[:4] + ".txt")
        requirements.write_text("swf-thing==1.0 --hash=sha256:%s\n" % value)
        command = install(program(client), tmp_path / value[:4], "--no-deps", "--require-hashes")
        run([*command, "-r", str(requirements)], tmp_path, client_of(index), code)


@pytest.mark.parametrize("client", CLIENTS[:4])
def test_a_wrong_password_is_named(index, program, tmp_path, client):
    env = client_of(index)
    Path(env["NETRC"]).write_text("machine 127.0.0.1 login reader password wrong\n")
    command = install(program(client), tmp_path / "out", "swf-thing", "-vv")
    # without a terminal, pip prints it with -v, and since 26.3 with -vv, alone
    assert "401" in run(command, tmp_path, env, 1)


@pytest.mark.parametrize("client", CLIENTS[:4])
def test_a_version_for_another_python_is_not_chosen(index, program, tmp_path, client):
    for version, python in (("1.0", ">=3.9"), ("2.0", ">=4")):
        name = "swf_newer-%s-py3-none-any.whl" % version
        content = wheel_bytes("swf-newer", version, requires_python=python)
        assert index.upload(name, "publisher", PUBLISHER, content)[0] == 200
    run(install(program(client), tmp_path / "out", "swf-newer"), tmp_path, client_of(index))
    assert [path.name for path in (tmp_path / "out").glob("*.dist-info")] == [
        "swf_newer-1.0.dist-info"
    ]


def test_metadata_saves_the_download(index, program, tmp_path):
    content = wheel_bytes("swf-seen", "1.0", bytes(1_000_000))
    index.upload("swf_seen-1.0-py3-none-any.whl", "publisher", PUBLISHER, content)
    command = [program("uv"), "pip", "compile", "--no-cache", "--quiet", "-"]
    subprocess.run(command, input="swf-seen", env=client_of(index), text=True, check=True)
    log = (index.folder / "log").read_text()
    assert "GET /packages/swf_seen-1.0-py3-none-any.whl.metadata" in log
    assert "GET /packages/swf_seen-1.0-py3-none-any.whl " not in log


@pytest.mark.parametrize("client", ["pip==21.1", "pip", "uv"])
def test_a_package_of_200_mb(index, program, tmp_path, client):
    name, content = (
        "swf_large-1.0-py3-none-any.whl",
        wheel_bytes("swf-large", "1.0", bytes(2 * 10**8)),
    )
    assert index.upload(name, "publisher", PUBLISHER, content)[0] == 200
    run(install(program(client), tmp_path / "out", "swf-large"), tmp_path, client_of(index))
    assert (tmp_path / "out/swf_large/data").stat().st_size == 2 * 10**8


@pytest.mark.parametrize("client", ["pip", "uv"])
def test_twelve_at_once(index, program, tmp_path, client):
    def one(number):
        run(
            install(program(client), tmp_path / str(number), "swf-thing"),
            tmp_path,
            client_of(index),
        )
        return len(list((tmp_path / str(number)).glob("*.dist-info")))

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        assert list(pool.map(one, range(12))) == [2] * 12


def publishing(client, program, index, folder):
    """(command, environment) that uploads the files of a directory."""
    env = index.client(REQUESTS_CA_BUNDLE=str(index.ca), COLUMNS="200")
    name = Path(program).name
    if name == "uv":
        login = ["--username", "publisher", "--publish-url", index.url + "/"]
        env["UV_PUBLISH_PASSWORD"] = PUBLISHER
        return [program, "publish", *login, *map(str, folder.glob("dist/*"))], env
    if name == "poetry":
        (folder / "pyproject.toml").write_text(
            '[tool.poetry]\nname = "swf-published"\nversion = "1.0"\ndescription = ""\n'
            "authors = []\n"
        )
        env.update(
            POETRY_REPOSITORIES_INDEX_URL=index.url + "/",
            POETRY_HTTP_BASIC_INDEX_USERNAME="publisher",
            POETRY_HTTP_BASIC_INDEX_PASSWORD=PUBLISHER,
            POETRY_CERTIFICATES_INDEX_CERT=str(index.ca),
            PYTHON_KEYRING_BACKEND="keyring.backends.null.Keyring",
        )
        return [program, "publish", "--no-interaction", "--repository", "index"], env
    env.update(TWINE_USERNAME="publisher", TWINE_PASSWORD=PUBLISHER)
    upload = [program, "upload", "--non-interactive", "--repository-url", index.url + "/"]
    return [*upload, *map(str, folder.glob("dist/*"))], env


@pytest.mark.parametrize("client", CLIENTS[2:])
def test_a_client_publishes_and_shows_why_it_cannot(index, program, tmp_path, client):
    for path in index.packages.glob("swf_published*"):
        path.unlink()
    files = {
        "swf_published-1.0-py3-none-any.whl": wheel_bytes,
        "swf_published-1.0.tar.gz": sdist_bytes,
    }
    (tmp_path / "dist").mkdir()
    for name, make in files.items():
        (tmp_path / "dist" / name).write_bytes(make("swf-published", "1.0"))
    command, env = publishing(client, program(client), index, tmp_path)
    # the same files again are no error
    for _again in range(2):
        run(command, tmp_path, env)
    for name in files:
        assert (index.packages / name).read_bytes() == (tmp_path / "dist" / name).read_bytes()
    for name, make in files.items():
        (tmp_path / "dist" / name).write_bytes(make("swf-published", "1.0", b"other"))
    output = " ".join(run(command, tmp_path, env, 1).split())
    assert "already exists with other content" in output, output


@pytest.mark.parametrize("client", CLIENTS[6:])
def test_poetry_locks_and_installs(index, program, tmp_path, client):
    version = "%d.%d" % sys.version_info[:2]
    (tmp_path / "pyproject.toml").write_text(
        '[tool.poetry]\nname = "x"\nversion = "1"\ndescription = ""\nauthors = []\n'
        'package-mode = false\n[tool.poetry.dependencies]\npython = "~%s"\nswf-thing = "*"\n'
        '[[tool.poetry.source]]\nname = "index"\nurl = "%s/simple/"\npriority = "primary"\n'
        % (version, index.url)
    )
    env = index.client(
        POETRY_HTTP_BASIC_INDEX_USERNAME="reader",
        POETRY_HTTP_BASIC_INDEX_PASSWORD=READER,
        POETRY_CERTIFICATES_INDEX_CERT=str(index.ca),
        REQUESTS_CA_BUNDLE=str(index.ca),
        PYTHON_KEYRING_BACKEND="keyring.backends.null.Keyring",
        POETRY_VIRTUALENVS_IN_PROJECT="true",
        POETRY_CACHE_DIR=str(tmp_path / "cache"),
    )
    env.pop("VIRTUAL_ENV", None)
    run([program(client), "lock", "--no-interaction"], tmp_path, env)
    run([program(client), "install", "--no-interaction"], tmp_path, env)
    found = {path.name for path in tmp_path.glob(".venv/lib/*/site-packages/*.dist-info")}
    assert {"swf_thing-1.0.dist-info", "thing-1.0.dist-info"} <= found
    assert os.path.exists(tmp_path / "poetry.lock")
