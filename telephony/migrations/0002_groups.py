"""The roles of the desk: what they may do is changed in the admin, under Groups."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

SUPERVISOR = ("view_call", "listen_call", "take_over_call", "end_call", "view_transcript")
ADMIN_MODELS = ("number", "route", "widgetkey")


def make_groups(apps, schema_editor):
    # Permissions are made after all migrations; the groups need them now.
    for label in ("telephony", "agents"):
        create_permissions(installed.get_app_config(label), verbosity=0, apps=apps)
    group = apps.get_model("auth", "Group")
    permission = apps.get_model("auth", "Permission")
    desk = permission.objects.filter(content_type__app_label="telephony")
    supervisor, _ = group.objects.get_or_create(name="Supervisor")
    supervisor.permissions.set(desk.filter(codename__in=SUPERVISOR))
    admin, _ = group.objects.get_or_create(name="Admin")
    editing = desk.filter(content_type__model__in=ADMIN_MODELS)
    reading = desk.filter(codename__in=("view_call", "view_pii", "view_transcript", "view_auditevent"))
    agents = permission.objects.filter(content_type__app_label="agents")
    people = permission.objects.filter(content_type__app_label="auth", codename__in=("view_user", "view_group"))
    admin.permissions.set([*editing, *reading, *agents, *people])


class Migration(migrations.Migration):
    dependencies = [
        ("telephony", "0001_initial"),
        ("agents", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(make_groups, migrations.RunPython.noop)]
