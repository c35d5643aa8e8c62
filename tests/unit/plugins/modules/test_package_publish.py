# SPDX-License-Identifier: GPL-3.0-or-later
"""Against a real index (pypiserver) with a real password, a real git server, and real builds."""

from __future__ import annotations

import concurrent.futures
import http.server
import json
import threading

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index import configuration
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.page import links
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.lookup import (
    Index,
    parsed,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.plan import (
    Package,
    build_all,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.project import (
    PublishError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.sources import projects
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.target import (
    section,
    target,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.upload import explain
from ansible_collections.bnlnpps.swf_testbed.plugins.modules import package_publish
from helpers.git_servers import GitHttps, commit_all, git
from helpers.index_server import IndexServer, make_wheel
from helpers.package_sources import edit, make_source
from helpers.run_module import run_module

# a percent sign: a .pypirc is read raw
TOKEN = "canary%0123456789canary0123456789canary01"
WHEEL, SDIST = "swf_thing-1.0-py3-none-any.whl", "swf_thing-1.0.tar.gz"


@pytest.fixture(name="index", scope="module")
def running_index(tmp_path_factory):
    server = IndexServer(tmp_path_factory.mktemp("index") / "packages", TOKEN)
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def empty_index(index):
    for path in index.folder.iterdir():
        path.unlink()


@pytest.fixture(name="source")
def source_folder(tmp_path):
    return make_source(tmp_path / "swf-thing")


def entry(index, **changes):
    return dict(
        {
            "name": "lab",
            "preset": "pypiserver",
            "url": index.url,
            "username": index.user,
            "token": TOKEN,
            "packages": ["swf-*"],
        },
        **changes,
    )


def publish(index, source, check_mode=False, **overrides):
    arguments = {"sources": [str(source)], "indexes": [entry(index), {"name": "pypi"}], "wait": 0}
    answer = run_module("package_publish", dict(arguments, **overrides), check=check_mode)
    assert TOKEN not in json.dumps(answer)
    return answer


def names(index):
    return sorted(path.name for path in index.folder.iterdir())


def test_publishes_what_the_index_lacks(index, source):
    before = sorted(path.name for path in source.rglob("*"))
    assert publish(index, source, check_mode=True)["published"] == ["swf-thing 1.0"]
    assert names(index) == []
    answer = publish(index, source)
    assert answer["changed"] and answer["published"] == ["swf-thing 1.0"], answer
    assert names(index) == [WHEEL]
    again = publish(index, source)
    assert not again["changed"] and again["present"] == ["swf-thing 1.0"]
    edit(source, 'version = "1.0"', 'version = "1.0.1"')
    assert publish(index, source)["published"] == ["swf-thing 1.0.1"]
    assert sorted(path.name for path in source.rglob("*")) == before


def test_one_index_can_be_given_by_its_addresses(index, source):
    arguments = {
        "sources": [str(source)],
        "index_url": index.url,
        "upload_url": index.url.replace("simple/", ""),
        "username": index.user,
        "token": TOKEN,
    }
    assert run_module("package_publish", arguments)["published"] == ["swf-thing 1.0"]
    assert names(index) == [WHEEL]


def test_an_interrupted_upload_is_completed(index, source):
    assert publish(index, source, formats=["wheel", "sdist"])["changed"] and names(index) == [
        WHEEL,
        SDIST,
    ]
    (index.folder / SDIST).unlink()
    assert publish(index, source, formats=["wheel", "sdist"])["published"] == ["swf-thing 1.0"]
    assert names(index) == [WHEEL, SDIST]


def test_nothing_is_uploaded_if_one_check_fails(index, source, tmp_path):
    broken = make_source(tmp_path / "swf-other", name="swf-other")
    (broken / "README.md").unlink()
    answer = publish(index, source, sources=[str(source), str(broken)], check=True)
    assert (
        answer["failed"]
        and "readme names README.md" in answer["msg"]
        and "nothing was uploaded" in answer["msg"]
    )
    # found by the build only
    (broken / "README.md").write_text("# there again\n")
    edit(broken, 'packages = ["src/swf_other"]', 'packages = ["src/swf_othre"]')
    answer = publish(index, source, sources=[str(source), str(broken)], check=True)
    assert answer["failed"] and "the built wheel lacks swf_other of src/" in answer["msg"], answer
    assert names(index) == []


def test_other_content_under_a_version_that_is_there_is_refused(index, source):
    make_wheel(index.folder, "swf-thing", "1.0")
    answer = publish(index, source, check=True)
    assert (
        answer["failed"]
        and "with other content: swf_thing-1.0.dist-info/METADATA differs. Fix: Increase the version"
        in answer["msg"]
    )


@pytest.mark.nightly
def test_a_version_that_the_build_makes(index, source):
    edit(source, 'version = "1.0"', 'dynamic = ["version"]')
    edit(
        source,
        "[project.scripts]",
        '[tool.hatch.version]\npath = "src/swf_thing/__init__.py"\n[project.scripts]',
    )
    (source / "src/swf_thing/__init__.py").write_text('__version__ = "3.0rc1"\n')
    assert "(the build sets the version)" in publish(index, source, check_mode=True)["published"][0]
    assert publish(index, source)["published"] == ["swf-thing 3.0rc1"]
    assert publish(index, source)["present"] == ["swf-thing 3.0rc1"]


def test_wrong_token_is_named(index, source):
    answer = publish(index, source, indexes=[entry(index, token="wrong")])
    assert (
        answer["failed"]
        and "rejected the credentials" in answer["msg"]
        and "swf_testbed_index_token" in answer["msg"]
    )


def test_settings_of_the_login_do_not_win(index, source, monkeypatch):
    for name, value in (
        ("USERNAME", "x"),
        ("PASSWORD", "y"),
        ("REPOSITORY_URL", "http://127.0.0.1:1/"),
    ):
        monkeypatch.setenv("TWINE_" + name, value)
    assert publish(index, source)["changed"] and names(index) == [WHEEL]


def test_no_index_is_named_and_in_check_mode_predicted(index, source):
    unreachable = [entry(index, url="http://127.0.0.1:1/simple/")]
    assert "the index lab is unavailable" in publish(index, source, indexes=unreachable)["msg"]
    assert publish(index, source, check_mode=True, indexes=unreachable)["published"] == [
        "swf-thing 1.0"
    ]


def test_a_broken_package_shows_the_cause(index, source):
    edit(source, 'version = "1.0"', 'version = "not a version"')
    answer = publish(index, source)
    assert answer["failed"] and "cannot build" in answer["msg"] and "not a version" in answer["msg"]
    (source / "pyproject.toml").write_text("[project")
    assert "is not valid TOML" in publish(index, source)["msg"]
    (source / "pyproject.toml").unlink()
    assert "the file does not exist" in publish(index, source)["msg"]
    assert "there is no directory" in publish(index, source / "nowhere")["msg"]
    assert "there is nothing to publish" in publish(index, source, sources=[])["msg"]


class Refusing(http.server.BaseHTTPRequestHandler):
    """Stand-in for an index that knows no package, and answers uploads with the status in its
    address and the token it got."""

    def log_message(self, *_arguments):
        pass

    def do_GET(self):
        self.send_error(404)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = ("you sent %s" % TOKEN).encode()
        self.send_response(int(self.path.strip("/")))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(name="refusing", scope="module")
def refusing_index():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield "http://127.0.0.1:%d" % server.server_port
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "status,cause",
    [
        (401, "rejected the credentials (401)"),
        (403, "lacks upload permission"),
        (404, "does not accept uploads"),
        (413, "exceeds the size limit"),
    ],
)
def test_a_refused_upload_says_why(refusing, source, index, status, cause):
    address = entry(
        index, preset="simple", url=refusing + "/simple/", upload_url="%s/%d/" % (refusing, status)
    )
    answer = publish(index, source, indexes=[address])
    assert answer["failed"] and cause in answer["msg"] and "lab" in answer["msg"], answer


def test_causes_of_a_failed_upload_without_a_server():
    lab = {"name": "lab", "upload_url": "https://h/", "token": TOKEN}
    text = explain(lab, "HTTPError: 409 Conflict from https://u:%s@h/ %s" % (TOKEN, TOKEN))
    assert "increase the version" in text and TOKEN not in text
    text = explain(lab, "SSLError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed')")
    assert "set ca_cert of the index lab" in text


@pytest.mark.parametrize(
    "indexes,name,part",
    [
        (
            [{"name": "pypi"}],
            "lab",
            "there is no index 'lab' in swf_testbed_pip_indexes. Evidence: there are: pypi",
        ),
        (
            [{"name": "wheels", "preset": "directory", "url": "/srv/w", "packages": ["swf-*"]}],
            "",
            "Fix: copy the files there",
        ),
        (
            [
                {
                    "name": "g",
                    "preset": "gitlab",
                    "url": "https://h/api/v4/groups/1/-/packages/pypi/simple/",
                    "token": "t",
                }
            ],
            "",
            "a GitLab group",
        ),
        ([{"name": "s", "url": "https://h/simple/"}], "s", "Fix: set its upload_url"),
        ([{"name": "t", "preset": "testpypi"}], "t", "has no token"),
        (
            [
                {"name": "a", "url": "https://a/s/", "packages": ["a-*"]},
                {"name": "b", "url": "https://b/s/", "packages": ["b-*"]},
            ],
            "",
            "Fix: set swf_testbed_publish_index to one of them",
        ),
        # a public index is never the default
        ([{"name": "pypi", "token": "t"}], "", "Fix: set swf_testbed_publish_index to one of them"),
        (
            [{"name": "t", "preset": "testpypi", "token": "t", "packages": ["swf-*"]}],
            "",
            "Fix: set swf_testbed_publish_index to one of them",
        ),
        ([{"name": "gh", "preset": "github"}], "gh", "no registry for Python packages"),
    ],
)
def test_indexes_that_cannot_be_uploaded_to(indexes, name, part):
    with pytest.raises(PublishError, match=part.replace("(", r"\(")):
        target(indexes, name)


def test_pypi_is_what_twine_knows():
    entry_of_pypi = target([{"name": "public", "preset": "pypi", "token": "t"}], "public")
    assert entry_of_pypi["upload_url"] is None
    assert section(entry_of_pypi).splitlines()[0] == "[pypi]" and "repository" not in section(
        entry_of_pypi
    )
    test = configuration.normalised([{"name": "test", "preset": "testpypi", "token": "a%b"}])[0]
    assert section(test).splitlines()[2:] == [
        "repository = https://test.pypi.org/legacy/",
        "username = __token__",
        "password = a%b",
    ]


@pytest.mark.parametrize(
    "file,found",
    [
        (WHEEL, ("wheel", "swf-thing", "1.0")),
        ("swf-thing-1.0.tar.gz", ("sdist", "swf-thing", "1.0")),
        ("swf_thing-1.0.1-py3-none-any.whl", ("wheel", "swf-thing", "1.0.1")),
        ("swf_thing-1.0.dev1.tar.gz", ("sdist", "swf-thing", "1.0.dev1")),
        ("swf_thing_extra-01.0-py3-none-any.whl", ("wheel", "swf-thing-extra", "1.0")),
        ("readme.txt", None),
    ],
)
def test_versions_are_told_apart(file, found):
    assert parsed(file) == found


def test_links_of_a_page():
    found = links(
        '<a href="../../files/%s#sha256=ab">x</a><a href="https://f/%s#md5=cd">x</a><a>no</a>'
        % (WHEEL, SDIST),
        "https://h/simple/swf-thing/",
    )
    assert found == {WHEEL: ("https://h/files/" + WHEEL, "ab"), SDIST: ("https://f/" + SDIST, None)}


GIT_TOKEN = "git/%:@canary0123456789canary"


@pytest.fixture(name="server", scope="module")
def git_server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("git")
    source = make_source(folder / "swf-thing")
    commit_all(source)
    git(source, "tag", "v1.0")
    edit(source, 'version = "1.0"', 'version = "2.0"')
    commit_all(source)
    server = GitHttps(folder, folder / "ca.pem", "me", GIT_TOKEN)
    server.ca_cert = str(folder / "ca.pem")
    yield server
    server.stop()


def repository(server, **changes):
    given = {
        "url": server.url + "/swf-thing/.git",
        "username": "me",
        "token": GIT_TOKEN,
        "ca_cert": server.ca_cert,
    }
    return dict(given, **changes)


def test_sources_from_git(index, source, server, tmp_path, monkeypatch):
    (tmp_path / ".gitconfig").write_text("[credential]\n\thelper = store\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    for ref, version in (("main", "2.0"), (None, "2.0"), ("v1.0", "1.0")):
        answer = publish(
            index,
            source,
            sources=[],
            repositories=[repository(server, ref=ref)],
            check_mode=ref != "v1.0",
        )
        assert answer["published"] == ["swf-thing " + version], answer
        assert GIT_TOKEN not in json.dumps(answer)
    assert names(index) == [WHEEL]
    assert not (tmp_path / ".git-credentials").exists()


@pytest.mark.parametrize(
    "changes,part",
    [
        ({"token": "wrong"}, "rejected the credentials"),
        ({"ref": "v9"}, "has no branch, tag or commit 'v9'"),
        ({"subdirectory": "../x"}, "is outside of the repository"),
        ({"ref": "--upload-pack=x"}, "is not a branch"),
        ({"url": "https://me:secret-in-url@h/x.git", "token": None}, "has credentials in it"),
        ({"url": "ext::sh -c x"}, "neither an https"),
    ],
)
def test_a_repository_that_cannot_be_cloned(index, source, server, changes, part):
    answer = publish(index, source, sources=[], repositories=[repository(server, **changes)])
    assert answer["failed"] and part in answer["msg"], answer
    assert GIT_TOKEN not in json.dumps(answer)
    # the module's invocation aside, which repeats what was given
    assert "secret-in-url" not in answer["msg"]


class Stale(Index):
    """An index that is asked for the first time before another run publishes, and then as it is."""

    def __init__(self, entry_of_index, other_run):
        super().__init__(entry_of_index)
        self.other_run = other_run

    def files(self, package):
        before, other_run = super().files(package), self.other_run
        self.other_run = None
        if other_run:
            other_run()
        return before


def upload_while(index, source, tmp_path, other_run, formats=("wheel", "sdist")):
    """Upload as the module does, when another run published after this one had looked."""
    entry_of_index = target([entry(index)], None)
    with projects([str(source)], []) as found:
        packages = [Package(project) for project in found]
        seen = Stale(entry_of_index, other_run)
        package_publish.look(packages, seen, False)
        build_all(packages, formats, str(tmp_path))
        package_publish.upload_missing(entry_of_index, seen, packages, formats, str(tmp_path))


def test_what_another_run_published_meanwhile_is_done(index, source, tmp_path):
    upload_while(index, source, tmp_path, lambda: publish(index, source, formats=["wheel"]))
    assert names(index) == [WHEEL, SDIST]


def test_what_another_run_published_meanwhile_with_other_content_is_refused(
    index, source, tmp_path
):
    with pytest.raises(
        PublishError,
        match=r"with other content: swf_thing-1.0.dist-info/METADATA differs. Fix: Increase the version",
    ):
        upload_while(index, source, tmp_path, lambda: make_wheel(index.folder, "swf-thing", "1.0"))
    assert names(index) == [WHEEL]


def test_an_upload_that_the_index_refuses_is_tried_once(source, tmp_path, index):
    (index.folder / WHEEL).mkdir()
    try:
        with pytest.raises(PublishError, match="cannot upload"):
            upload_while(index, source, tmp_path, None, ("wheel",))
    finally:
        (index.folder / WHEEL).rmdir()


@pytest.mark.nightly
def test_two_runs_at_once(index, tmp_path):
    sources = [
        str(make_source(tmp_path / name, name=name)) for name in ("swf-one", "swf-two", "swf-three")
    ]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        answers = list(
            pool.map(
                lambda _number: publish(index, "", sources=sources, formats=["wheel", "sdist"]),
                range(2),
            )
        )
    assert not any(answer["failed"] for answer in answers), answers
    assert len(names(index)) == 6
