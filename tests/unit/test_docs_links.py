# SPDX-License-Identifier: GPL-3.0-or-later
"""Every page and path that the repository mentions exists, and the generated pages are current."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"(?<!!)\[[^][]*\]\(([^()\s]+)\)")
# not part of an address such as https://example.org/docs/page.md
PAGE = re.compile(r"(?<![\w/.-])docs/[\w/.-]+\.md\b")
FOLDERS = "benchmarks|docs|examples|molecule|packages|playbooks|plugins|roles|tests|tools"
PATH = re.compile(r"`((?:%s)/[\w/.-]+)`" % FOLDERS)


def files() -> list[Path]:
    """The files of the repository, including new ones that are not committed yet."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for path in (ROOT / name for name in listed.split("\0") if name) if path.is_file()]


def text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub makes of the headings of a page."""
    headings = re.findall(r"^#+ +(.*)$", without_code(text_of(path)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> Iterator[str]:
    for target in LINK.findall(without_code(text_of(page))):
        address, _hash, anchor = target.partition("#")
        if re.match(r"\w+:", address):
            continue
        path = (page.parent / address).resolve() if address else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            yield "%s: %s" % (page.relative_to(ROOT), target)


def test_every_link_leads_to_a_page_and_a_heading() -> None:
    pages = [path for path in files() if path.suffix == ".md"]
    assert len(pages) > 30
    assert [broken for page in pages for broken in broken_links(page)] == []


def test_every_page_that_a_file_mentions_exists() -> None:
    mentions = [
        (path.relative_to(ROOT), page) for path in files() for page in PAGE.findall(text_of(path))
    ]
    assert len(mentions) > 20
    missing = ["%s: %s" % mention for mention in mentions if not (ROOT / mention[1]).exists()]
    assert missing == []


def test_every_path_that_a_page_of_docs_mentions_exists() -> None:
    pages = [
        path for path in files() if path.suffix == ".md" and path.is_relative_to(ROOT / "docs")
    ]
    missing = [
        "%s: %s" % (page.relative_to(ROOT), path)
        for page in pages
        for path in PATH.findall(text_of(page))
        if not (ROOT / path).exists()
    ]
    assert missing == []


def test_every_page_is_in_the_table_of_contents() -> None:
    contents = ROOT / "docs/README.md"
    linked = {(contents.parent / target).resolve() for target in LINK.findall(text_of(contents))}
    pages = {path for path in (ROOT / "docs").rglob("*.md") if path != contents}
    assert sorted(map(str, pages - linked)) == []


@pytest.mark.parametrize("heading", ["Two hops", "`a_b` (`c: d`), and e"])
def test_anchors_are_those_of_github(heading: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# %s\n\n```\n# no heading\n```\n" % heading)
    assert anchors(page) <= {"two-hops", "a_b-c-d-and-e"} and len(anchors(page)) == 1


def test_the_generated_pages_are_current(capsys: pytest.CaptureFixture[str]) -> None:
    loader = SourceFileLoader("role_readmes", str(ROOT / "tools/role_readmes"))
    spec = spec_from_loader("role_readmes", loader)
    assert spec
    tool = module_from_spec(spec)
    loader.exec_module(tool)
    stale = tool.main(["--check"])
    assert stale == 0, capsys.readouterr().out
