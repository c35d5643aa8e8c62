# SPDX-License-Identifier: GPL-3.0-or-later

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("swf_monitor", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Counter",
            fields=[
                (
                    "name",
                    models.CharField(max_length=20, primary_key=True, serialize=False),
                ),
                ("value", models.PositiveBigIntegerField(default=0)),
            ],
        ),
        *(
            migrations.AddField(
                model_name=model, name="metadata", field=models.JSONField(null=True)
            )
            for model in ("run", "stffile", "tffile")
        ),
        migrations.AddField(
            model_name="systemagent",
            name="heartbeat_interval",
            field=models.FloatField(db_default=10.0, default=10.0),
        ),
        migrations.AddField(
            model_name="systemagent",
            name="namespace",
            field=models.CharField(blank=True, db_default="", default="", max_length=100),
        ),
        migrations.AddField(
            model_name="systemagent",
            name="operational_state",
            field=models.CharField(
                blank=True,
                choices=[
                    ("STARTING", "Starting"),
                    ("READY", "Ready"),
                    ("PROCESSING", "Processing"),
                    ("EXITED", "Exited"),
                ],
                db_default="",
                default="",
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="stffile",
            name="size_bytes",
            field=models.PositiveBigIntegerField(null=True),
        ),
        migrations.AlterField(
            model_name="systemagent",
            name="status",
            field=models.CharField(
                choices=[
                    ("OK", "Ok"),
                    ("WARNING", "Warning"),
                    ("ERROR", "Error"),
                    ("EXITED", "Exited"),
                ],
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="tffile",
            name="offset",
            field=models.PositiveBigIntegerField(null=True),
        ),
    ]
