# Everything runs from .venv, which the first target that needs it makes. PYTHON=python3.12 chooses another Python.
PYTHON ?= python3
INVENTORY ?= inventory
PLAY = . .venv/bin/activate && ansible-playbook -i $(INVENTORY)

.DEFAULT_GOAL := help
.PHONY: help setup setup-test site upgrade rollback wheelhouse status doctor publish start stop uninstall test lint unit packages molecule lock

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:
	@command -v $(PYTHON) >/dev/null || { echo "error: there is no $(PYTHON). Run: sudo apt-get install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) tools/bootstrap.py site

setup-test: setup
	@$(PYTHON) tools/bootstrap.py test

site: setup  ## Take the hosts of the inventory to a running, verified testbed
	@$(PLAY) site.yml

upgrade: setup  ## Take the hosts to install_version, built everywhere before anything stops (docs/releases.md)
	@$(PLAY) playbooks/upgrade.yml $(ARGS)

rollback: setup  ## Go back to the release before (RELEASE=ID for another; ARGS=--check says what it would do)
	@$(PLAY) playbooks/rollback.yml $(if $(RELEASE),-e release=$(RELEASE)) $(ARGS)

wheelhouse: setup  ## Put all packages into one archive, for hosts without a way out (docs/releases.md)
	@$(PLAY) playbooks/wheelhouse.yml $(ARGS)

status: setup  ## Show what runs; exits non-zero if something is not well
	@$(PLAY) playbooks/status.yml

doctor: setup  ## Find what is wrong with every host, before the first installation and after a crash
	@$(PLAY) playbooks/doctor.yml

publish: setup  ## Check, build and upload packages to an index (docs/publishing.md)
	@$(PLAY) playbooks/publish.yml

start: setup  ## Start what is installed
	@$(PLAY) playbooks/start.yml

stop: setup  ## Stop everything
	@$(PLAY) playbooks/stop.yml

uninstall: setup  ## Remove everything but the data (CONFIRM=yes does not ask; DATA=yes removes the data too)
	@tools/confirm "Remove the testbed from the hosts of $(INVENTORY)$(if $(filter yes,$(DATA)), AND ITS DATA)?" $(CONFIRM)
	@$(PLAY) playbooks/uninstall.yml -e uninstall_data=$(if $(filter yes,$(DATA)),true,false)

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

lock: setup-test  ## Renew every pinned requirement: the one command that does
	@. .venv/bin/activate && tools/lock
