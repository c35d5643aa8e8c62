# SPDX-License-Identifier: GPL-3.0-or-later
"""The login of a browser: which pages need it, and the form."""

import contextlib
import hashlib
import threading
from collections.abc import Callable
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.views import LoginView as DjangoLoginView
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.decorators import method_decorator

from swf_monitor import __version__
from swf_monitor.access import client_address, may_see_all
from swf_monitor.database import UNAVAILABLE
from swf_monitor.pages.answer import render, response, unavailable
from swf_monitor.style import CONTENT_SECURITY_POLICY, page_parts
from swf_monitor.users_file import accounts_of_file

# The attempts that one client has within this time (s).
ATTEMPTS, WINDOW = 5, 60
# A password takes a fraction of a second of CPU time to check; one at a time leaves the rest to others.
_checking = threading.Lock()


class LoginMiddleware(LoginRequiredMiddleware):
    """Requires a login for each page, except from this host. The views of the REST API have their
    own rules."""

    def process_view(
        self, request: HttpRequest, view_func: Callable[..., Any], view_args: Any, view_kwargs: Any
    ) -> HttpResponseBase | None:
        """Let the request pass, or return the response to it. Each request sees the present
        accounts."""
        with contextlib.suppress(UNAVAILABLE):
            accounts_of_file.refresh()
        if not getattr(view_func, "login_required", True):
            return None
        try:
            if may_see_all(request):
                return None
        except UNAVAILABLE as error:
            return response(request, render(unavailable(error, "")))
        if "part" in request.GET:
            # for the script of a page, which then loads the form
            return HttpResponse(status=401, headers={"X-SWF-Monitor": __version__})
        return self.handle_no_permission(request, view_func)


class LoginForm(AuthenticationForm):
    """A name and a password, checked one after the other."""

    def clean(self) -> dict[str, Any]:
        """Check the password."""
        with _checking:
            return super().clean()


@method_decorator(login_not_required, name="dispatch")
class LoginView(DjangoLoginView):
    """The page with the form. A client that guesses has to wait."""

    template_name = "swf_monitor/login.html"
    authentication_form = LoginForm

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Respond to a request, even if the database does not answer."""
        try:
            return super().dispatch(request, *args, **kwargs)
        except UNAVAILABLE as error:
            return response(request, render(unavailable(error, "")))

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Check the name and the password, unless this client had too many attempts: then the right
        password looks like a wrong one."""
        if self._count() <= ATTEMPTS:
            return super().post(request, *args, **kwargs)
        context = self.get_context_data(form=LoginForm(request), too_many=True)
        refused: HttpResponse = self.render_to_response(
            context, status=429, headers={"Retry-After": str(WINDOW)}
        )
        return refused

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Log the user in, and forget the attempts."""
        cache.delete(self._attempts)
        return super().form_valid(form)

    def _count(self) -> int:
        """The number of attempts of this client, with this one. It is counted before its password is
        checked, so a client cannot make all threads wait."""
        cache.add(self._attempts, 0, WINDOW)
        try:
            return cache.incr(self._attempts)
        except ValueError:
            # the time was over in this moment
            return 1

    @property
    def _attempts(self) -> str:
        """The key of the number of attempts of this client."""
        return hashlib.sha256(client_address(self.request).encode()).hexdigest()

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs, **page_parts())

    def render_to_response(self, context: dict[str, Any], **options: Any) -> Any:
        answer = super().render_to_response(context, **options)
        answer.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        return answer
