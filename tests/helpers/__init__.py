# SPDX-License-Identifier: GPL-3.0-or-later
"""What several tests share: servers, hosts, runners. On the path by pyproject.toml (pytest) and tests/run_faults.py."""
