# Everything runs from .venv, which the first target that needs it makes. PYTHON=python3.12 chooses another Python.
PYTHON ?= python3
INVENTORY ?= inventory
# By name: Ansible ignores the ansible.cfg of a directory that everybody may write, such as one of Windows under WSL.
ANSIBLE_CONFIG = $(CURDIR)/ansible.cfg
PLAY = . .venv/bin/activate && ANSIBLE_CONFIG=$(ANSIBLE_CONFIG) ansible-playbook -i $(INVENTORY)
# Ansible refuses a locale that is not UTF-8, or that the machine does not have.
export LC_ALL = C.UTF-8
# An experiment's software view puts its own packages and libraries before ours.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONUSERBASE LD_LIBRARY_PATH

.DEFAULT_GOAL := help
.PHONY: help setup setup-test site upgrade rollback wheelhouse status doctor publish start stop uninstall export-secrets import-secrets test lint unit packages molecule nightly lock

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:
	@$(PYTHON) -I -c "" || { echo "error: $(PYTHON) is not there, or does not run. Evidence: see above. Fix: sudo apt-get install python3 python3-venv, or name another Python: make PYTHON=/usr/bin/python3" >&2; exit 1; }
	@$(PYTHON) -I tools/bootstrap.py site

setup-test: setup
	@$(PYTHON) -I tools/bootstrap.py test

site: setup  ## Take the hosts of the inventory to a running, verified testbed
	@$(PLAY) site.yml $(ARGS)

upgrade: setup  ## Take the hosts to swf_testbed_release_version, built everywhere before anything stops (docs/releases.md)
	@$(PLAY) playbooks/upgrade.yml $(ARGS)

rollback: setup  ## Go back to the release before (RELEASE=ID for another; ARGS=--check says what it would do)
	@$(PLAY) playbooks/rollback.yml $(if $(RELEASE),-e swf_testbed_rollback_to=$(RELEASE)) $(ARGS)

wheelhouse: setup  ## Put all packages into one archive, for hosts without a way out (docs/releases.md)
	@$(PLAY) playbooks/wheelhouse.yml $(ARGS)

status: setup  ## Show what runs; exits non-zero if something is not well
	@$(PLAY) playbooks/status.yml $(ARGS)

doctor: setup  ## Find what is wrong with every host, before the first installation and after a crash
	@$(PLAY) playbooks/doctor.yml $(ARGS)

publish: setup  ## Check, build and upload packages to an index (docs/publishing.md)
	@$(PLAY) playbooks/publish.yml $(ARGS)

start: setup  ## Start what is installed
	@$(PLAY) playbooks/start.yml $(ARGS)

stop: setup  ## Stop everything
	@$(PLAY) playbooks/stop.yml $(ARGS)

uninstall: setup  ## Remove everything but the data (CONFIRM=yes does not ask; DATA=yes removes the data too)
	@tools/confirm "Remove the testbed from the hosts of $(INVENTORY)$(if $(filter yes,$(DATA)), AND ITS DATA)?" $(CONFIRM)
	@$(PLAY) playbooks/uninstall.yml -e swf_testbed_uninstall_data=$(if $(filter yes,$(DATA)),true,false) $(ARGS)

export-secrets: setup  ## Write the controller's secrets to a vault file, FILE=inventory/group_vars/all/vault.yml (docs/team.md)
	@$(PLAY) playbooks/export_secrets.yml -e '{"swf_testbed_export_secrets_file": "$(FILE)"}' $(ARGS)

import-secrets: setup  ## Place the secrets of a vault file on this controller (FILE=vault.yml; FORCE=yes replaces others)
	@$(PLAY) playbooks/import_secrets.yml -e '{"swf_testbed_import_secrets_file": "$(FILE)", "swf_testbed_import_secrets_force": $(if $(filter yes,$(FORCE)),true,false)}' $(ARGS)

test: setup-test  ## Run every test
	@. .venv/bin/activate && tools/test

lint: setup-test  ## Run the linters only
	@. .venv/bin/activate && tools/test lint

unit: setup-test  ## Run the unit tests of the plugins only
	@. .venv/bin/activate && tools/test unit

packages: setup-test  ## Run the packages' tests and checks only
	@. .venv/bin/activate && tools/test packages

molecule: setup-test  ## Run one Molecule scenario only (SCENARIO=default, system, lab or release)
	@. .venv/bin/activate && tools/test molecule $(SCENARIO)

nightly: setup-test  ## Run what takes too long for make test (STEPS="versions sanity": only these; docs/testing/nightly.md)
	@. .venv/bin/activate && tools/nightly $(STEPS)

lock: setup-test  ## Renew every pinned requirement: the one command that does
	@. .venv/bin/activate && tools/lock
