# SPDX-License-Identifier: GPL-3.0-or-later
"""The OpenAPI document of the REST API, and the pages that show it."""

from importlib.resources import files
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import FileResponse, Http404, HttpRequest, HttpResponseBase
from django.utils.decorators import method_decorator
from django.views import View
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.renderers import OpenApiJsonRenderer2
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from swf_monitor.api.html import PageRenderer

_ASSETS = files("drf_spectacular_sidecar").joinpath(
    "static", "drf_spectacular_sidecar", "swagger-ui-dist"
)
_TYPES = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui-standalone-preset.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
# Swagger UI sets styles in its elements. All files are of this server.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


class SchemaView(SpectacularAPIView):
    """The OpenAPI document. It has no content, so it needs no token."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    renderer_classes = [OpenApiJsonRenderer2, *SpectacularAPIView.renderer_classes, PageRenderer]  # noqa: RUF012


class DocsView(SpectacularSwaggerSplitView):
    """Swagger UI, to read about the requests and to try them."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        response.headers["Content-Security-Policy"] = POLICY
        return response


@method_decorator(login_not_required, name="dispatch")
class AssetView(View):
    """A file of Swagger UI, which a package of the release contains."""

    def get(self, request: HttpRequest, name: str) -> HttpResponseBase:
        if name not in _TYPES:
            raise Http404
        return FileResponse(
            _ASSETS.joinpath(name).open("rb"),
            content_type=_TYPES[name],
            headers={"Cache-Control": "public, max-age=86400"},
        )


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The token of the header in the OpenAPI document."""

    target_class = "swf_monitor.api.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Token <SWF_API_TOKEN>`, or the token of an issued login",
        }


class VisitorScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The login of a browser in the OpenAPI document."""

    target_class = "swf_monitor.api.authentication.VisitorAuthentication"
    name = "login"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": settings.SESSION_COOKIE_NAME,
            "description": "A login to the pages. Only for requests that change nothing",
        }
