# SPDX-License-Identifier: GPL-3.0-or-later
"""From the data of a page to its response: the whole page, or with `?part=content` the part that the
page's script refreshes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from swf_monitor import __version__
from swf_monitor.access import Visitor, user_of
from swf_monitor.api.base import has_nul, unknown_parameters
from swf_monitor.database import UNAVAILABLE, explain
from swf_monitor.style import CONTENT_SECURITY_POLICY, page_parts


@dataclass
class Page:
    """What a page shows. `current` is its entry in the navigation."""

    template: str
    title: str
    current: str
    context: dict[str, Any] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True)
class Rendered:
    """The content of a page. It has no part that depends on the request."""

    content: SafeString
    title: str
    current: str
    status: int


def render(page: Page) -> Rendered:
    """Render the content of a page."""
    context = {"now": timezone.now(), "title": page.title, "template": page.template}
    content = render_to_string("swf_monitor/content.html", {**context, **page.context})
    return Rendered(content, page.title, page.current, page.status)


def unavailable(error: Exception | str, current: str) -> Page:
    """Any page while the database does not answer."""
    cause = error if isinstance(error, str) else explain(error)
    title = "✕ The database is unavailable"
    return Page("swf_monitor/unavailable.html", title, current, {"cause": cause}, status=503)


def refused(problems: dict[str, list[str]], current: str) -> Page:
    """The page for a query that the monitor does not understand."""
    context = {"problems": problems}
    return Page("swf_monitor/refused.html", "✕ Wrong address", current, context, status=400)


def response(request: HttpRequest, made: Rendered, form: Any = None) -> HttpResponse:
    """The response to a request for a page or its content."""
    if request.GET.get("part") == "content":
        text: str = made.content
    else:
        context = {
            **page_parts(),
            **_user(request),
            "title": made.title,
            "current": made.current,
            "content": made.content,
            "form": form,
        }
        text = render_to_string("swf_monitor/page.html", context, request)
    answer = HttpResponse(text, status=made.status)
    answer["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    # The script recognises the monitor's responses by this, and not the error page of a proxy.
    answer["X-SWF-Monitor"] = __version__
    return answer


def _user(request: HttpRequest) -> dict[str, str]:
    """The name of the user who has logged in, and the address that ends a login made here."""
    try:
        user = user_of(request)
    except UNAVAILABLE:
        return {}
    if user is None:
        return {}
    logout = "" if isinstance(user, Visitor) else reverse("logout")
    return {"user_name": user.get_username(), "logout": logout}


View = Callable[..., Page]


def page(current: str, *parameters: str) -> Callable[[View], Callable[..., HttpResponse]]:
    """Make a view of a function that gets the request and returns the data of a page.

    Args:
        current: The entry of the navigation that the page belongs to.
        parameters: The parameters of its query. Others are refused.
    """

    def decorate(view: View) -> Callable[..., HttpResponse]:
        @require_safe
        @wraps(view)
        def answer(request: HttpRequest, **names: Any) -> HttpResponse:
            form = None
            if unknown := unknown_parameters(request.GET, ("part", *parameters)):
                shown = refused(unknown, current)
            else:
                try:
                    if has_nul((*names.values(), *request.GET.values())):
                        raise Http404("There is nothing of this name.")
                    shown = view(request, **names)
                    form = shown.context.get("form")
                except UNAVAILABLE as error:
                    shown = unavailable(error, current)
                except Http404 as error:
                    context = {"missing": str(error)}
                    title = "✕ Not found"
                    shown = Page("swf_monitor/missing.html", title, current, context, status=404)
            return response(request, render(shown), form)

        return answer

    return decorate
