# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages in a real Chromium: they are accessible, fit on any screen, lead from one to another, and
never show a dead monitor as healthy.

SWF_SCREENSHOTS=<directory> stores a picture of each page.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from conftest import Api, Program, Site, make_site, need, wait_until

need(find_spec("axe_playwright_python"), "pip install axe-playwright-python")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
need(CHROMIUM, "no Chromium on this machine: apt-get install chromium")

from axe_playwright_python.sync_playwright import Axe  # noqa: E402
from playwright.sync_api import Browser, Page, expect, sync_playwright  # noqa: E402

FILL = Path(__file__).with_name("an_hour.py").read_text(encoding="utf-8")
# The mark of the headline, its colour, and that of a fact.
LOOKS = """[["h1", "content"], ["h1", "color"], [".facts .ok", "color"]].map(([name, style]) =>
    getComputedStyle(document.querySelector(".banner " + name), "::before")[style])"""
RUNNING_FILE = "swf.000002.000037.stf"


class Monitor:
    """A server with an hour of records."""

    def __init__(self, site: Site, silent: int) -> None:
        self.program: Program
        self.api: Api
        self.program, self.api = site.serve("--setup")
        self.message_id = site.python(f"{FILL}\nfill({silent})").strip()

    @property
    def addresses(self) -> dict[str, str]:
        """Each kind of page."""
        return {
            "overview": "/",
            "history": "/history/?span=day",
            "runs": "/runs/",
            "run": "/runs/1/",
            "files": "/files/?status=processed",
            "file": f"/files/{RUNNING_FILE}/",
            "agents": "/agents/",
            "agent": "/agents/fastmon-agent@testbed.operator.farm1.example.org/",
            "messages": "/messages/",
            "message": f"/messages/{self.message_id}/",
            "set-aside": "/set-aside/",
            "refused": "/files/?stauts=failed",
            "missing": "/files/no.stf/",
            "api": "/api/summary/",
        }


@pytest.fixture(scope="module")
def monitor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitor]:
    site = make_site(tmp_path_factory.mktemp("browser"))
    yield Monitor(site, silent=10)
    site.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium as it is: the usual settings of Playwright keep a page visible for ever."""
    folder = tempfile.mkdtemp(prefix="swf-chromium-")
    arguments = [
        str(CHROMIUM),
        "--headless=new",
        # a picture of a whole page has none
        "--hide-scrollbars",
        "--remote-debugging-port=0",
        f"--user-data-dir={folder}",
        *(["--no-sandbox"] if os.getuid() == 0 else []),
        "about:blank",
    ]
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr
        listening = next(line for line in process.stderr if line.startswith("DevTools listening"))
        with sync_playwright() as playwright:
            made = playwright.chromium.connect_over_cdp(listening.split()[-1], no_defaults=True)
            yield made
            made.close()
    finally:
        process.kill()
        process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    made = browser.contexts[0].new_page()
    made.set_default_timeout(20_000)
    yield made
    made.close()


def violations(tab: Page) -> list[str]:
    found: list[dict[str, Any]] = Axe().run(tab).response["violations"]
    return [f"{rule['id']}: {[node['html'] for node in rule['nodes']]}" for rule in found]


def check_page(tab: Page, name: str, address: str, scheme: str, widths: tuple[int, ...]) -> None:
    """The page has no error of its script and no violation, and is no wider than the screen."""
    errors: list[str] = []
    pictures = os.environ.get("SWF_SCREENSHOTS")
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    tab.goto(address)
    for width in widths:
        tab.set_viewport_size({"width": width, "height": 900})
        wide, screen = tab.evaluate(
            "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert wide <= screen, f"{name} is {wide} px wide on a screen of {screen} px"
        if pictures and width in (400, 1440):
            path = Path(pictures, f"{name}-{width}-{scheme}.png")
            tab.screenshot(path=path, full_page=True)
    assert violations(tab) == [], (name, scheme)
    assert not errors, (name, errors)


def test_pages_are_accessible_on_a_narrow_screen(tab: Page, monitor: Monitor) -> None:
    for name in ("overview", "history", "files", "file", "agent", "api"):
        check_page(tab, name, monitor.api.url + monitor.addresses[name], "light", (400,))


@pytest.mark.nightly
def test_every_page_is_accessible_on_all_screens(tab: Page, monitor: Monitor) -> None:
    for name, address in monitor.addresses.items():
        for scheme in ("light", "dark"):
            widths = (400, 700, 1000, 1600, 1440)
            check_page(tab, name, monitor.api.url + address, scheme, widths)


def test_a_file_is_followed_from_the_list_to_its_message_and_back(
    tab: Page, monitor: Monitor
) -> None:
    tab.goto(monitor.api.url + "/")
    tab.get_by_role("navigation", name="Pages", exact=True).get_by_role(
        "link", name="Files"
    ).click()
    tab.get_by_label("part of the name").fill("000002.000037")
    tab.keyboard.press("Enter")
    expect(tab).to_have_url(re.compile("search=000002.000037"))
    tab.get_by_role("link", name=RUNNING_FILE).click()
    expect(tab.get_by_role("heading", level=1)).to_contain_text(RUNNING_FILE)
    steps = tab.locator(".way li")
    expect(steps).to_have_count(5)
    assert [text.split()[0] for text in steps.all_inner_texts()] == [
        "announced",
        "registered",
        "offered",
        "processed",
        "sampled",
    ]
    steps.nth(3).get_by_role("link", name="message").click()
    expect(tab.get_by_role("heading", level=1)).to_have_text("processing_complete")
    expect(tab.locator("pre")).to_contain_text('"checksum_ok": true')
    tab.get_by_role("link", name="processing-agent@testbed").click()
    expect(tab.get_by_role("heading", level=1)).to_contain_text("processing-agent")
    tab.go_back(wait_until="commit")
    expect(tab.get_by_role("heading", level=1)).to_have_text("processing_complete")
    tab.get_by_role("link", name=RUNNING_FILE).click()
    tab.get_by_role("link", name="2", exact=True).first.click()
    expect(tab.get_by_role("heading", level=1)).to_contain_text("Run 2")


def test_a_list_has_filters_and_pages_in_its_address(tab: Page, monitor: Monitor) -> None:
    tab.goto(monitor.api.url + "/files/?run_id=1")
    rows = tab.locator("tbody tr")
    expect(rows).to_have_count(50)
    tab.get_by_role("link", name="older").click()
    expect(rows).to_have_count(10)
    assert "run_id=1" in tab.url
    assert "page=2" in tab.url
    # by the keyboard alone
    tab.get_by_label("state").focus()
    tab.keyboard.type("fa")
    tab.keyboard.press("Tab")
    for _ in range(6):
        if tab.evaluate("document.activeElement.tagName") == "BUTTON":
            break
        tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    expect(tab).to_have_url(re.compile("status=failed"))
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("the checksum does not match")


def test_the_first_screen_says_what_to_do(tab: Page, monitor: Monitor) -> None:
    tab.set_viewport_size({"width": 1440, "height": 900})
    tab.goto(monitor.api.url + "/")
    fix = tab.get_by_text("Run 'swf-testbed status' on farm1.example.org")
    box = fix.bounding_box()
    assert box
    assert box["y"] < 500
    tab.get_by_role("link", name="Details: fastmon-agent").click()
    expect(tab.get_by_role("heading", level=1)).to_contain_text("silent")


@pytest.fixture
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitor]:
    """A healthy testbed whose monitor may be stopped."""
    site = make_site(tmp_path_factory.mktemp("healthy"))
    yield Monitor(site, silent=0)
    site.close()


def test_a_dead_monitor_never_looks_healthy(browser: Browser, tab: Page, healthy: Monitor) -> None:
    """Neither with selected text, nor in a hidden tab, nor in the title."""
    # The clock of the first one is the test's. That of the other one is real: a browser slows down the
    # timers of a hidden tab.
    private = browser.new_context()
    selected, hidden = private.new_page(), tab
    selected.clock.install()
    for page in (selected, hidden):
        page.goto(healthy.api.url + "/")
        assert page.title() == "✓ The testbed is healthy · SWF monitor"
    other = browser.contexts[0].new_page()
    other.bring_to_front()
    assert hidden.evaluate("document.visibilityState") == "hidden"
    selected.evaluate("getSelection().selectAllChildren(document.querySelector('.banner h1'))")
    before, looks = selected.locator("#content").inner_html(), selected.evaluate(LOOKS)
    assert looks[0] == '"✓"'
    selected.clock.run_for(5000)
    expect(selected.locator("#lost")).to_contain_text("Text is selected")
    healthy.program.kill()
    selected.clock.run_for(5000)
    expect(selected.locator("#lost")).to_contain_text("No answer from the monitor for")
    assert selected.title().startswith("✕ No answer for")
    assert selected.locator("#content").inner_html() == before
    assert selected.evaluate("String(getSelection())") == "The testbed is healthy"
    lost = selected.evaluate(LOOKS)
    assert lost[0] == '"?"'
    assert all(was != now for was, now in zip(looks, lost, strict=True))
    assert violations(selected) == []
    wait_until(lambda: hidden.title().startswith("✕ No answer for"), "title of the hidden tab", 40)
    assert hidden.evaluate("document.visibilityState") == "hidden"
    other.close()
    private.close()


def test_the_focus_stays_where_it_is(tab: Page, monitor: Monitor) -> None:
    tab.clock.install()
    tab.goto(monitor.api.url + "/")
    tab.locator("#content a").nth(3).focus()
    focused = tab.evaluate("document.activeElement.href")
    tab.evaluate("document.querySelector('#content > div').dataset.old = '1'")
    tab.clock.run_for(5000)
    expect(tab.locator("[data-old]")).to_have_count(0)
    assert tab.evaluate("document.activeElement.href") == focused


def test_a_login_leads_to_the_page_and_its_end_to_the_form(
    tab: Page, tmp_path_factory: pytest.TempPathFactory
) -> None:
    site = make_site(tmp_path_factory.mktemp("login"), SWF_MONITOR_LOGIN_REQUIRED="true")
    _, api = site.serve("--setup")
    try:
        password = "correct horse battery staple"
        assert site.command("createuser", "alice", stdin=password).returncode == 0
        tab.clock.install()
        # as a web server passes the requests of another host
        tab.set_extra_http_headers({"X-Forwarded-For": "192.0.2.7"})
        tab.set_viewport_size({"width": 400, "height": 900})
        tab.goto(api.url + "/agents/?hostname=farm1")
        expect(tab.get_by_role("heading", level=1)).to_have_text("Log in")
        assert violations(tab) == []
        for tried in ("a guess", password):
            tab.get_by_label("user name").fill("alice")
            tab.get_by_label("password").fill(tried)
            tab.keyboard.press("Enter")
            if tried != password:
                expect(tab.get_by_role("alert")).to_contain_text("not those of an account")
                assert violations(tab) == []
        expect(tab).to_have_url(api.url + "/agents/?hostname=farm1")
        expect(tab.get_by_text("alice")).to_be_visible()
        assert violations(tab) == []
        tab.context.clear_cookies()
        tab.clock.run_for(5000)
        expect(tab.get_by_role("heading", level=1)).to_have_text("Log in")
    finally:
        site.close()
