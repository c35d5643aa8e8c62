# SPDX-License-Identifier: GPL-3.0-or-later
"""Sphinx: the site of the documentation. tools/build_docs calls it; a warning is an error."""

from __future__ import annotations

import os

project = "bnlnpps.swf_testbed"
copyright = "Contributors to the bnlnpps.swf_testbed collection"

extensions = ["myst_parser", "sphinx.ext.intersphinx", "sphinx_antsibull_ext"]
root_doc = "index"
# the role READMEs have the variables that the generated pages of the roles have, too
exclude_patterns = [".github", "roles/*/README.md", "packages/*/src", "changelogs", "examples"]
# links to a heading, as GitHub makes its anchors
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
highlight_language = "none"
pygments_style = "ansible"
html_theme = "sphinx_ansible_theme"
html_title = "swf-testbed"
html_show_sphinx = False
html_copy_source = False
# the theme of Ansible links to the sources of ansible-core otherwise
html_context = {"display_github": False}
default_role = "any"

# Pages of ansible-core, to which generated pages refer. It needs a connection to docs.ansible.com; without one,
# SWF_DOCS_OFFLINE=yes leaves out these links alone (tools/build_docs).
if os.environ.get("SWF_DOCS_OFFLINE") != "yes":
    intersphinx_mapping = {
        "ansible": ("https://docs.ansible.com/projects/ansible/latest/", None),
        "python3": ("https://docs.python.org/3/", None),
    }
linkcheck_ignore = [r"https?://(127\.0\.0\.1|localhost)", r"https?://[^/]*example\.(org|com)"]
