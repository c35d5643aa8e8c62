# SPDX-License-Identifier: GPL-3.0-or-later
"""The URLs of the monitor."""

from django.urls import include, path

from swf_monitor.dashboard import show_dashboard

urlpatterns = [
    path("", show_dashboard),
    path("api/", include("swf_monitor.api.urls")),
]
handler404 = "swf_monitor.api.errors.not_found"
handler500 = "swf_monitor.api.errors.server_error"
