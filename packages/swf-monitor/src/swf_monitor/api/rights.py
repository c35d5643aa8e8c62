# SPDX-License-Identifier: GPL-3.0-or-later
"""The namespace that a request may change. An issued login changes its own alone; the token of the
testbed changes all."""

from typing import Any

from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from swf_common_lib.monitor import NAMESPACE_HEADER

from swf_monitor.logins import namespace_of
from swf_monitor.models import Run


class OwnNamespace(BasePermission):
    """Refuses a change in the name of another namespace. The views check the changed objects: an
    issued login can leave out the header."""

    def has_permission(self, request: Request, view: Any) -> bool:
        named = request.headers.get(NAMESPACE_HEADER)
        if named and request.method not in SAFE_METHODS:
            refuse_other(request, named, f"the header {NAMESPACE_HEADER}")
        return True


def refuse_other(request: Request, namespace: str, evidence: str) -> None:
    """Check that the user may change a namespace.

    Args:
        namespace: "" for no namespace, which only the testbed may change.
        evidence: The part of the request, or the object, that has the namespace.

    Raises:
        PermissionDenied: an issued login, and not for this namespace; the text has the cause, the
            evidence and the fix.
    """
    own = namespace_of(request.user)
    if own is None or (own and own == namespace):
        return
    login = request.user.get_username()
    fix = (
        f"set swf_testbed_namespace (SWF_NAMESPACE) to {own}, or use another login"
        if own
        else "the operator of the testbed runs make site, which places the namespace of the login"
    )
    raise PermissionDenied(
        f"The login {login} may not change "
        f"{f'the namespace {namespace}' if namespace else 'records without a namespace'}. "
        f"Evidence: the namespace of {evidence} is {namespace or 'empty'}, and that of the login "
        f"is {own or 'unknown'}. Fix: {fix}"
    )


def refuse_other_run(request: Request, run: Run) -> None:
    """The same for the namespace of a run."""
    refuse_other(request, run.namespace, f"run {run.pk}")


def given_namespace(request: Request, given: str, evidence: str) -> str:
    """The namespace of a new object: the given one, or else that of the login.

    Args:
        given: The namespace in the request; "" for none.

    Raises:
        PermissionDenied: the login may not change it.
    """
    namespace = given or namespace_of(request.user) or ""
    refuse_other(request, namespace, evidence)
    return namespace
