"""The right to put a call through: whoever may take calls over has it."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations


def grant(apps, schema_editor):
    # Django makes permissions after all migrations; the groups need them now.
    create_permissions(installed.get_app_config("telephony"), verbosity=0, apps=apps)
    right = apps.get_model("auth", "Permission").objects.filter(
        content_type__app_label="telephony", codename="transfer_call"
    )
    groups = apps.get_model("auth", "Group").objects
    for group in groups.filter(permissions__codename="take_over_call").distinct():
        group.permissions.add(*right)


class Migration(migrations.Migration):
    dependencies = [("telephony", "0004_trunk_rights")]

    operations = [
        migrations.AlterModelOptions(
            name="callrecord",
            options={
                "ordering": ("-started_at",),
                "verbose_name": "call",
                "default_permissions": (),
                "permissions": (
                    ("view_call", "Can see calls"),
                    ("listen_call", "Can listen to a live call"),
                    ("take_over_call", "Can take over a live call and hand it back"),
                    ("transfer_call", "Can put a live call through to somebody else"),
                    ("end_call", "Can end a live call"),
                    ("view_transcript", "Can read what was said"),
                    ("view_pii", "Can see numbers and names unmasked"),
                ),
            },
        ),
        migrations.RunPython(grant, migrations.RunPython.noop),
    ]
