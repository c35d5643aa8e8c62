#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the hosts of hosts.yml are and how they are entered: an inventory script, linked into each
scenario's inventory.

Names and addresses follow from the scenario's place on the disk, so that two scenarios, or two
checkouts, run at the same time.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import yaml

# the path as called, without resolving the link
INVENTORY = Path(sys.argv[0]).absolute().parent
SCENARIO = INVENTORY.parent
# the ssh key, the host keys, and the files of the controller; create.yml creates it, destroy.yml removes it
RUN = SCENARIO.parents[1] / ".cache" / "molecule" / SCENARIO.name

# one of 4096 networks, outside of the range that podman assigns first (10.88.0.0 and up)
DIGEST = hashlib.sha256(str(SCENARIO).encode()).digest()
SUBNET = "10.%d.%d" % (208 + DIGEST[0] % 16, DIGEST[1])

COMMON = {
    "swf_molecule_dir": str(RUN),
    "swf_molecule_network": "swf-%s-%s" % (SCENARIO.name, DIGEST.hex()[:6]),
    "swf_molecule_subnet": SUBNET + ".0/24",
    "ansible_user": "ops",
    "ansible_become": True,
    "ansible_ssh_private_key_file": str(RUN / "id_ed25519"),
    # without the settings, keys and known hosts of the login
    "ansible_ssh_common_args": "-F none -o IdentitiesOnly=yes -o StrictHostKeyChecking=accept-new "
    "-o UserKnownHostsFile=%s" % (RUN / "known_hosts"),
}


def main() -> None:
    hosts = yaml.safe_load((INVENTORY / "hosts.yml").read_text())["all"]["hosts"]
    variables = {
        name: dict(COMMON, ansible_host="%s.%d" % (SUBNET, 10 + number))
        for number, name in enumerate(hosts)
    }
    json.dump({"all": {"hosts": list(hosts)}, "_meta": {"hostvars": variables}}, sys.stdout)


if __name__ == "__main__":
    main()
