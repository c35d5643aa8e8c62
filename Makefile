# Everything runs from .venv. The first target that needs it creates it. PYTHON=python3.12 chooses another Python.
PYTHON ?= python3
INVENTORY ?= inventory
# By name: Ansible ignores the ansible.cfg of a world-writable directory, such as one of Windows under WSL.
ANSIBLE_CONFIG = $(CURDIR)/ansible.cfg
PLAY = . .venv/bin/activate && ANSIBLE_CONFIG=$(ANSIBLE_CONFIG) ansible-playbook -i $(INVENTORY)
# Ansible refuses a locale that is not UTF-8, or that the machine does not have.
export LC_ALL = C.UTF-8
# An experiment's software view puts its own packages and libraries before ours.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONUSERBASE LD_LIBRARY_PATH

.DEFAULT_GOAL := help
.PHONY: help setup setup-test site upgrade rollback wheelhouse status doctor publish start stop uninstall export-secrets import-secrets issue-credentials revoke-credentials test lint unit packages molecule nightly lock docs-roles changelog

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:
	@$(PYTHON) -I -c "" || { echo "error: $(PYTHON) is not there, or does not run. Evidence: see above. Fix: sudo apt-get install python3 python3-venv, or name another Python: make PYTHON=/usr/bin/python3" >&2; exit 1; }
	@$(PYTHON) -I tools/bootstrap.py site

setup-test: setup
	@$(PYTHON) -I tools/bootstrap.py test

site: setup  ## Deploy the testbed to the hosts of the inventory, and verify it
	@$(PLAY) site.yml $(ARGS)

upgrade: setup  ## Upgrade to swf_testbed_release_version (docs/how-to/upgrade.md)
	@$(PLAY) playbooks/upgrade.yml $(ARGS)

rollback: setup  ## Roll back to the previous release (RELEASE=ID: to another one; ARGS=--check: only report)
	@$(PLAY) playbooks/rollback.yml $(if $(RELEASE),-e swf_testbed_rollback_to=$(RELEASE)) $(ARGS)

wheelhouse: setup  ## Build an archive of all packages for air-gapped hosts (docs/how-to/air_gapped.md)
	@$(PLAY) playbooks/wheelhouse.yml $(ARGS)

status: setup  ## Show all programs; the exit status is not 0 if the testbed is not healthy
	@$(PLAY) playbooks/status.yml $(ARGS)

doctor: setup  ## Diagnose every host (docs/how-to/doctor.md)
	@$(PLAY) playbooks/doctor.yml $(ARGS)

publish: setup  ## Check, build and upload packages to an index (docs/how-to/publish.md)
	@$(PLAY) playbooks/publish.yml $(ARGS)

start: setup  ## Start all programs
	@$(PLAY) playbooks/start.yml $(ARGS)

stop: setup  ## Stop all programs
	@$(PLAY) playbooks/stop.yml $(ARGS)

uninstall: setup  ## Remove the testbed without its data (CONFIRM=yes: do not ask; DATA=yes: remove the data, too)
	@tools/confirm "Remove the testbed from the hosts of $(INVENTORY)$(if $(filter yes,$(DATA)), AND ITS DATA)?" $(CONFIRM)
	@$(PLAY) playbooks/uninstall.yml -e swf_testbed_uninstall_data=$(if $(filter yes,$(DATA)),true,false) $(ARGS)

export-secrets: setup  ## Export the controller's secrets to FILE=inventory/group_vars/all/vault.yml (docs/how-to/team.md)
	@$(PLAY) playbooks/export_secrets.yml -e '{"swf_testbed_export_secrets_file": "$(FILE)"}' $(ARGS)

import-secrets: setup  ## Import the secrets of FILE=vault.yml to this controller (FORCE=yes: replace other values)
	@$(PLAY) playbooks/import_secrets.yml -e '{"swf_testbed_import_secrets_file": "$(FILE)", "swf_testbed_import_secrets_force": $(if $(filter yes,$(FORCE)),true,false)}' $(ARGS)

issue-credentials: setup  ## Issue the credentials of LOGIN=NAME to FILE=NAME.yml; PASSWORD_FILE=FILE: do not ask for its password (docs/how-to/issue_credentials.md)
	@$(PLAY) playbooks/issue_credentials.yml --vault-id '$(LOGIN)@$(or $(PASSWORD_FILE),prompt)' -e '{"login": "$(LOGIN)", "swf_testbed_credentials_file": "$(FILE)"}' $(ARGS)

revoke-credentials: setup  ## Revoke the credentials of LOGIN=NAME, for the broker and the monitor
	@$(PLAY) playbooks/revoke_credentials.yml -e '{"login": "$(LOGIN)"}' $(ARGS)

test: setup-test  ## Run every test
	@. .venv/bin/activate && tools/test

lint: setup-test  ## Run the linters
	@. .venv/bin/activate && tools/test lint

unit: setup-test  ## Run the unit tests of the plugins
	@. .venv/bin/activate && tools/test unit

packages: setup-test  ## Run the tests and checks of the packages
	@. .venv/bin/activate && tools/test packages

molecule: setup-test  ## Run one Molecule scenario (SCENARIO=default, system, lab or release)
	@. .venv/bin/activate && tools/test molecule $(SCENARIO)

nightly: setup-test  ## Run the long tests (STEPS="versions sanity": only these steps; docs/testing/nightly.md)
	@. .venv/bin/activate && tools/nightly $(STEPS)

lock: setup-test  ## Renew every pinned requirement
	@. .venv/bin/activate && tools/lock

docs-roles: setup-test  ## Generate the role READMEs and the reference pages from the specifications
	@. .venv/bin/activate && tools/role_readmes

changelog: setup-test  ## Print the release notes of the changes that are not released yet
	@. .venv/bin/activate && tools/changelog
