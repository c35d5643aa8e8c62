# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls modules of the collection in this process, in check mode, without Ansible's part of a
module: that alone takes a third of a second on a host."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from typing import Any, NoReturn

MODULES = "ansible_collections.bnlnpps.swf_testbed.plugins.modules."
TRUE = ("true", "yes", "on", "y", "t", "1")


class Finished(BaseException):
    """The module has ended with this result."""

    def __init__(self, result: dict[str, Any]) -> None:
        super().__init__()
        self.result = result


class AnsibleModule:
    """What the modules use of Ansible's class of this name. The arguments were validated when a task
    called the module with them; here they only get their types and defaults."""

    #: of the next instance
    arguments: Mapping[str, Any] = {}

    def __init__(self, argument_spec: Mapping[str, Any], **_kwargs: Any) -> None:
        self.params = typed(self.arguments, argument_spec)
        self.check_mode, self._diff, self.tmpdir = True, False, None
        self._warnings: list[str] = []

    def warn(self, text: str) -> None:
        self._warnings.append(text)

    def exit_json(self, **result: Any) -> NoReturn:
        raise Finished(dict(result, warnings=self._warnings))

    def fail_json(self, msg: str, **result: Any) -> NoReturn:
        raise Finished(dict(result, failed=True, msg=msg, warnings=self._warnings))


def call(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The result of a module; ``failed`` and ``msg`` if it ends with an error of any type."""
    module = importlib.import_module(MODULES + name)
    given = type("Given", (AnsibleModule,), {"arguments": arguments})
    original, module.AnsibleModule = module.AnsibleModule, given  # type: ignore[attr-defined]
    try:
        module.main()
    except Finished as end:
        return end.result
    except Exception as error:
        return {"failed": True, "msg": "%s: %s" % (type(error).__name__, error)}
    finally:
        module.AnsibleModule = original  # type: ignore[attr-defined]
    return {"failed": True, "msg": "%s ended without a result" % name}


def typed(arguments: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for name, option in spec.items():
        names = [other for other in (name, *option.get("aliases", ())) if other in arguments]
        value = arguments[names[0]] if names else option.get("default")
        found[name] = None if value is None else converted(value, option)
    return found


def converted(value: Any, option: Mapping[str, Any]) -> Any:
    wanted = option.get("type", "str")
    if wanted == "list":
        values = value if isinstance(value, list) else [value]
        return [converted(item, dict(option, type=option.get("elements"))) for item in values]
    if wanted == "dict" and option.get("options"):
        return typed(value, option["options"])
    if wanted == "bool":
        return value if isinstance(value, bool) else str(value).lower() in TRUE
    if wanted == "path":
        return os.path.expanduser(os.path.expandvars(value))
    types = {"str": str, "int": int, "float": float}
    return types[wanted](value) if wanted in types else value
