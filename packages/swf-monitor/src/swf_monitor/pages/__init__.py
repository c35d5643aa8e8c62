# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages: the state of the testbed, its history, and each run, file, agent and message. All of
them are made by the server, need no script, and have their whole state in the URL."""
