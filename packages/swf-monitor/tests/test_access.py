# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may see the pages and the REST API of a monitor that requires a login."""

import base64
import hashlib
import html
import http.cookiejar
import json
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import PASSWORDS, TOKEN, Answer, Api, Site, make_site

PASSWORD = "correct horse battery staple"
OTHER_HOST = {"X-Forwarded-For": "192.0.2.7"}
FORM = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')


class Client:
    """A browser behind a web server that passes the address of its client."""

    def __init__(self, url: str, **headers: str) -> None:
        self.url = url
        self.headers = OTHER_HOST | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        self.cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(
            _NoRedirect(), urllib.request.HTTPCookieProcessor(self.cookies)
        )

    def get(self, path: str, form: dict[str, str] | None = None) -> Answer:
        """The response to GET, or to POST of a form."""
        data = urllib.parse.urlencode(form).encode() if form is not None else None
        request = urllib.request.Request(self.url + path, data, self.headers)
        try:
            with self._opener.open(request, timeout=30) as response:
                return Answer(response.status, response.read().decode(), dict(response.headers))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read().decode(), dict(error.headers))

    def log_in(self, name: str, password: str, to: str = "/files/") -> Answer:
        page = self.get("/login/?" + urllib.parse.urlencode({"next": to}))
        assert page.status == 200, page.text
        found = FORM.search(page.text)
        assert found
        form = {"username": name, "password": password, "next": to}
        return self.get("/login/", form | {"csrfmiddlewaretoken": found[1]})


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_arguments: object) -> None:
        return None


def create(site: Site, name: str, password: str, command: str = "createuser") -> tuple[int, str]:
    done = site.command(command, name, stdin=password + "\n")
    assert password not in done.stdout + done.stderr
    return done.returncode, done.stdout or done.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = make_site(tmp_path_factory.mktemp("access"), SWF_MONITOR_LOGIN_REQUIRED="true")
    made.set_up()
    assert create(made, "alice", PASSWORD) == (0, '{"changed": true, "user": "alice"}\n')
    yield made
    made.close()


@pytest.fixture(scope="module")
def api(site: Site) -> Api:
    return site.serve()[1]


def test_the_pages_need_a_login_except_on_this_host(api: Api) -> None:
    api = Api(api.url, None)
    for path in ("/", "/files/", "/messages/?msg_type=stf_gen"):
        assert api.get(path).status == 200
        for header in ({"X_Forwarded_For": "127.0.0.1"}, {"Forwarded": "for=127.0.0.1"}):
            answer = Client(api.url, **header).get(path)
            assert answer.status == 302
            assert answer.headers["Location"] == "/login/?next=" + urllib.parse.quote(path)
    # a script gets no form, with which it would replace the content
    assert Client(api.url).get("/?part=content").status == 401
    # another request header of a proxy changes nothing
    assert Client(api.url, X_Remote_User="alice").get("/").status == 302
    assert api.get("/api/summary/").status == 200
    assert "database" in api.get("/api/health/").json


def test_a_client_of_another_host_needs_a_token_for_the_numbers(api: Api) -> None:
    client = Client(api.url)
    health = client.get("/api/health/")
    assert (health.status, health.json) == (503, {"status": "error"})
    assert client.get("/api/summary/").status == 401
    assert client.get("/api/docs/").status == 200
    assert client.get("/api/docs/assets/swagger-ui.css").status == 200
    wrong = Client(api.url, Authorization="Token " + "0" * 40)
    assert wrong.get("/api/health/").json == {"status": "error"}
    assert wrong.get("/api/summary/").status == 401
    program = Client(api.url, Authorization=f"Token {TOKEN}")
    assert "database" in program.get("/api/health/").json
    assert program.get("/api/summary/").status == 200
    # a token of a program is no login
    assert program.get("/").status == 302


def test_a_login_shows_the_pages_until_it_ends(api: Api) -> None:
    client = Client(api.url)
    answer = client.log_in("alice", PASSWORD, "/files/?status=failed")
    assert (answer.status, answer.headers["Location"]) == (302, "/files/?status=failed")
    page = client.get("/files/?status=failed")
    assert page.status == 200
    assert "alice" in page.text
    assert page.headers["Cache-Control"] == "no-store"
    cookie = next(cookie for cookie in client.cookies if cookie.name == "swf_monitor_login")
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("SameSite") == "Lax"
    # reading alone, and neither a form nor a page of another server can change anything
    assert client.get("/api/runs/").status == 200
    assert client.get("/api/runs/", {}).status == 401
    assert client.get("/logout/", {}).status == 403
    found = FORM.search(page.text)
    assert found
    assert client.get("/logout/", {"csrfmiddlewaretoken": found[1]}).status == 302
    assert client.get("/").status == 302


def test_a_new_password_and_a_deletion_end_the_logins(site: Site, api: Api) -> None:
    client = Client(api.url)
    for command in ("createuser", "deleteuser"):
        assert create(site, "bob", PASSWORD)[0] == 0
        client.log_in("bob", PASSWORD)
        assert client.get("/").status == 200
        done = create(site, "bob", PASSWORD + "!", command)
        assert done == (0, '{"changed": true, "user": "bob"}\n')
        assert client.get("/").status == 302


def test_a_refused_account_is_one_clear_line(site: Site) -> None:
    status, text = create(site, "swf-api", PASSWORD)
    assert status == 1
    assert text.startswith("swf-monitor: swf-api is a service user. Evidence: ")
    assert text.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "password", "cause"),
    [
        ("carol", "a-few-chars", "too short"),
        ("carol", "q1w2e3r4t5y6", "too common"),
        ("carol.of.the.lab", "carol.of.the.lab1", "too similar"),
        ("carol,dave", PASSWORD, "Enter a valid username"),
        ("swf-api", PASSWORD, "is a service user"),
        ("issued", PASSWORD, "is a service user"),
    ],
)
def test_a_bad_account_is_refused(django_site: None, name: str, password: str, cause: str) -> None:
    from swf_monitor import accounts, logins

    logins.apply({"issued": logins.Login("e" * 40, "issued")})
    with pytest.raises(accounts.AccountError, match=cause) as refused:
        accounts.create_user(name, password)
    assert password not in str(refused.value)
    assert "\n" not in str(refused.value)
    if "service user" in cause:
        with pytest.raises(accounts.AccountError, match=cause):
            accounts.delete_user(name)
    else:
        assert accounts.delete_user(name)["changed"] is False
    logins.apply({})


def test_an_account_changes_once(django_site: None) -> None:
    from swf_monitor import accounts

    changes = [
        accounts.create_user("dave", PASSWORD),
        accounts.create_user("dave", PASSWORD),
        accounts.create_user("dave", PASSWORD + "!"),
        accounts.delete_user("dave"),
        accounts.delete_user("dave"),
    ]
    assert [change["changed"] for change in changes] == [True, False, True, True, False]
    assert {change["user"] for change in changes} == {"dave"}


def listed(name: str, password: str) -> dict[str, str]:
    """An account, as the collection writes it to the file."""
    salt = "a salt of the tests".replace(" ", "0")
    digest = hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), 100_000)
    return {
        "name": name,
        "hash": f"pbkdf2_sha256$100000${salt}${base64.b64encode(digest).decode()}",
    }


def place(path: Path, content: object) -> None:
    path.with_suffix(".new").write_text(json.dumps(content), encoding="utf-8")
    os.replace(path.with_suffix(".new"), path)


def test_the_accounts_follow_a_file(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("users") / "users.json"
    place(path, [listed("alice", PASSWORD)])
    site = make_site(
        tmp_path_factory.mktemp("listed"),
        SWF_MONITOR_LOGIN_REQUIRED="true",
        SWF_MONITOR_USERS_FILE=str(path),
    )
    program, api = site.serve("--setup")
    try:
        alice, bob = Client(api.url), Client(api.url, X_Forwarded_For="192.0.2.9")
        assert alice.log_in("alice", PASSWORD + "!").status == 200
        for _ in range(2):
            # the number of iterations is not that of Django, and a login does not change the hash
            assert alice.log_in("alice", PASSWORD).status == 302
            assert alice.get("/").status == 200
        # an account that is not of the file stays; a service user does not become an account
        assert create(site, "bob", PASSWORD)[0] == 0
        bob.log_in("bob", PASSWORD)
        place(path, [listed("alice", PASSWORD), listed("swf-api", PASSWORD)])
        assert alice.get("/").status == bob.get("/").status == 200
        other = Client(api.url, X_Forwarded_For="192.0.2.10")
        assert other.log_in("swf-api", PASSWORD).status == 200
        # the file wins over the command, which says so
        for command in ("createuser", "deleteuser"):
            status, text = create(site, "alice", PASSWORD, command)
            assert status == 1
            assert "Fix: change swf_testbed_monitor_users" in text
        # a file that cannot be used changes nothing
        for wrong in ({}, [{}], [listed("a/b", PASSWORD)], [{"name": "alice", "hash": PASSWORD}]):
            place(path, wrong)
            assert alice.get("/").status == 200
        # a new password ends the logins, and so does the end of the account
        place(path, [listed("alice", PASSWORD + "!")])
        assert alice.get("/").status == 302
        assert alice.log_in("alice", PASSWORD + "!").status == 302
        place(path, [])
        assert alice.get("/").status == 302
        assert alice.log_in("alice", PASSWORD + "!").status == 200
        assert bob.get("/").status == 200
        # with a missing file there is no account of it; one of the command is taken over
        place(path, [listed("bob", PASSWORD + "?")])
        assert bob.get("/").status == 302
        path.unlink()
        assert bob.log_in("bob", PASSWORD + "?").status == 200
        assert PASSWORD not in program.output
    finally:
        site.close()


def test_the_address_after_a_login_is_of_this_monitor(api: Api) -> None:
    for elsewhere in ("https://other.example.org/", "//other.example.org/", "javascript:alert(1)"):
        answer = Client(api.url).log_in("alice", PASSWORD, elsewhere)
        assert (answer.status, answer.headers["Location"]) == (302, "/")


def test_a_client_that_guesses_has_to_wait(api: Api) -> None:
    client = Client(api.url, X_Forwarded_For="192.0.2.99")
    for _ in range(5):
        answer = client.log_in("alice", "a guess")
        assert answer.status == 200
        assert "not those of an account" in html.unescape(answer.text)
        assert "a guess" not in answer.text
    answer = client.log_in("alice", PASSWORD)
    assert (answer.status, answer.headers["Retry-After"]) == (429, "60")
    # not the others
    assert Client(api.url).log_in("alice", PASSWORD).status == 302


def test_service_users_and_unknown_ones_cannot_log_in(api: Api) -> None:
    for name in ("swf-api", "nobody", ""):
        assert Client(api.url, X_Forwarded_For="192.0.2.8").log_in(name, "!").status == 200


def test_a_trusted_proxy_names_the_user(tmp_path_factory: pytest.TempPathFactory) -> None:
    site = make_site(
        tmp_path_factory.mktemp("proxy"),
        SWF_MONITOR_LOGIN_REQUIRED="yes",
        SWF_MONITOR_TRUSTED_PROXIES="192.0.2.1, 127.0.0.1",
    )
    _, api = site.serve("--setup")
    try:
        named = Client(api.url, X_Remote_User="dave@EXAMPLE.ORG")
        page = named.get("/")
        assert page.status == 200
        assert "dave@EXAMPLE.ORG" in page.text
        assert "Log out" not in page.text
        assert named.get("/api/runs/").status == 200
        assert named.get("/api/runs/", {}).status == 401
        # two names, no name, and a header that another program reads as the same one
        for headers in (
            {"X_Remote_User": "dave,alice"},
            {"X_Remote_User": ""},
            {"X_Remote_User": "<b>"},
            {},
        ):
            assert Client(api.url, **headers).get("/").status == 302
        underscores = Client(api.url)
        underscores.headers["X_Remote_User"] = "alice"
        assert underscores.get("/").status == 302
        # the proxy may leave out the address of its client
        assert "Log in</h1>" in Api(api.url, None).get("/").text
    finally:
        site.close()


def test_a_header_of_any_other_client_names_nobody(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    site = make_site(
        tmp_path_factory.mktemp("no-proxy"),
        SWF_MONITOR_LOGIN_REQUIRED="yes",
        SWF_MONITOR_TRUSTED_PROXIES="192.0.2.1",
        SWF_MONITOR_URL="https://monitor.example.org/swf-monitor",
        ALLOWED_HOSTS="127.0.0.1,monitor.example.org",
    )
    assert "SWF_MONITOR_TRUSTED_PROXIES must be addresses" in (
        site.command("setup", SWF_MONITOR_TRUSTED_PROXIES="proxy.example.org").stderr
    )
    _, api = site.serve("--setup")
    try:
        client = Client(api.url, X_Remote_User="alice", Host="monitor.example.org")
        answer = client.get("/swf-monitor/files/")
        assert answer.status == 302
        assert answer.headers["Location"] == "/swf-monitor/login/?next=/swf-monitor/files/"
        # below a path, over https: the form comes from there, and so do the cookies
        assert create(site, "alice", PASSWORD)[0] == 0
        page = client.get("/swf-monitor/login/")
        cookie = page.headers["Set-Cookie"]
        assert "Path=/swf-monitor/" in cookie
        assert "Secure" in cookie
        found = FORM.search(page.text)
        assert found
        form = {"username": "alice", "password": PASSWORD, "csrfmiddlewaretoken": found[1]}
        # urllib would not send a cookie of https
        client.headers |= {
            "Cookie": cookie.partition(";")[0],
            "Origin": "https://monitor.example.org",
        }
        answer = client.get("/swf-monitor/login/", form)
        assert (answer.status, answer.headers["Location"]) == (302, "/swf-monitor/"), answer.text
        client.headers["Origin"] = "https://other.example.org"
        assert client.get("/swf-monitor/login/", form).status == 403
        missing = client.get("/swf-monitor/api/nothing/")
        assert missing.headers["Content-Type"] == "application/json"
    finally:
        site.close()


def test_no_password_is_in_a_log_or_an_argument(site: Site, api: Api) -> None:
    Client(api.url, X_Forwarded_For="192.0.2.55").log_in("alice", "canary-of-a-wrong-password")
    output = "".join(program.output for program in site.programs)
    for secret in (PASSWORD, "canary-of-a-wrong-password", *PASSWORDS.values()):
        assert secret not in output
