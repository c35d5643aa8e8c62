# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages with which the modules release_* fail."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.errors import explain
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import (
    InstallError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release import disk_full
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.store import ReleaseError


@contextlib.contextmanager
def reported(module: Any, explanation: Callable[[InstallError], str] = explain) -> Iterator[None]:
    """Let a module fail with a message for each error of this package.

    :param explanation: makes the message for an :class:`InstallError`.
    """
    try:
        yield
    except ReleaseError as error:
        module.fail_json(msg="%s." % error)
    except InstallError as error:
        module.fail_json(msg=explanation(error))
    except (OSError, ValueError) as error:
        root, text = module.params["root"], str(error)
        full = disk_full.evidence(
            os.path.join(root, "releases"), text, getattr(error, "errno", None)
        )
        if full:
            failure = InstallError("write in %s" % root, "\n".join([text, *full]))
            module.fail_json(msg=explain(failure))
        module.fail_json(
            msg="The releases in %s were not changed as requested. Evidence: %s. The active "
            "release was not changed." % (root, text)
        )
