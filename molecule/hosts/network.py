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

# as it was called: the link, not what it leads to
INVENTORY = Path(sys.argv[0]).absolute().parent
SCENARIO = INVENTORY.parent
# the key, the hosts' keys, and what the controller keeps; made by create, removed by destroy
RUN = SCENARIO.parents[1] / ".cache" / "molecule" / SCENARIO.name

# one of 4096 networks, far from those that podman gives out first (10.88.0.0 and up)
DIGEST = hashlib.sha256(str(SCENARIO).encode()).digest()
SUBNET = "10.%d.%d" % (208 + DIGEST[0] % 16, DIGEST[1])

COMMON = {
    "swf_molecule_dir": str(RUN),
    "swf_molecule_network": "swf-%s-%s" % (SCENARIO.name, DIGEST.hex()[:6]),
    "swf_molecule_subnet": SUBNET + ".0/24",
    "ansible_user": "ops",
    "ansible_become": True,
    "ansible_ssh_private_key_file": str(RUN / "id_ed25519"),
    # nothing of the login's own settings, keys and known hosts
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
