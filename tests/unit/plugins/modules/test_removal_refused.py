# SPDX-License-Identifier: GPL-3.0-or-later
"""Hostile manifests: what is listed is removed as root, so it is not believed, and nothing at all
is removed."""

from __future__ import annotations

import json
import os

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.layout import layout
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._manifest import checks
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._manifest import (
    listing as manifest_listing,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._manifest import (
    removal as manifest_removal,
)
from helpers.run_module import run_module
from helpers.unprivileged import NOBODY, unprivileged_home

SUBJECT = {"instance": "swf", "scope": "user"}


@pytest.fixture(name="home")
def home_with_an_instance():
    with unprivileged_home() as home:
        for path in (
            ".config/swf",
            ".config/swf-two/secrets",
            ".config/pip",
            ".local/share/swf/releases",
            ".local/state/swf/log",
            "else",
        ):
            (home / path).mkdir(parents=True)
            os.chmod(home / path, 0o755)
            (home / path / "file").touch()
        yield home


def listing(home, *entries, **more):
    return dict(
        {
            "format": 1,
            "instance": "swf",
            "scope": "user",
            "collection": "1.0.0",
            "users": [],
            "entries": [
                {
                    "kind": "directory",
                    "path": str(home / ".local/share/swf/releases"),
                    "uninstall": "always",
                },
                *entries,
            ],
        },
        **more,
    )


def write(home, content):
    path = home / ".config/swf/manifest.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    os.chmod(path, 0o600)
    return path


def removed(home, **options):
    return run_module(
        "instance",
        dict({"state": "absent", "instance": "swf", "remove_data": True}, **options),
        env={"HOME": str(home)},
        drop_to=NOBODY,
    )


def everything(home):
    return sorted(
        os.path.join(place, name)
        for place, folders, names in os.walk(home)
        for name in folders + names
    )


def refused(home, reason):
    before = everything(home)
    for check in (True, False):
        answer = run_module(
            "instance",
            {"state": "absent", "instance": "swf", "remove_data": True},
            check=check,
            env={"HOME": str(home)},
            drop_to=NOBODY,
        )
        assert (
            answer["failed"]
            and reason in answer["msg"]
            and "Evidence: " in answer["msg"]
            and "Fix: " in answer["msg"]
        ), answer
        assert "Nothing was removed" in answer["msg"]
    assert everything(home) == before


PLACES = {
    # what a path is made of
    "nothing": ("", "cannot be listed"),
    "a dot": (".", "cannot be listed"),
    "two dots": ("..", "cannot be listed"),
    "relative": ("releases", "cannot be listed"),
    "a newline": ("{home}/.config/swf/a\nb", "cannot be listed"),
    "dots inside": ("{home}/.config/swf/../pip", "cannot be listed"),
    "two slashes": ("//etc", "cannot be listed"),
    "a slash at the end": ("{home}/.config/swf/", "cannot be listed"),
    "a null": ("/etc\0", "cannot be listed"),
    # directories that hold more than an instance
    "the root": ("/", "a directory of the system"),
    "etc": ("/etc", "a directory of the system"),
    "logs": ("/var/log", "a directory of the system"),
    "var": ("/var", "a directory of the system"),
    "opt": ("/opt", "a directory of the system"),
    "units": ("/etc/systemd/system", "a directory of the system"),
    "home": ("{home}", "a directory of the system"),
    "all homes": ("/home", "a directory of the system"),
    "above home": ("/tmp", "a directory of the system"),
    "settings": ("{home}/.config", "a directory of the system"),
    "shares": ("{home}/.local/share", "a directory of the system"),
    "the login's local": ("{home}/.local", "a directory of the system"),
    "units of the login": ("{home}/.config/systemd/user", "a directory of the system"),
    "pip": ("{home}/.config/pip", "a directory of the system"),
    # of others
    "another instance": ("{home}/.config/swf-two/secrets", "does not belong"),
    "somewhere else": ("{home}/else", "does not belong"),
    "a package's": ("/var/log/nginx", "does not belong"),
    "configuration as a whole": ("{home}/.config/swf", "does not belong"),
    "state as a whole": ("{home}/.local/state/swf", "does not belong"),
}


@pytest.mark.parametrize("what", PLACES)
def test_paths(home, what):
    path, reason = PLACES[what]
    write(
        home,
        listing(home, {"kind": "directory", "path": path.format(home=home), "uninstall": "data"}),
    )
    refused(home, {"cannot be listed": "has entries that are not valid"}.get(reason, reason))


MANIFESTS = {
    "no text": "",
    "broken": "{",
    "a list": "[]",
    "no format": '{"instance": "swf"}',
    "format as text": '{"format": "1"}',
}


@pytest.mark.parametrize("what", MANIFESTS)
def test_texts(home, what):
    write(home, MANIFESTS[what])
    refused(home, "is not")


ENTRIES = {
    "unknown kind": {"kind": "disk", "path": "/dev/sda", "uninstall": "always"},
    "not a dict": "releases",
    "unknown key": {"kind": "file", "path": "/x", "uninstall": "always", "force": "yes"},
    "no path": {"kind": "file", "uninstall": "always"},
    "unknown removal": {"kind": "file", "path": "/x", "uninstall": "yes"},
    "not text": {"kind": "file", "path": 7, "uninstall": "always"},
    "an empty file": {"kind": "file", "path": "/x", "uninstall": "empty"},
    "an option for a name": {"kind": "account", "name": "--remove", "uninstall": "data"},
}


@pytest.mark.parametrize("what", ENTRIES)
def test_entries(home, what):
    write(home, listing(home, ENTRIES[what]))
    refused(home, "has entries that are not valid")


@pytest.mark.parametrize(
    "more,reason",
    [
        ({"format": 2}, "newer version"),
        ({"instance": "swf-two"}, "something else"),
        ({"scope": "system"}, "something else"),
        ({"entries": {}}, "not a list"),
        ({"users": [7]}, "not a list"),
    ],
)
def test_headers(home, more, reason):
    write(home, listing(home, **more))
    refused(home, reason)


@pytest.mark.parametrize(
    "entry,reason",
    [
        ({"kind": "file", "path": "/etc/passwd", "uninstall": "always"}, "does not belong"),
        ({"kind": "link", "path": "/etc/mtab", "uninstall": "always"}, "does not belong"),
        (
            {"kind": "unit", "path": "/etc/systemd/system/ssh.service", "uninstall": "always"},
            "not a unit of this instance",
        ),
        ({"kind": "account", "name": "root", "uninstall": "data"}, "only the system scope"),
    ],
)
def test_files_units_and_accounts_of_others(home, entry, reason):
    write(home, listing(home, entry))
    refused(home, reason)


@pytest.mark.parametrize(
    "name,reason",
    [("root", "not the account of a service"), ("a b", "not the name"), ("x" * 33, "not the name")],
)
@pytest.mark.parametrize("entry_type", ["account", "group"])
def test_accounts_that_no_role_made(entry_type, name, reason):
    assert (
        reason
        in checks.account_problem(
            {"kind": entry_type, "name": name}, {"instance": "swf", "scope": "system"}
        )[0]
    )


@pytest.mark.parametrize(
    "mode,place", [(0o620, "manifest.json"), (0o602, "manifest.json"), (0o777, "")]
)
def test_a_manifest_that_others_could_have_written(home, mode, place):
    os.chmod(os.path.join(write(home, listing(home)).parent, place), mode)
    refused(home, "is writable by others")


def test_a_manifest_of_another_user(home):
    if os.getuid() != 0:
        pytest.skip("only root can give a file away")
    path = write(home, listing(home))
    os.seteuid(0)
    os.chown(path, NOBODY - 1, -1)
    os.chmod(path, 0o644)
    os.seteuid(NOBODY)
    refused(home, "is writable by others")


def test_a_manifest_that_is_a_link(home):
    path = write(home, listing(home))
    os.rename(path, home / "else/manifest.json")
    os.symlink(home / "else/manifest.json", path)
    refused(home, "is not a plain file")


def test_a_directory_that_became_a_link(home):
    write(home, listing(home))
    os.rename(home / ".local/share/swf/releases", home / "else/releases")
    os.symlink(home / "else/releases", home / ".local/share/swf/releases")
    refused(home, "it is now a symbolic link")


def test_a_parent_that_became_a_link(home):
    write(home, listing(home))
    os.rename(home / ".local/share/swf", home / "else/swf")
    os.symlink(home / "else/swf", home / ".local/share/swf")
    refused(home, "a parent directory has changed since the installation")


@pytest.mark.parametrize("entry_type", ["file", "link", "unit"])
def test_a_file_that_became_a_directory(home, entry_type):
    path = str(
        home / (".config/systemd/user/swf.service" if entry_type == "unit" else ".config/swf/x")
    )
    os.makedirs(path)
    write(home, listing(home, {"kind": entry_type, "path": path, "uninstall": "always"}))
    refused(home, "is now a directory")


def test_a_directory_that_became_a_file(home):
    path = home / ".config/swf/x"
    path.touch()
    write(home, listing(home, {"kind": "directory", "path": str(path), "uninstall": "always"}))
    refused(home, "no longer a directory")


def test_all_problems_are_named_at_once(home):
    write(
        home,
        listing(
            home,
            *(
                {"kind": "directory", "path": path, "uninstall": "always"}
                for path in ("/etc", str(home / "else"))
            ),
        ),
    )
    refused(home, "2. ")


def test_links_that_lead_elsewhere_are_not_followed(home):
    os.symlink(home / "else", home / ".local/share/swf/releases/link")
    os.symlink(home / "else", home / ".local/share/swf/current")
    write(
        home,
        listing(
            home,
            {"kind": "link", "path": str(home / ".local/share/swf/current"), "uninstall": "always"},
        ),
    )
    assert not removed(home)["failed"]
    assert (home / "else/file").exists() and not os.path.lexists(home / ".local/share/swf/current")
    assert not (home / ".local/share/swf/releases").exists()


def test_a_home_behind_a_link_is_no_surprise(home):
    """As at many labs: what was a link at the installation may be one now."""
    os.symlink(home / "else", home / "moved")
    place = str(home / "moved/.config/swf")
    arguments = {
        "manifest": {"instance": "swf"},
        "directories": [{"path": place}, {"path": place + "/secrets", "uninstall": "always"}],
    }
    environment = {"HOME": str(home / "moved")}
    assert run_module("config_files", arguments, env=environment, drop_to=NOBODY)["changed"]
    assert run_module(
        "instance", {"state": "absent", "instance": "swf"}, env=environment, drop_to=NOBODY
    )["removed_items"] == [place + "/secrets"]
    assert not os.path.exists(place)


def removal(home, mounts, **more):
    environment = {"HOME": str(home)}
    manifest = manifest_listing.merged(
        listing(home), [manifest_listing.entry("directory", str(home / ".local/state/swf/log"))]
    )
    places = layout("swf", "user", environment)
    return manifest_removal.Removal(
        manifest, SUBJECT, places, environment, True, mounts=mounts, **more
    )


def test_a_mount_point_in_a_listed_directory_is_refused_though_the_mounts_are_made_up(home):
    place = str(home / ".local/state/swf/log")
    assert "another file system is mounted" in removal(home, {place + "/nfs"}).problems()[0]
    assert removal(home, {place, str(home), place + "-other"}).problems() == []


def test_a_listed_mount_point_is_emptied_and_stays_though_the_mounts_are_made_up(home):
    place = home / ".local/state/swf/log"
    work = removal(home, {str(place)})
    for item in work.due():
        work.remove(item)
    assert os.listdir(place) == [] and work.due() == [] and work.left() is None
    assert str(place.parent) not in work.remove_empty()


def test_mounts_are_those_of_the_kernel():
    assert {"/", "/proc"} <= checks.mount_points()
    assert checks.unescaped("/a\\040b") == "/a b"


def test_an_account_that_another_instance_lists_stays(home):
    account = {"kind": "account", "name": "daemon", "uninstall": "data"}
    work = removal(home, set(), others={"swf-two": {"entries": [account]}})
    work.manifest = dict(work.manifest, entries=[account])
    assert work.due() == [] and work.left() is None
    assert work.remaining() == ["account daemon: the instance swf-two uses it"]


@pytest.mark.parametrize(
    "path,fine",
    [
        ("/etc/nginx/swf-monitor.known-good", True),
        ("/etc/postgresql/15/main/swf-testbed-role.known-good.new", True),
        ("/etc/nginx", False),
        ("/etc/swf-monitor.known-good", False),
        ("/etc/nginx/known-good", False),
        ("/etc/nginx/swf-monitor.known-good/ssl", False),
        ("/var/lib/nginx/swf-monitor.known-good", False),
    ],
)
def test_of_a_service_that_shares_its_directory_only_a_snapshot_goes_as_a_whole(path, fine):
    item = {"kind": "directory", "path": path, "uninstall": "always"}
    why = checks.path_problem(item, {"service": "monitor"}, None, {"HOME": "/root"})
    assert (why is None) == fine, why
