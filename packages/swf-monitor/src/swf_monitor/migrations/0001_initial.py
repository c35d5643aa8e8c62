# SPDX-License-Identifier: GPL-3.0-or-later

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="ListenerState",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("subscribed", models.BooleanField(default=False)),
                ("detail", models.TextField(blank=True)),
                ("updated_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
        ),
        migrations.CreateModel(
            name="Run",
            fields=[
                ("run_id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("imminent", "Imminent"),
                            ("running", "Running"),
                            ("ended", "Ended"),
                        ],
                        default="imminent",
                        max_length=10,
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("started_at", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField(null=True)),
                ("total_files", models.PositiveIntegerField(null=True)),
            ],
            options={
                "ordering": ("-run_id",),
            },
        ),
        migrations.CreateModel(
            name="SystemAgent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("instance_name", models.CharField(max_length=200, unique=True)),
                ("agent_type", models.CharField(max_length=64)),
                (
                    "status",
                    models.CharField(
                        choices=[("OK", "Ok"), ("WARNING", "Warning"), ("ERROR", "Error")],
                        max_length=10,
                    ),
                ),
                ("hostname", models.CharField(blank=True, max_length=255)),
                ("pid", models.PositiveIntegerField(null=True)),
                ("version", models.CharField(blank=True, max_length=64)),
                ("description", models.TextField(blank=True)),
                ("started_at", models.DateTimeField(null=True)),
                ("last_heartbeat", models.DateTimeField()),
            ],
            options={
                "ordering": ("agent_type", "instance_name"),
            },
        ),
        migrations.CreateModel(
            name="Message",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("message_id", models.UUIDField(unique=True)),
                ("msg_type", models.CharField(max_length=64)),
                ("namespace", models.CharField(blank=True, max_length=100)),
                ("sender", models.CharField(blank=True, max_length=200)),
                ("run_id", models.BigIntegerField(null=True)),
                ("filename", models.CharField(blank=True, max_length=255)),
                ("sent_at", models.DateTimeField(null=True)),
                ("received_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("body", models.JSONField()),
            ],
            options={
                "ordering": ("-received_at", "-id"),
                "indexes": [
                    models.Index(fields=["received_at", "id"], name="message_received"),
                    models.Index(fields=["msg_type", "received_at", "id"], name="message_type"),
                ],
            },
        ),
        migrations.CreateModel(
            name="StfFile",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("filename", models.CharField(max_length=255, unique=True)),
                ("path", models.TextField()),
                ("size_bytes", models.PositiveBigIntegerField()),
                ("checksum", models.CharField(max_length=71)),
                ("sequence", models.PositiveIntegerField()),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("registered", "Registered"),
                            ("processing", "Processing"),
                            ("processed", "Processed"),
                            ("failed", "Failed"),
                        ],
                        default="registered",
                        max_length=10,
                    ),
                ),
                ("reason", models.TextField(blank=True)),
                ("processing_seconds", models.FloatField(null=True)),
                ("registered_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("updated_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("sampled_at", models.DateTimeField(null=True)),
                (
                    "run",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="stf_files",
                        to="swf_monitor.run",
                    ),
                ),
            ],
            options={
                "ordering": ("-id",),
            },
        ),
        migrations.CreateModel(
            name="TfFile",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("filename", models.CharField(max_length=255, unique=True)),
                ("size_bytes", models.PositiveBigIntegerField()),
                ("offset", models.PositiveBigIntegerField()),
                ("registered_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "stf_file",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="tf_files",
                        to="swf_monitor.stffile",
                    ),
                ),
            ],
            options={
                "ordering": ("-id",),
            },
        ),
        migrations.AddIndex(
            model_name="stffile",
            index=models.Index(fields=["run", "sequence"], name="stf_run_sequence"),
        ),
        migrations.AddIndex(
            model_name="stffile",
            index=models.Index(fields=["status", "id"], name="stf_status"),
        ),
        migrations.AddIndex(
            model_name="stffile",
            index=models.Index(
                condition=models.Q(("sampled_at__isnull", True)),
                fields=["id"],
                name="stf_unsampled",
            ),
        ),
    ]
