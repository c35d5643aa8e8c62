#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pip_config
short_description: Configure an index for pip and uv of a login, a virtual environment or a host
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - With it, C(pip install) and C(uv pip install) work without naming the index or its token. The
    module sets options in pip's configuration, and adds marked blocks to uv's configuration (uv
    does not read pip's) and to C(~/.netrc), which both read.
  - Everything else in these files stays byte for byte. The module does not replace an existing
    option or login that differs, and does not change a file that pip or uv cannot parse; it fails
    and names the file.
  - All sections of all files that pip reads are searched for options with other package sources.
  - pip cannot bind names to indexes. So that a private name can only come from its own index, the
    module configures one index that serves everything. If names are bound to one of several
    indexes, it fails, unless O(indexes[].allow_unsafe_extra_index) is set.
  - The settings are listed in O(record), so that a later run, or O(scope=none), removes exactly
    these.
options:
  scope:
    description: The scope of the configuration. V(none) removes the settings of earlier runs.
    type: str
    choices: [none, user, site, global]
    default: none
  site:
    description: Directory of the virtual environment. Required with O(scope=site).
    type: path
  owner:
    description: Name of the instance that owns the settings. The marks of the blocks contain it.
    type: str
    required: true
  record:
    description: Path of the file that lists the settings of the module. It is written before the
      other files.
    type: path
    required: true
  indexes:
    default: []
  access_dir:
    description: Directory with the CA certificates of the indexes, C(<name>.pem), for pip's option
      C(cert). They are used instead of O(indexes[].ca_cert).
    type: path
  remove_github:
    description:
      - Whether to remove GitHub Packages from pip.conf and .pypirc. It has no registry for Python
        packages, and all its addresses answer 404.
    type: bool
    default: false
extends_documentation_fragment:
  - bnlnpps.swf_testbed.manifest
  - bnlnpps.swf_testbed.package_indexes
attributes:
  check_mode:
    support: full
    description: Predicts the changes.
  diff_mode:
    support: full
    description: Shows the changes of pip.conf and uv.toml. The content of a netrc file is never
      shown.
"""

EXAMPLES = r"""
- name: Configure the lab's index for this login
  bnlnpps.swf_testbed.pip_config:
    scope: user
    owner: swf-testbed
    record: "{{ ansible_facts['env']['HOME'] }}/.config/swf-testbed/pip-settings.json"
    indexes:
      - name: lab
        url: https://index.example.org/simple/
        username: reader
        token: "{{ vault_index_token }}"
"""

RETURN = r"""
files:
  description: The files with settings of this owner.
  returned: always
  type: list
  elements: str
  sample: [/home/me/.config/pip/pip.conf, /home/me/.config/uv/uv.toml, /home/me/.netrc]
github:
  description: Settings of GitHub Packages that were found, as C(file, option or section). They are
    removed only if O(remove_github) is set.
  returned: always
  type: list
  elements: str
  sample: ["/home/me/.config/pip/pip.conf: [global] extra-index-url"]
"""

import os
import re
import tempfile
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.errors import CREDENTIALS
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import is_flat
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.uv_toml import (
    index_lines,
    sources_in,
    with_indexes,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.modes import set_umask
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.layout import (
    environment_of_login,
    xdg,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.lease import hold
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index import (
    configuration,
    pip_config,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.github_packages import (
    found_in,
    without_github,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.netrc_file import (
    with_logins,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.pip_conf import (
    options,
    sections_of,
    usual_files,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.pip_sources import (
    others,
    variables,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.pip_upstream import (
    PipNotFoundError,
    asked_of_pip,
    output,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._manifest.listing import (
    ManifestError,
    entry,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._manifest.record import ARGUMENT
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._manifest.record import (
    record as list_in_manifest,
)


class PipConfigError(Exception):
    """The settings would be unsafe, or contradict existing ones."""


def one_for_all(indexes: list[dict[str, Any]]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The index to configure and the accepted extra ones.

    :raises PipConfigError: pip could install a bound name from another index.
    """
    bound = [index for index in indexes if index["packages"]]
    primary = [index for index in indexes if index["role"] == "primary"]
    unsafe = [index for index in indexes if index["allow_unsafe_extra_index"]]
    safe = [index for index in bound if index not in unsafe]
    if len(indexes) > 1 and safe:
        raise PipConfigError(
            "pip cannot bind names to an index, and would look for private names on all of them. "
            "Evidence: %s are configured. Fix: let one index serve everything "
            "(swf_testbed_package_index_mirror: true, and only that index in "
            "swf_testbed_pip_indexes), or set swf_testbed_pip_index_scope to none and install with "
            "the playbooks, which request each name from its own index. To accept the risk: "
            "allow_unsafe_extra_index: true for %s."
            % (
                " and ".join(index["name"] for index in indexes),
                " and ".join(index["name"] for index in safe),
            )
        )
    return (primary or indexes)[0], [index for index in unsafe if index not in primary]


def pip_options(
    index: Mapping[str, Any], extra: list[dict[str, Any]], access_dir: str | None
) -> dict[str, str]:
    """The options of pip's section global."""
    found = {"no-input": "true"}
    if index["preset"] == "directory" and is_flat(index["url"]):
        found.update({"no-index": "true", "find-links": index["url"]})
    elif index["url"]:
        # this overrides an extra index of /etc/pip.conf
        url = ("file://%s/" if index["preset"] == "directory" else "%s") % index["url"]
        found.update(
            {"index-url": url, "extra-index-url": " ".join(other["url"] for other in extra) or url}
        )
    elif extra:
        found["extra-index-url"] = " ".join(other["url"] for other in extra)
    trusted = configuration.insecure_hosts([index, *extra])
    if trusted:
        found["trusted-host"] = " ".join(trusted)
    certificate = os.path.join(access_dir or "", index["name"] + ".pem")
    if access_dir and os.path.exists(certificate):
        found["cert"] = certificate
    return found


def places(
    scope: str, site: str | None, environment: Mapping[str, str]
) -> tuple[str | None, str | None, str | None]:
    """The paths of pip.conf, uv.toml and netrc for a scope; None if the scope has no such file."""
    config = xdg(environment, "XDG_CONFIG_HOME", ".config")
    home = os.path.join(environment["HOME"], ".netrc")
    return {
        "none": (None, None, None),
        "user": (
            os.path.join(config, "pip", "pip.conf"),
            os.path.join(config, "uv", "uv.toml"),
            home,
        ),
        "site": (os.path.join(site or "", "pip.conf"), None, home),
        # pip and uv read no credentials for the whole host; each login has its own
        "global": ("/etc/pip.conf", "/etc/uv/uv.toml", home),
    }[scope]


class OnThisHost:
    """The pip of a host, and all files that it and uv read."""

    def __init__(
        self, files: pip_config.Files, environment: Mapping[str, str], preferred: str | None
    ) -> None:
        self.files, self.environment = files, environment
        self.python: str | None = None
        try:
            self.python, self.confs, _settings = asked_of_pip(preferred)
        except PipNotFoundError:
            self.confs = usual_files(environment)

    def set_pip(self, path: str, wanted: Mapping[str, str]) -> dict[str, Any]:
        """Set options in a pip.conf; return their record."""
        text = self.files.read(path)
        there = in_file(path, options, text)
        for option, value in wanted.items():
            if there.get(("global", option), value) != value:
                raise PipConfigError(contradiction(path, "global", option, there["global", option]))
        # an option that existed before belongs to its author
        ours = {
            option: value for option, value in wanted.items() if ("global", option) not in there
        }
        self.files.change(path, in_file(path, pip_config.with_options, text, wanted))
        try:
            found = others(self.confs, self.files.read, path, wanted)
        except ValueError as error:
            raise PipConfigError(str(error)) from None
        if found:
            raise PipConfigError("\n".join(contradiction(*item) for item in found))
        if path in self.files.changed():
            self._read_by_pip(path, wanted)
        return {
            "pip_conf": path,
            "options": ours,
            "section": not any(section == "global" for section in sections_of(text)),
        }

    def _read_by_pip(self, path: str, wanted: Mapping[str, str]) -> None:
        """Have the pip of the host read the new text, if there is a pip."""
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", errors="surrogateescape", newline=""
        ) as scratch:
            scratch.write(self.files.after[path])
            scratch.flush()
            listed = self.python and output(
                self.python, "-m", "pip", "config", "list", PIP_CONFIG_FILE=scratch.name
            )
        lost = [
            option
            for option, value in wanted.items()
            if "global.%s=%r" % (option, value) not in (listed or "").splitlines()
        ]
        if self.python and lost:
            raise PipConfigError(
                "pip would not read the new %s as intended. Evidence: pip config list shows other "
                "values of %s. Fix: correct the file, or set swf_testbed_pip_index_scope to none."
                % (path, " and ".join(lost))
            )

    def set_uv(self, path: str, lines: str, owner: str) -> None:
        system = [
            os.path.join(place, "uv/uv.toml")
            for place in self.environment.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")
        ]
        own = os.path.join(xdg(self.environment, "XDG_CONFIG_HOME", ".config"), "uv/uv.toml")
        for other in (*system, "/etc/uv/uv.toml", own):
            found = other != path and in_file(other, sources_in, self.files.read(other))
            if found:
                raise PipConfigError(
                    "uv would use other package sources. Evidence: %s sets %s, which this "
                    "collection did not write. Fix: remove it, or set swf_testbed_pip_index_scope "
                    "to none." % (other, " and ".join(found))
                )
        self.files.change(path, in_file(path, with_indexes, self.files.read(path), owner, lines))

    def set_netrc(self, path: str, entries: str, owner: str) -> None:
        self.files.change(path, in_file(path, with_logins, self.files.read(path), owner, entries))


def contradiction(path: str, section: str, option: str, value: str) -> str:
    return (
        "pip would use other package sources, and private names could come from there. Evidence: "
        "%s sets [%s] %s to %s, which this collection did not write. Fix: remove it, or set "
        "swf_testbed_pip_index_scope to none."
        % (path, section, option, CREDENTIALS.sub("***@", value))
    )


def in_file(path: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """The result of a function for a file; its errors get the path."""
    try:
        return function(*arguments)
    except ValueError as error:
        raise PipConfigError("%s: %s." % (path, str(error).rstrip(".\n"))) from None


def github(files: pip_config.Files, environment: Mapping[str, str], remove: bool) -> list[str]:
    """GitHub Packages in the settings of this login and of the host, each as ``path: [section]
    option``."""
    found = list(found_in(environment, files.read))
    for path, _hits in found if remove else ():
        files.change(path, without_github(files.read(path)))
    return ["%s: %s" % (path, hit) for path, hits in found for hit in hits]


def apply(module: AnsibleModule) -> None:
    given = module.params
    environment = environment_of_login()
    files, owner = pip_config.Files(), given["owner"]
    previous, record = pip_config.read_record(given["record"]), {}
    indexes = configuration.normalised(given["indexes"])
    for warning in configuration.warnings(indexes) if given["scope"] != "none" else ():
        module.warn(warning)
    found = github(files, environment, given["remove_github"])
    if previous:
        pip_config.undo(files, previous, owner)
    pip_conf, uv_toml, home_netrc = places(given["scope"], given["site"], environment)
    if pip_conf and home_netrc and indexes:
        index, extra = one_for_all(indexes)
        for name in variables():
            module.warn(
                "pip or uv may use other package sources. Evidence: the environment variable %s of "
                "this login has precedence over the files that this module sets. Fix: remove it "
                "from the login's profile, if it comes from there" % name
            )
        host = OnThisHost(
            files, environment, os.path.join(given["site"], "bin/python") if given["site"] else None
        )
        record = host.set_pip(pip_conf, pip_options(index, extra, given["access_dir"]))
        lines = index_lines(index, extra)
        if uv_toml and lines:
            record["uv_toml"] = uv_toml
            host.set_uv(uv_toml, lines, owner)
        entries = configuration.netrc([index, *extra])
        if entries:
            record["netrc"] = home_netrc
            host.set_netrc(home_netrc, entries, owner)
        record["created"] = sorted(
            files.created & {record.get(key) for key in ("pip_conf", "uv_toml", "netrc")}
        )
    changed = files.changed()
    ours = [
        entry("lines", record[key], name=owner)
        for key in ("pip_conf", "uv_toml", "netrc")
        if key in record
    ]
    listed = list_in_manifest(given["manifest"], ours, module.check_mode)
    if not module.check_mode and (changed or record != previous):
        if changed and record:
            # write the record first, so that an interrupted run can be undone as well
            pip_config.write_record(given["record"], dict(record, before=previous))
        files.write()
        pip_config.write_record(given["record"], record)
    module.exit_json(
        changed=bool(changed or listed),
        github=found,
        files=[item["path"] for item in ours],
        diff=[shown(path, files) for path in changed],
    )


def shown(path: str, files: pip_config.Files) -> dict[str, str]:
    before, after = files.before[path], files.after[path]
    if os.path.basename(path) in (".netrc", ".pypirc"):
        names = re.findall(r"machine (\S+)", after)
        hosts = sorted({urlsplit("//" + name).hostname or "" for name in names})
        before, after = "", "credentials for: %s\n" % ", ".join(hosts)
    return {
        "before_header": path,
        "after_header": path,
        "before": CREDENTIALS.sub("***@", before),
        "after": CREDENTIALS.sub("***@", after),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "scope": {
                "type": "str",
                "choices": ["none", "user", "site", "global"],
                "default": "none",
            },
            "site": {"type": "path"},
            "owner": {"type": "str", "required": True},
            "record": {"type": "path", "required": True},
            **configuration.OPTIONS,
            "indexes": dict(configuration.OPTIONS["indexes"], default=[]),
            "access_dir": {"type": "path"},
            "remove_github": {"type": "bool", "default": False},
            **ARGUMENT,
        },
        required_if=[("scope", "site", ["site"])],
        supports_check_mode=True,
    )
    hold(module)
    set_umask()
    try:
        apply(module)
    except (ManifestError, PipConfigError, ValueError) as error:
        module.fail_json(msg="%s\nNothing was changed." % error)
    except OSError as error:
        module.fail_json(
            msg="cannot change %s. Evidence: %s. Fix: check its owner and mode, and "
            "those of its directory" % (error.filename, error.strerror)
        )


if __name__ == "__main__":
    main()
