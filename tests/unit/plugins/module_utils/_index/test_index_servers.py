# SPDX-License-Identifier: GPL-3.0-or-later
"""What the answers of each kind of server mean. GitLab, Artifactory, Nexus and the proxy are
stand-ins; pypiserver is real."""

from __future__ import annotations

import base64
import contextlib
import datetime
import json
import os
import socket
import ssl
import sys
import threading
import urllib.parse
import venv

import pytest
import trustme

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.probe import (
    diagnose,
    probe,
)
from helpers.index_server import IndexServer, make_wheel
from helpers.index_stand_ins import (
    GITLAB,
    TOKEN,
    USER,
    StandIn,
    anchor,
    artifactory,
    gitlab,
    html,
    nexus,
    page,
    pages,
    pypiserver_app,
    server_context,
)

LOGIN = {"username": USER, "token": TOKEN}
WRONG = {"username": USER, "token": "wrong-" + TOKEN}
LONG = "canary0123456789canary0123456789canary01"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def verdicts(report):
    return [item["verdict"] for item in report["packages"]]


def only(index, name="swf-testbed", **more):
    """(verdict on the index, report on the package) for one index and one package. Cause and fix
    must be there."""
    report = probe([index], [name], **more)
    item = report["packages"][0]
    assert item["verdict"] == "ok" or (item["cause"] and item["fix"] and item["evidence"]), item
    assert report["ok"] == (not report["problems"]) == item["ok"]
    assert TOKEN not in json.dumps(report) and LONG not in json.dumps(report)
    return report["indexes"][0]["verdict"], item


# pypiserver, the real one


@pytest.fixture(name="server", scope="module")
def server_with_password(tmp_path_factory):
    server = IndexServer(tmp_path_factory.mktemp("index") / "packages", LONG)
    make_wheel(server.folder, "swf-testbed", "1.0")
    yield server
    server.stop()


@pytest.mark.parametrize("preset", ["pypiserver", "simple"])
@pytest.mark.parametrize(
    "login,name,verdict",
    [
        ({}, "swf-testbed", "ok"),
        ({}, "swf-nothing", "not_found"),
        ({}, "swf-testbed==2.0", "version_missing"),
        ({"token": "wrong"}, "swf-testbed", "auth_wrong"),
        ({"token": None, "username": None}, "swf-testbed", "auth_missing"),
    ],
)
def test_pypiserver(server, preset, login, name, verdict):
    index, item = only(server.as_index("lab", preset=preset, packages=["swf-*"], **login), name)
    assert item["verdict"] == verdict
    assert index == (verdict if verdict.startswith("auth") else "ok")


def test_pypiserver_without_a_password_is_anonymous_and_forwards(tmp_path):
    make_wheel(tmp_path, "swf-testbed", "1.0")
    with pypiserver_app(tmp_path) as url:
        lab = {"name": "lab", "url": url, "preset": "pypiserver", "packages": ["swf-*"]}
        index, item = only(lab)
        assert (index, item["verdict"], item["ok"]) == ("anonymous", "anonymous", True)
        item = only(lab, "swf-nothing")[1]
        assert item["verdict"] == "forwarded" and "--disable-fallback" in item["fix"]


# GitLab


@pytest.mark.parametrize(
    "settings,login,verdict",
    [
        ({}, LOGIN, "ok"),
        ({}, {}, "auth_missing"),
        ({}, WRONG, "auth_wrong"),
        ({"scope": False}, LOGIN, "auth_forbidden"),
        ({"member": False}, LOGIN, "auth_forbidden"),
        ({"packages": ["other"]}, LOGIN, "not_found"),
        ({"public": True}, LOGIN, "anonymous"),
        ({"public": True}, {}, "anonymous"),
    ],
)
def test_gitlab(settings, login, verdict):
    with gitlab(**settings) as server:
        assert only(server.as_index(preset="gitlab", **login))[1]["verdict"] == verdict


def test_gitlab_that_forwards_is_not_followed():
    with StandIn(pages({"swf-monitor": page("swf-monitor", "99.0")})) as public:
        with gitlab(forwards_to="http://localhost:%d/simple/" % public.port) as server:
            item = only(server.as_index(preset="gitlab", **LOGIN), "swf-monitor")[1]
        assert (
            item["verdict"] == "forwarded"
            and "http://localhost" in item["evidence"]
            and "Forward PyPI" in item["fix"]
        )
        assert public.asked == []


# Artifactory, Nexus


@pytest.mark.parametrize(
    "hides,login,name,verdict",
    [
        (True, LOGIN, "swf-testbed", "ok"),
        (True, LOGIN, "swf-nothing", "not_found"),
        (True, WRONG, "swf-testbed", "auth_wrong"),
        (True, {}, "swf-testbed", "auth_missing"),
        (False, WRONG, "swf-testbed", "auth_wrong"),
        (False, {}, "swf-testbed", "auth_missing"),
    ],
)
def test_artifactory(hides, login, name, verdict):
    with artifactory(hides) as server:
        assert only(server.as_index(preset="artifactory", **login), name)[1]["verdict"] == verdict


def test_artifactory_says_that_the_repository_may_be_wrong_too():
    with artifactory() as server:
        lab = server.as_index(preset="artifactory", **LOGIN)
        item = only(dict(lab, url=lab["url"].replace("/lab/", "/typo/")))[1]
    assert item["verdict"] == "auth_wrong" and "repository's name" in item["evidence"]


@pytest.mark.parametrize(
    "anonymous,login,name,verdict",
    [
        (False, LOGIN, "swf-testbed", "ok"),
        (False, LOGIN, "swf-nothing", "not_found"),
        (False, WRONG, "swf-testbed", "auth_wrong"),
        (False, {}, "swf-testbed", "auth_missing"),
        (False, {"username": "guest", "token": TOKEN}, "swf-testbed", "auth_forbidden"),
        (True, LOGIN, "swf-testbed", "anonymous"),
        (True, WRONG, "swf-testbed", "auth_wrong"),
    ],
)
def test_nexus(anonymous, login, name, verdict):
    with nexus(anonymous) as server:
        assert only(server.as_index(preset="nexus", **login), name)[1]["verdict"] == verdict


def test_nexus_with_a_wrong_repository():
    with nexus() as server:
        lab = server.as_index(preset="nexus", **LOGIN)
        item = only(dict(lab, url=lab["url"].replace("/lab/", "/typo/")))[1]
    assert item["verdict"] == "wrong_url" and "REPOSITORY" in item["fix"]


# GitHub Packages


@pytest.mark.parametrize(
    "more", [{"preset": "github"}, {"url": "https://pypi.pkg.github.com/bnlnpps/simple/"}]
)
def test_github_is_not_asked_and_its_names_are_not_asked_elsewhere(more):
    with StandIn(pages({"swf-testbed": page("swf-testbed", "99")})) as primary:
        gh = {"name": "gh", "packages": ["swf-*"], **more, **LOGIN}
        report = probe([gh, {"name": "all", "url": primary.url}], ["swf-testbed"])
        assert verdicts(report) == ["github"] and report["indexes"][0]["verdict"] == "github"
        assert (
            len(report["problems"]) == 1
            and "swf_testbed_release_source: git" in report["problems"][0]
        )
        assert "swf-testbed" not in primary.names()


def test_a_redirect_to_github_is_named():
    with StandIn(
        lambda _path, _login: (302, "", {"Location": "https://pypi.pkg.github.com/bnlnpps/"})
    ) as server:
        assert only(server.as_index())[1]["verdict"] == "github"


# the way to the index


def test_name_that_does_not_exist():
    assert (
        only({"name": "lab", "url": "https://index.invalid/simple/"}, timeout=5)[1]["verdict"]
        == "dns"
    )


def test_nothing_listens():
    with StandIn(pages({})) as server:
        url = server.url
    assert only({"name": "lab", "url": url})[1]["verdict"] == "refused"


def test_no_answer_in_time():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(16)
        index = {"name": "lab", "url": "http://127.0.0.1:%d/simple/" % silent.getsockname()[1]}
        assert only(index, timeout=1)[1]["verdict"] == "timeout"


def test_one_problem_for_an_index_that_is_down():
    with StandIn(pages({})) as server:
        index = server.as_index()
    problems = diagnose([index], ["swf-testbed", "swf-monitor"])
    assert len(problems) == 1 and problems[0].startswith(
        "nothing listens at the address of the index lab. Evidence: http://127.0.0.1"
    )


def test_the_fault_is_the_server_s():
    with StandIn(lambda _path, _login: (500, "")) as server:
        assert only(server.as_index())[1]["verdict"] == "server_error"


@pytest.fixture(name="ca", scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(name="tls")
def tls_index(ca, tmp_path):
    """Starts the real pypiserver behind TLS with a certificate for these names; gives the index."""
    running = []

    def start(*names, **more):
        packages = tmp_path / "packages"
        packages.mkdir()
        make_wheel(packages, "swf-testbed", "1.0")
        context = pypiserver_app(packages, server_context(ca.issue_cert(*names, **more), tmp_path))
        running.append(context)
        ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        return {
            "name": "lab",
            "url": context.__enter__(),
            "ca_cert": str(tmp_path / "ca.pem"),
            "packages": ["swf-*"],
        }

    yield start
    for context in running:
        context.__exit__(None, None, None)


def test_tls(tls, tmp_path):
    lab = tls("127.0.0.1")
    assert only(lab)[1]["verdict"] == "anonymous"
    item = only(dict(lab, ca_cert=None))[1]
    assert item["verdict"] == "tls_unknown_ca" and "ca_cert of lab" in item["fix"]
    item = only(dict(lab, ca_cert=str(tmp_path / "none.pem")))[1]
    assert item["verdict"] == "tls_unknown_ca" and "none.pem" in item["evidence"]
    # the certificate that the role placed counts
    (tmp_path / "ca.pem").rename(tmp_path / "lab.pem")
    assert only(lab, access_dir=str(tmp_path))[1]["verdict"] == "anonymous"
    assert only(dict(lab, url=lab["url"].replace("https", "http"), ca_cert=None))[1]["verdict"] in (
        "wrong_url",
        "refused",
    )


def test_certificate_for_another_name(tls):
    assert only(tls("other.example.org"))[1]["verdict"] == "tls_hostname"


def test_certificate_that_has_expired(tls):
    past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
    item = only(tls("127.0.0.1", not_before=past - datetime.timedelta(days=1), not_after=past))[1]
    assert item["verdict"] == "tls_expired" and "date" in item["fix"]


def test_certificate_of_the_host_is_asked_for(ca, tmp_path):
    context = server_context(ca.issue_cert("127.0.0.1"), tmp_path)
    context.verify_mode = ssl.CERT_REQUIRED
    # with 1.3 the refusal comes after the handshake, and may be lost with the connection
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    ca.configure_trust(context)
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with StandIn(pages({}), context=context) as server:
        item = only(server.as_index(ca_cert=str(tmp_path / "ca.pem")))[1]
    assert item["verdict"] == "tls_failed" and "openssl s_client" in item["fix"]


def test_tls_is_spoken_to_a_server_that_does_not():
    with StandIn(pages({})) as server:
        item = only({"name": "lab", "url": server.url.replace("http:", "https:")})[1]
    assert item["verdict"] == "wrong_url" and "does not speak TLS" in item["evidence"]


def test_proxy_that_refuses_and_proxy_that_is_not_there(monkeypatch):
    with StandIn(pages({})) as proxy:
        monkeypatch.setenv("https_proxy", "http://somebody:%s@127.0.0.1:%d" % (TOKEN, proxy.port))
        lab = {"name": "lab", "url": "https://index.example.org/simple/"}
        item = only(lab)[1]
        assert (
            item["verdict"] == "proxy"
            and "127.0.0.1:%d" % proxy.port in item["evidence"]
            and "407" in item["evidence"]
        )
        assert proxy.asked
    assert only(lab)[1]["verdict"] == "proxy"


# addresses that are no simple API


def test_missing_simple_is_found():
    with StandIn(pages({"swf-testbed": page("swf-testbed", "1.0")}), "/") as server:
        index, item = only(server.as_index())
    assert (
        index == item["verdict"] == "wrong_url"
        and "a simple API is at %ssimple/" % server.url in item["evidence"]
    )


TO_LOG_IN = (200, "<form action=/in><input name=p type=password></form>")
ONE_PACKAGE = (200, html(anchor("swf_testbed-1.0-py3-none-any.whl")))


@pytest.mark.parametrize(
    "answer,evidence",
    [
        (lambda _path, _login: TO_LOG_IN, "a login page"),
        (
            lambda path, _login: (
                TO_LOG_IN if "sign_in" in path else (302, "", {"Location": "/users/sign_in"})
            ),
            "a login page",
        ),
        (
            lambda _path, _login: (302, "", {"Location": "https://sso.example.org/login?back=1"}),
            "https://sso.example.org/login",
        ),
        (
            lambda path, _login: (301, "", {"Location": "https://127.0.0.1%s" % path}),
            "redirects to https://127.0.0.1/simple/",
        ),
        (lambda _path, _login: (200, "<html><title>Welcome</title>"), "lists no"),
        (
            lambda path, _login: ONE_PACKAGE if path == "/simple/" else (404, ""),
            "the page of one package",
        ),
        (
            lambda _path, _login: (200, "{}", {"Content-Type": "application/json"}),
            "application/json",
        ),
        (lambda path, _login: (302, "", {"Location": path + "x/"}), "redirects without end"),
        (lambda _path, _login: (302, "", {"Location": "http://[::1/"}), "invalid address"),
        (lambda _path, _login: (200, "<html><title>Odd</title><![x[ >"), "lists no"),
        (lambda _path, _login: (405, ""), "HTTP 405"),
    ],
)
def test_what_is_no_simple_api(answer, evidence):
    with StandIn(answer) as server:
        report = probe([server.as_index()], ["swf-nothing"])
    assert (
        report["indexes"][0]["verdict"] == "wrong_url"
        and evidence in report["indexes"][0]["evidence"]
    )
    assert len(report["problems"]) >= 1 and not report["packages"][0]["ok"]


def test_what_does_not_speak_http():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen(16)

        def greet():
            for _count in range(16):
                try:
                    connection = other.accept()[0]
                except OSError:
                    return
                with connection, contextlib.suppress(ConnectionError):
                    connection.recv(4096)
                    connection.sendall(b"220 mail.example.org ESMTP\r\n")

        threading.Thread(target=greet, daemon=True).start()
        item = only({"name": "lab", "url": "http://127.0.0.1:%d/simple/" % other.getsockname()[1]})[
            1
        ]
    assert item["verdict"] == "wrong_url" and "does not speak HTTP" in item["evidence"]


def test_public_index_that_refuses_everybody():
    with StandIn(lambda _path, _login: (403, "blocked here")) as server:
        assert (
            only({"name": "test", "preset": "testpypi", "url": server.url}, "numpy")[1]["verdict"]
            == "auth_forbidden"
        )


# what belongs to whom


def test_a_private_name_is_asked_at_its_index_alone():
    with (
        StandIn(pages({"swf-testbed": page("swf-testbed", "99.0")})) as public,
        StandIn(pages({})) as lab,
    ):
        report = probe(
            [lab.as_index(), {"name": "all", "url": public.url}], ["swf-testbed", "numpy"]
        )
        assert verdicts(report) == ["not_found", "not_found"] and "swf-testbed" in lab.names()
        assert public.names() == {"simple", "numpy"}


def test_two_indexes_that_claim_a_name_are_a_problem_and_the_exact_claim_counts_first():
    tree = pages({"swf-testbed": page("swf-testbed", "1.0")})
    with StandIn(tree) as one, StandIn(tree) as two, StandIn(tree) as public:
        indexes = [
            one.as_index(name="one"),
            two.as_index(name="two"),
            {"name": "all", "url": public.url},
        ]
        report = probe(indexes, ["swf-testbed"])
        assert verdicts(report) == ["duplicate", "duplicate"] and len(report["problems"]) == 1
        assert "one, two" in report["problems"][0] and "swf-testbed" not in public.names()
        indexes[0]["packages"] = ["swf-testbed"]
        assert verdicts(probe(indexes, ["swf-testbed"])) == ["anonymous"]


def test_plain_extra_index():
    with (
        StandIn(pages({"a": page("a", "1.0"), "b": page("b", "1.0")})) as one,
        StandIn(pages({"b": page("b", "2.0")})) as two,
    ):
        report = probe(
            [
                {"name": "all", "url": one.url},
                {"name": "more", "url": two.url, "role": "extra", "allow_unsafe_extra_index": True},
            ],
            ["a", "b"],
        )
    assert verdicts(report) == ["ok", "not_found", "duplicate", "duplicate"]
    assert [item["ok"] for item in report["packages"]] == [True, True, False, False]
    assert "dependency confusion" in report["unsafe"][0]


def test_no_index_for_a_name():
    with StandIn(pages({})) as lab:
        assert verdicts(probe([lab.as_index()], ["numpy"])) == ["no_index"]
        assert "numpy" not in lab.names()


# credentials


def test_the_login_goes_to_no_other_place(monkeypatch):
    with StandIn(pages({"numpy": page("numpy", "2.0")})) as other:
        with StandIn(
            lambda path, _login: (
                302,
                "",
                {"Location": "http://localhost:%d%s" % (other.port, path)},
            )
        ) as first:
            monkeypatch.setenv(
                "PIP_INDEX_URL", "http://%s:%s@127.0.0.1:%d/simple/" % (USER, LONG, first.port)
            )
            report = probe([{"name": "pypi"}], ["numpy"])
        assert verdicts(report) == ["ok"]
        assert (USER, LONG) in {login for _path, login in first.asked}
        assert other.asked and {login for _path, login in other.asked} == {None}
        assert LONG not in json.dumps(report) and report["indexes"][0]["url"] == first.url


def test_a_login_that_was_refused_is_not_tried_again():
    with gitlab() as server:
        only(server.as_index(preset="gitlab", **WRONG))
        probe(
            [server.as_index(preset="gitlab", **WRONG)],
            ["swf-testbed", "swf-monitor", "swf-data-agent"],
        )
        assert [login for _path, login in server.asked].count((USER, WRONG["token"])) == 2


def test_login_from_the_placed_netrc(tmp_path):
    (tmp_path / "netrc").write_text(
        "# Written by a role.\nmachine 127.0.0.1 login %s password %s\n" % (USER, TOKEN)
    )
    with gitlab() as server:
        report = probe(
            [server.as_index(preset="gitlab")], ["swf-testbed"], access_dir=str(tmp_path)
        )
        assert verdicts(report) == ["ok"] and report["indexes"][0]["login"]
        (tmp_path / "netrc").write_text("")
        problem = diagnose(
            [server.as_index(preset="gitlab")], ["swf-testbed"], access_dir=str(tmp_path)
        )[0]
        assert (
            "none are set" in problem
            and "deploy token" in problem
            and str(tmp_path / "netrc") in problem
        )
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login %s passwort %s\n" % (USER, TOKEN))
    problems = diagnose([server.as_index()], ["swf-testbed"], access_dir=str(tmp_path))
    assert "is not a valid netrc file" in problems[0] and TOKEN not in problems[0]


def test_an_echo_of_the_token_is_not_passed_on():
    basic = base64.b64encode(("%s:%s" % (USER, TOKEN)).encode()).decode()
    echoes = [
        TOKEN,
        urllib.parse.quote(TOKEN, safe=""),
        urllib.parse.quote_plus(TOKEN).lower().replace("%2b", "%2B"),
        basic,
        base64.b64encode(("x" + TOKEN).encode()).decode(),
        base64.b64encode(("xy" + TOKEN + "z").encode()).decode(),
    ]
    for echo in echoes:
        for answer in (
            lambda _path, _login, echo=echo: (
                302,
                "",
                {"Location": "https://elsewhere.example.org/%s/" % echo},
            ),
            lambda path, _login, echo=echo: (
                (200, html(title=echo)) if path == "/simple/" else (200, "<title>%s</title>" % echo)
            ),
            lambda path, _login, echo=echo: (
                200,
                html(anchor("swf_testbed-1.0-py3-none-any.whl", yanked=echo)),
            ),
        ):
            with StandIn(answer) as server:
                text = json.dumps(probe([server.as_index(**LOGIN)], ["swf-testbed"]))
            for fragment in (*echoes[:4], TOKEN[:20], basic[:24], echoes[4][4:24], echoes[5][4:24]):
                assert fragment not in text, (fragment, text)


# what pip is set up for


def test_address_of_pip(monkeypatch, tmp_path):
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    with StandIn(pages({"numpy": page("numpy", "2.0")})) as mirror:
        (tmp_path / "pip.conf").write_text("[global]\nindex-url = %s\n" % mirror.url.rstrip("/"))
        monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
        report = probe([{"name": "pypi"}], ["numpy"])
    assert verdicts(report) == ["ok"] and report["indexes"][0]["url"] == mirror.url


def test_a_host_without_pip(monkeypatch, tmp_path):
    venv.create(tmp_path / "venv", with_pip=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv/bin/python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "defpath", str(tmp_path))
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    report = probe([{"name": "pypi"}], ["numpy"])
    assert (
        verdicts(report) == ["unknown_default"]
        and report["ok"]
        and not report["indexes"][0]["reachable"]
    )


def test_gitlab_prefix_is_that_of_the_preset():
    # the stand-in must be asked where the real one is
    with gitlab() as server:
        assert server.url.endswith(GITLAB)
        probe([server.as_index(preset="gitlab", **LOGIN)], ["swf-testbed"])
        assert server.names() == {"simple", "swf-testbed"}
