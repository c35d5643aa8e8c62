# SPDX-License-Identifier: GPL-3.0-or-later
"""The URLs below /api/."""

from django.urls import path

from swf_monitor.api import docs, namespaces, public, views

urlpatterns = [
    path("systemagents/heartbeat/", views.HeartbeatView.as_view()),
    path("systemagents/", views.AgentListView.as_view()),
    path("systemagents/<path:instance_name>/", views.AgentView.as_view()),
    path("runs/", views.RunListView.as_view()),
    path("runs/<int:run_id>/", views.RunView.as_view()),
    path("stf-files/", views.StfListView.as_view()),
    path("stf-files/<str:filename>/", views.StfView.as_view()),
    path("stf-files/<str:filename>/history/", views.StfHistoryView.as_view()),
    path("tf-files/", views.TfListView.as_view()),
    path("fastmon-files/", public.FastMonListView.as_view()),
    path("state/next-agent-id/", public.NextAgentIdView.as_view()),
    path("state/next-run-number/", public.NextRunNumberView.as_view()),
    path("namespaces/ensure/", public.NamespaceView.as_view()),
    path("namespaces/claim/", namespaces.ClaimView.as_view()),
    path("namespaces/", namespaces.NamespaceListView.as_view()),
    path("namespaces/<str:name>/data/", namespaces.DataDirectoryView.as_view()),
    path("namespaces/<str:name>/", namespaces.NamespaceView.as_view()),
    path("set-aside-messages/", namespaces.SetAsideListView.as_view()),
    path("subscribers/", public.SubscriberListView.as_view()),
    path("logs/", public.LogListView.as_view()),
    path("messages/", views.MessageListView.as_view()),
    path("messages/<uuid:message_id>/", views.MessageView.as_view()),
    path("backlog/", views.BacklogView.as_view()),
    path("summary/", views.SummaryView.as_view()),
    path("health/", views.HealthView.as_view()),
    path("schema/", docs.SchemaView.as_view(), name="schema"),
    path("docs/", docs.DocsView.as_view(url_name="schema")),
    path("docs/assets/<str:name>", docs.AssetView.as_view()),
]
