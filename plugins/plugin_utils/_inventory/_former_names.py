# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
# To be removed with the release 1.0.0.
"""The names of variables from before every public one began with swf_testbed_."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory import _variables
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._problem import Problem
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._values import Values

#: in the order in which they apply: (beginning of a former name, its replacement after
#: swf_testbed_)
BEGINNINGS = (
    ("install_smoke", "release_import_check"),
    ("install_", "release_"),
    ("monitor_", "monitor_proxy_"),
    ("supervisord_", ""),
    ("service_", ""),
    ("", ""),
)
NAMES = """
broker_archive_checksum broker_archive_url broker_certificate broker_certificate_key
broker_disk_mb broker_heap_mb broker_listen broker_names broker_remove_data
broker_secure_logging broker_users database_certificate database_certificate_key database_clients
database_listen database_names database_remove_data database_secure_logging database_version
doctor_expiry_days doctor_host_timeout doctor_max_clock_offset doctor_min_free_mb doctor_report
doctor_timeout export_secrets_file firewall_manager firewall_ports firewall_service firewall_zone
import_secrets_file import_secrets_force install_access_dir install_constraints_file
install_git_ca_cert install_git_repositories install_git_token install_git_username
install_indexes install_installer install_lock_file install_mode install_requirements
install_smoke install_source install_tools_lock_file install_version install_wheelhouse
install_wheelhouse_architectures install_wheelhouse_glibc install_wheelhouse_pythons
install_wheels_dir monitor_certificate monitor_certificate_key monitor_listen monitor_names
monitor_port monitor_secure_logging package_index_backup_dir package_index_certificate
package_index_certificate_key package_index_checks package_index_hardening package_index_listen
package_index_mirror package_index_mirror_max_mb package_index_mirror_page_seconds
package_index_names package_index_private package_index_secure_logging package_index_sources
package_index_users pip_index_remove_github pip_index_scope pip_index_secure_logging
pip_index_site pip_indexes preflight_checks preflight_min_free_mb publish_formats publish_index
publish_indexes publish_pypirc publish_remove_github publish_repositories publish_secure_logging
publish_sources publish_workflow_runner publish_workflow_secret publish_workflows
service_fail_later service_flow service_health_timeout service_health_url service_keep_releases
service_log_tail service_min_uptime service_rollback_because service_rollback_to
service_summary_url service_wait_timeout status_health_url status_instances status_log_tail
supervisord_directories supervisord_environment supervisord_extra_programs supervisord_log_backups
supervisord_log_max_bytes supervisord_secret_files supervisord_secure_logging
systemd_address_allow systemd_hardening systemd_limit_nofile systemd_read_write_paths
uninstall_data uninstall_instance uninstall_users_gone uninstall_write_manifest
"""


def present_name(former: str) -> str:
    old, new = next(pair for pair in BEGINNINGS if former.startswith(pair[0]))
    return _variables.PREFIX + new + former[len(old) :]


FORMER = {name: present_name(name) for name in NAMES.split()}
FORMER["supervisord_extra_programs"] = "swf_testbed_extra_components"
FORMER["swf_testbed_extra_programs"] = "swf_testbed_extra_components"
#: removed variables: the reason
GONE = {
    "broker_engine": "the broker is Artemis",
    "swf_testbed_broker_engine": "the broker is Artemis",
    "preflight_ports": "the stack has the ports of the components",
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
