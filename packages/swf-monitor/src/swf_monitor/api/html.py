# SPDX-License-Identifier: GPL-3.0-or-later
"""The answers of the REST API for a browser: the same data on a page."""

import json
from collections.abc import Mapping
from typing import Any

from django.template.loader import render_to_string
from rest_framework.renderers import BaseRenderer
from rest_framework.utils.encoders import JSONEncoder

from swf_monitor.style import CONTENT_SECURITY_POLICY, page_parts


class PageRenderer(BaseRenderer):
    """The data as a page, for `Accept: text/html`."""

    media_type = "text/html"
    format = "html"
    charset = "utf-8"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> str:
        if data is None:
            # a response without a body
            return ""
        context = renderer_context or {}
        request, response = context["request"], context["response"]
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        links = {}
        if isinstance(data, dict):
            links = {name: data.get(name) for name in ("previous", "next") if data.get(name)}
        return render_to_string(
            "swf_monitor/api.html",
            {
                **page_parts(),
                "status": response.status_code,
                "reason": response.reason_phrase,
                "method": request.method,
                "path": request.get_full_path(),
                "links": links,
                "body": json.dumps(data, indent=2, ensure_ascii=False, cls=JSONEncoder),
            },
        )
