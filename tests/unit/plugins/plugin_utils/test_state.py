# SPDX-License-Identifier: GPL-3.0-or-later
"""The desired state of a host as data: inputs, record, differences, and the program of the question."""

from __future__ import annotations

import ast
import datetime
import json
import os
import subprocess
import sys
import zlib

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._state import bootstrap
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._state.model import (
    InstanceState,
    Node,
    differences,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._values import Values
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._variables import (
    trusted,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._state import (
    _bundle,
    _inputs,
    _record,
)

KEY = "canary-of-the-key"
PLACES = {"layout": {"config_dir": "/c"}, "python": {"path": "/usr/bin/python3"}}


def state(**nodes):
    return InstanceState(
        {"/c/" + name: Node(*node) for name, node in nodes.items()},
        {"releases/1/lib": "a"},
        dict(PLACES),
    )


CONF = ("file", "0600", "me", "us", "digest")
WANTED = state(conf=CONF, link=("link", "0777", "me", "us", "here"))


@pytest.mark.parametrize(
    "conf, line",
    [
        (None, "/c/conf is missing"),
        (("file", "0644", "me", "us", "digest"), "/c/conf has the mode 0644, not 0600"),
        (
            ("file", "0600", "root", "root", "digest"),
            "/c/conf has the owner root, not me and has the group root, not us",
        ),
        (("file", "0600", "me", "us", "other"), "/c/conf has other content"),
        (("link", "0777", "me", "us", "/x"), "/c/conf is a link, not a file"),
    ],
)
def test_a_difference_is_named_without_a_digest(conf, line):
    there = dict(WANTED.nodes)
    del there["/c/conf"]
    if conf:
        there["/c/conf"] = Node(*conf)
    assert list(differences(WANTED, InstanceState(there, WANTED.trees, PLACES))) == [line]


def test_links_trees_facts_and_new_files_are_compared():
    found = state(conf=CONF, link=("link", "0777", "me", "us", "there"), new=CONF)
    found.trees["releases/1/lib"] = "b"
    found.facts.update(python={"path": "/usr/bin/python3.12"})
    assert list(differences(WANTED, found)) == [
        "/c/link leads to there",
        "/c/new was added",
        "releases/1/lib was changed",
        "python.path is '/usr/bin/python3.12', not '/usr/bin/python3'",
    ]


def test_a_record_is_read_as_it_was_written(tmp_path):
    path = _record.path_of(str(tmp_path / "states"), "swf-testbed", "a/../b")
    desired = _record.Desired({"a": "1"}, "python3", {"i": {}}, {"scope": "user"}, {"i": WANTED})
    _record.write(path, desired)
    assert _record.read(path) == desired
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert os.path.dirname(path) == str(tmp_path / "states")
    lines = list(desired.lines())
    assert lines[:2] == ["i:", "  /c/conf: file 0600 me:us digest"]
    assert "  /c/link: link 0777 me:us -> here" in lines


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"format": 2}', '{"format": 1, "instances": {"i": 1}}']
)
def test_a_record_that_cannot_be_read_is_none(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    assert _record.read(str(tmp_path / "a.json")) is None
    assert _record.read(str(tmp_path / "none.json")) is None


def test_what_the_roles_do_not_repair_does_not_become_the_desired_state():
    desired = _record.Desired({}, "", {}, {}, {"i": WANTED})
    broken = state(
        conf=("file", "0600", "root", "us", "digest"),
        link=WANTED.nodes["/c/link"].__dict__.values(),
    )
    assert _record.not_repaired(desired, {"i": broken.to_dict()}, {"i": WANTED}) == []
    assert _record.not_repaired(desired, {"i": broken.to_dict()}, {"i": broken}) == [
        "/c/conf has the owner root, not me"
    ]
    # the run wrote it
    newer = state(
        conf=("file", "0600", "me", "us", "new"), link=WANTED.nodes["/c/link"].__dict__.values()
    )
    assert _record.not_repaired(desired, {"i": broken.to_dict()}, {"i": newer}) == []


class Fleet:
    """Hosts with variables, and a directory of the controller."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        self.controller = folder / "controller"
        (self.controller / "secrets").mkdir(parents=True)
        (self.controller / "secrets/token").write_text("canary")
        monkeypatch.setattr(_inputs, "saved", lambda: str(folder / "inputs.json"))
        monkeypatch.setattr(_inputs, "collection_digest", lambda: "0")

    def digests(self, **variables):
        inputs = _inputs.Inputs()
        self.same = [inputs.add(host, self.values(host, **variables)) for host in ("one", "two")]
        inputs.save()
        self.run = _inputs.RunInputs.read()
        return self.run.recorded(KEY)

    def values(self, host, **variables):
        everything = trusted(
            {
                "inventory_hostname": host,
                "group_names": ["testbed"],
                "groups": {"testbed": ["one", "two"]},
                "inventory_dir": str(self.folder),
                "swf_testbed_controller_dir": str(self.controller),
                **variables,
            }
        )
        return Values(everything, Templar(loader=DataLoader(), variables=everything))


@pytest.fixture(name="fleet")
def a_fleet(tmp_path, monkeypatch):
    return Fleet(tmp_path, monkeypatch)


def test_the_same_inputs_have_the_same_digests(fleet):
    assert fleet.digests(swf_testbed_log_level="INFO") == fleet.digests(
        swf_testbed_log_level="INFO"
    )
    assert fleet.same[0] == fleet.same[1]
    fleet.digests(swf_testbed_log_level="{{ inventory_hostname }}")
    assert fleet.same[0] != fleet.same[1]


def changed(fleet, before, **variables):
    return list(_inputs.different(before, fleet.digests(**variables)))


def test_a_variable_of_any_type_and_what_it_refers_to_are_inputs(fleet, monkeypatch):
    assert changed(fleet, fleet.digests(), swf_testbed_x={"a": [1]}) == [
        "the variables of the inventory changed"
    ]
    before = fleet.digests(swf_testbed_x="{{ mine }}", mine="1")
    assert changed(fleet, before, swf_testbed_x="{{ mine }}", mine="2")
    monkeypatch.setenv("OF_TEST", "1")
    looked_up = {"swf_testbed_x": "{{ mine }}", "mine": "{{ lookup('env', 'OF_TEST') }}"}
    before = fleet.digests(**looked_up)
    assert not changed(fleet, before, **looked_up)
    monkeypatch.setenv("OF_TEST", "2")
    assert changed(fleet, before, **looked_up)
    assert not fleet.run.unknown


def test_a_switch_for_one_run_is_no_input(fleet):
    assert not changed(fleet, fleet.digests(), swf_testbed_full_run=True)


def test_a_value_that_cannot_be_evaluated_and_may_change_is_unknown(fleet):
    fleet.digests(swf_testbed_x="{{ lookup('env', 'HOME') ~ swf_testbed_layout.root }}")
    assert fleet.run.unknown == ["swf_testbed_x"]
    fleet.digests(swf_testbed_x="{{ swf_testbed_layout.root }}/x")
    assert not fleet.run.unknown


def test_files_that_variables_name_are_inputs(fleet):
    (fleet.folder / "stack.yml").write_text("a")
    given = {"swf_testbed_stack": "stack.yml", "swf_testbed_x": [{"ca_cert": "/no/such"}]}
    before = fleet.digests(**given)
    assert not changed(fleet, before, **given)
    (fleet.folder / "stack.yml").write_text("b")
    assert changed(fleet, before, **given) == ["%s/stack.yml changed" % fleet.folder]


def test_files_of_the_controller_are_inputs_but_not_the_records(fleet):
    before = fleet.digests()
    (fleet.controller / "states").mkdir()
    (fleet.controller / "states/one.json").write_text("{}")
    (fleet.controller / ".x.lock").write_text("")
    assert not changed(fleet, before)
    secret = fleet.controller / "secrets/token"
    secret.write_text("another")
    assert changed(fleet, before) == ["%s changed" % secret]
    secret.unlink()
    assert changed(fleet, before) == ["%s is gone" % secret]
    (fleet.controller / "secrets/more").write_text("x")
    assert "%s/secrets/more is new" % fleet.controller in changed(fleet, before)


def test_a_file_that_changes_during_the_run_is_named_and_a_new_one_is_recorded(fleet):
    fleet.digests()
    (fleet.controller / "new").write_text("x")
    digests, during = fleet.run.at_end(KEY)
    assert during == [] and digests == fleet.digests()
    (fleet.controller / "new").write_text("y")
    assert fleet.run.at_end(KEY)[1] == [str(fleet.controller / "new")]


def test_no_digest_can_be_guessed_without_the_key(fleet):
    fleet.digests(swf_testbed_broker_password="canary")
    plain = json.dumps([fleet.run.fixed, fleet.run.files])
    assert not {*fleet.run.recorded(KEY).values()} & {
        *fleet.run.files.values(),
        *fleet.run.fixed.values(),
    }
    assert fleet.run.recorded(KEY) != fleet.run.recorded("other") and "canary" not in plain
    assert os.stat(fleet.folder / "inputs.json").st_mode & 0o777 == 0o600


@pytest.mark.parametrize("days, due", [(400, False), (30, True)])
def test_a_certificate_that_a_run_would_renew_is_another_input(fleet, days, due):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(False, None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (fleet.controller / "x.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    fleet.digests()
    assert fleet.run.files[str(fleet.controller / "x.pem")].endswith(" due") is due


def test_the_program_of_the_question_runs_with_the_standard_library_alone(tmp_path):
    sources = _bundle.compressed(str(tmp_path), "1")
    assert _bundle.compressed(str(tmp_path), "1") == sources
    for name, text in json.loads(zlib.decompress(sources)).items():
        tree = ast.parse(text)
        assert not ast.get_docstring(tree), name
    # an instance that is not there
    asked = {"preflight": {"instance": "swf-none", "checks": False}, "desired": None}
    request = {"key": KEY, "instances": [asked], "info": {"instances": ["swf-none"]}}

    def answer(stored, with_sources):
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-X", "utf8", "-c", _bundle.START],
            input=_bundle.payload(request, stored, sources if with_sources else b""),
            capture_output=True,
            env={"HOME": str(tmp_path)},
            check=True,
        )
        return json.loads(done.stdout.decode().rpartition(bootstrap.MARK)[2])

    found = answer(None, True)
    assert found["problems"] and found["stored"] is None, found
    # with its directory, the host keeps the program
    (tmp_path / ".local/state/swf-none/run").mkdir(parents=True)
    stored = answer(None, True)["stored"]
    assert answer(stored, False)["stored"] == stored
    # it is another one now, or another Python
    for wrong in ({"digest": "0"}, {"version": "2"}, {"path": "/no/such"}):
        assert answer({**stored, **wrong}, False) == {}
    with open(stored["path"], "ab") as stream:
        stream.write(b"x")
    assert answer(stored, False) == {}
    assert KEY not in json.dumps(found)


def test_the_question_stays_small():
    request = {"key": KEY, "instances": [], "info": {}}
    assert len(_bundle.payload(request, {"path": "/x", "digest": "0", "version": "3"}, b"")) < 1000
