# SPDX-License-Identifier: GPL-3.0-or-later
"""java_properties, read back by Java where it is there, and by a reader that is written here from
the format's description."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from random import Random

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.bnlnpps.swf_testbed.plugins.filter.java_properties import java_properties

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda text: not text.startswith("ENC(")
)
NAMED = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


def read_back(text):
    """What java.util.Properties loads: key up to the first =, : or blank that has no backslash
    before it."""
    found = {}
    for line in text.split("\n"):
        if not line or line[0] in "#!":
            continue
        key, value = re.match(
            r"((?:\\.|[^=: \t\f\\])*)[ \t\f]*[=:]?[ \t\f]*(.*)$", line, re.DOTALL
        ).groups()
        found[plain(key)] = plain(value)
    return found


def plain(text):
    units = re.sub(
        r"\\(u[0-9a-f]{4}|.)",
        lambda match: (
            chr(int(match[1][1:], 16)) if len(match[1]) == 5 else NAMED.get(match[1], match[1])
        ),
        text,
        flags=re.DOTALL,
    )
    return units.encode("utf-16-be", "surrogatepass").decode("utf-16-be")


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(TEXT, TEXT, max_size=4))
def test_every_text_comes_back(users):
    text = java_properties(users)
    assert text.isascii()
    assert read_back(text) == users


READER = """
import java.io.*; import java.nio.charset.StandardCharsets; import java.util.*;
public class Reader {
    public static void main(String[] paths) throws IOException {
        for (String path : paths) {
            Properties found = new Properties();
            try (InputStream stream = new FileInputStream(path)) { found.load(stream); }
            for (String key : new TreeSet<>(found.stringPropertyNames()))
                System.out.print(hex(key) + "=" + hex(found.getProperty(key)) + " ");
            System.out.println();
        }
    }
    static String hex(String text) {
        StringBuilder result = new StringBuilder();
        for (byte part : text.getBytes(StandardCharsets.UTF_16BE)) result.append(String.format("%02x", part));
        return result.toString();
    }
}
"""


@pytest.mark.skipif(
    not shutil.which("javac") and not os.environ.get("CI"),
    reason="Java's own reader: there is no JDK here",
)
def test_java_itself_reads_every_text_back(tmp_path):
    random = Random(14)
    letters = "ab=:#!\\ \t\n\r\f\"'%$\u00fc\u2028\U0001f600\x00\x7f"

    def text():
        return "".join(random.choices(letters, k=random.randint(1, 9)))

    examples = [{text(): text() for _pair in range(3)} for _example in range(200)]
    (tmp_path / "Reader.java").write_text(READER)
    for number, example in enumerate(examples):
        (tmp_path / ("%03d" % number)).write_text(java_properties(example))
    paths = sorted(str(path) for path in tmp_path.iterdir() if path.suffix != ".java")
    done = subprocess.run(
        ["java", str(tmp_path / "Reader.java"), *paths], text=True, capture_output=True, check=True
    )
    found = [
        dict(
            (bytes.fromhex(word).decode("utf-16-be") for word in pair.split("="))
            for pair in line.split()
        )
        for line in done.stdout.splitlines()
    ]
    assert found == examples


def test_what_it_looks_like():
    assert (
        java_properties({"swf": "a b=\\:#!\u00fc\U0001f600\n"})
        == r"swf=a\ b\=\\\:\#\!\u00fc\ud83d\ude00\n" + "\n"
    )


def test_a_value_that_stands_for_an_encrypted_one_is_refused_and_not_shown():
    with pytest.raises(AnsibleFilterError, match="the value of swf starts with") as error:
        java_properties({"swf": "ENC(canary)"})
    assert "canary" not in str(error.value)


@pytest.mark.parametrize("value", [83, 100000.0, True, None, ["a"]])
def test_a_password_that_is_not_text_is_refused(value):
    with pytest.raises(AnsibleFilterError, match="the value of reader must be text.*Fix: quote it"):
        java_properties({"reader": value})
