"""The roles of the desk: what they may do is changed in the admin, under Groups."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

SUPERVISOR = ("view_call", "listen_call", "take_over_call", "end_call", "view_transcript")
ADMIN_READS = ("view_call", "view_pii", "view_transcript", "view_auditevent")
ADMIN_EDITS = ("number", "route", "widgetkey")


def make_groups(apps, schema_editor):
    # Django makes permissions after all migrations; the groups need them now.
    create_permissions(installed.get_app_config("telephony"), verbosity=0, apps=apps)
    groups = apps.get_model("auth", "Group").objects
    rights = apps.get_model("auth", "Permission").objects.filter(
        content_type__app_label="telephony"
    )
    supervisor, _ = groups.get_or_create(name="Supervisor")
    supervisor.permissions.set(rights.filter(codename__in=SUPERVISOR))
    admin, _ = groups.get_or_create(name="Admin")
    admin.permissions.set(
        rights.filter(content_type__model__in=ADMIN_EDITS)
        | rights.filter(codename__in=ADMIN_READS)
    )


class Migration(migrations.Migration):
    dependencies = [
        ("telephony", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(make_groups, migrations.RunPython.noop)]
