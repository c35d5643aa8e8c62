# SPDX-License-Identifier: GPL-3.0-or-later

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("swf_monitor", "0002_public_testbed"),
    ]

    operations = [
        migrations.CreateModel(
            name="Namespace",
            fields=[
                (
                    "name",
                    models.CharField(max_length=100, primary_key=True, serialize=False),
                ),
                ("owner", models.CharField(max_length=255)),
                ("namespace_id", models.CharField(max_length=32)),
                ("claimed_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("last_seen", models.DateTimeField(default=django.utils.timezone.now)),
                ("last_agent", models.CharField(blank=True, max_length=200)),
                ("data_id", models.CharField(blank=True, default="", max_length=64)),
                ("data_place", models.TextField(blank=True, default="")),
            ],
            options={"ordering": ("name",)},
        ),
        migrations.CreateModel(
            name="SetAsideMessage",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                ("namespace", models.CharField(max_length=100)),
                ("receiver", models.CharField(max_length=200)),
                ("destination", models.CharField(blank=True, max_length=255)),
                ("reason", models.CharField(max_length=1000)),
                ("msg_type", models.CharField(blank=True, max_length=64)),
                ("sender", models.CharField(blank=True, max_length=200)),
                ("sender_namespace", models.CharField(blank=True, max_length=100)),
                ("body", models.TextField()),
                (
                    "received_at",
                    models.DateTimeField(db_index=True, default=django.utils.timezone.now),
                ),
            ],
            options={"ordering": ("-id",)},
        ),
        migrations.AddField(
            model_name="run",
            name="namespace",
            field=models.CharField(blank=True, db_default="", default="", max_length=100),
        ),
    ]
