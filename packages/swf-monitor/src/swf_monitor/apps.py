# SPDX-License-Identifier: GPL-3.0-or-later
"""Django's description of the application."""

from django.apps import AppConfig


class MonitorConfig(AppConfig):
    name = "swf_monitor"
    verbose_name = "SWF monitor"
    default_auto_field = "django.db.models.BigAutoField"
