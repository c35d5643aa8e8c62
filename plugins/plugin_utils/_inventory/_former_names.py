# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# To be removed with the release 1.0.0.
"""The names of variables from before every public one began with swf_testbed_."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory import _variables
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._problem import Problem
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._values import Values

#: former prefix: (prefix after swf_testbed_ now, rest of the names)
PREFIXES = {
    "broker_": (
        "broker_",
        "archive_checksum archive_url certificate certificate_key disk_mb engine heap_mb "
        "listen names remove_data secure_logging users",
    ),
    "database_": (
        "database_",
        "certificate certificate_key clients listen names remove_data secure_logging version",
    ),
    "doctor_": (
        "doctor_",
        "expiry_days host_timeout max_clock_offset min_free_mb report timeout",
    ),
    "export_secrets_": (
        "export_secrets_",
        "file",
    ),
    "firewall_": (
        "firewall_",
        "manager ports service zone",
    ),
    "import_secrets_": (
        "import_secrets_",
        "file force",
    ),
    "install_": (
        "release_",
        "access_dir constraints_file git_ca_cert git_repositories git_token git_username "
        "indexes installer lock_file mode requirements source tools_lock_file version "
        "wheelhouse wheelhouse_architectures wheelhouse_glibc wheelhouse_pythons wheels_dir",
    ),
    "monitor_": (
        "monitor_proxy_",
        "certificate certificate_key listen names port secure_logging",
    ),
    "package_index_": (
        "package_index_",
        "backup_dir certificate certificate_key checks hardening listen mirror mirror_max_mb "
        "mirror_page_seconds names private secure_logging sources users",
    ),
    "pip_index_": (
        "pip_index_",
        "remove_github scope secure_logging site",
    ),
    "preflight_": (
        "preflight_",
        "checks min_free_mb",
    ),
    "publish_": (
        "publish_",
        "formats index indexes pypirc remove_github repositories secure_logging sources "
        "workflow_runner workflow_secret workflows",
    ),
    "service_": (
        "",
        "fail_later flow health_timeout health_url keep_releases log_tail min_uptime "
        "rollback_because rollback_to summary_url wait_timeout",
    ),
    "status_": (
        "status_",
        "health_url instances log_tail",
    ),
    "supervisord_": (
        "",
        "directories environment extra_programs log_backups log_max_bytes secret_files secure_logging",
    ),
    "systemd_": (
        "systemd_",
        "address_allow hardening limit_nofile read_write_paths",
    ),
    "uninstall_": (
        "uninstall_",
        "data instance users_gone write_manifest",
    ),
}
FORMER = {
    "install_smoke": "swf_testbed_release_import_check",
    "pip_indexes": "swf_testbed_pip_indexes",
    **{
        old + rest: _variables.PREFIX + new + rest
        for old, (new, names) in PREFIXES.items()
        for rest in names.split()
    },
}


#: variables that are gone: what is there instead
GONE = {
    "preflight_ports": "the stack says where components listen",
    "supervisord_monitor_environment": "the stack has the environment of each component",
    "supervisord_release_dir": "programs run from the release of the run",
    "supervisord_tools_dir": "supervisord runs from the release of the run",
}


def former_names(values: Values) -> Iterator[Problem]:
    """A variable with a former name has no effect. If the inventory sets the new name, too, the
    former one has another purpose."""
    for old in sorted(FORMER.keys() & values.variables.keys()):
        new = FORMER[old]
        if not values.is_set(new):
            yield Problem(
                old,
                "is the former name of %s" % new,
                "the inventory sets it and does not set %s" % new,
                "rename it to %s" % new,
            )
    for old in sorted(GONE.keys() & values.variables.keys()):
        yield Problem(old, "is gone", GONE[old], "remove it")
