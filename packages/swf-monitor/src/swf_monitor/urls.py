# SPDX-License-Identifier: GPL-3.0-or-later
"""The URLs of the monitor."""

from django.conf import settings
from django.contrib.auth.views import LogoutView
from django.urls import include, path

from swf_monitor.login import LoginView
from swf_monitor.pages import history, lists, overview, records

urlpatterns = [
    path("", overview.show_overview, name="overview"),
    path("history/", history.show_history, name="history"),
    path("runs/", lists.show_runs, name="runs"),
    path("runs/<int:run_id>/", records.show_run, name="run"),
    path("files/", lists.show_files, name="files"),
    path("files/<str:filename>/", records.show_file, name="file"),
    path("agents/", lists.show_agents, name="agents"),
    path("agents/<path:instance_name>/", records.show_agent, name="agent"),
    path("messages/", lists.show_messages, name="messages"),
    path("messages/<uuid:message_id>/", records.show_message, name="message"),
    path("set-aside/", lists.show_set_aside, name="set-aside"),
    path("api/", include("swf_monitor.api.urls")),
]
if settings.LOGIN_REQUIRED:
    urlpatterns += [
        path("login/", LoginView.as_view(), name="login"),
        path("logout/", LogoutView.as_view(), name="logout"),
    ]
handler404 = "swf_monitor.api.errors.not_found"
handler500 = "swf_monitor.api.errors.server_error"
