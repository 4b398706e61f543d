"""Who may set up trunks and place calls by program: the admin. Who may see how trunks do: the supervisor as well."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

ADMIN_EDITS = (
    "trunk",
    "callerid",
    "destination",
    "extension",
    "queue",
    "queuemember",
    "dialright",
    "callingwindow",
    "ban",
    "apitoken",
)
ADMIN_CHANGES = ("view_outboundpolicy", "change_outboundpolicy")
QUALITY = "view_trunk_quality"


def grant(apps, schema_editor):
    # Django makes permissions after all migrations; the groups need them now.
    create_permissions(installed.get_app_config("telephony"), verbosity=0, apps=apps)
    groups = apps.get_model("auth", "Group").objects
    rights = apps.get_model("auth", "Permission").objects.filter(
        content_type__app_label="telephony"
    )
    edits = rights.filter(content_type__model__in=ADMIN_EDITS)
    changes = rights.filter(codename__in=(*ADMIN_CHANGES, QUALITY))
    for admin in groups.filter(name="Admin"):
        admin.permissions.add(*edits, *changes)
    for supervisor in groups.filter(name="Supervisor"):
        supervisor.permissions.add(*rights.filter(codename=QUALITY))


def revoke(apps, schema_editor):
    """The rights go with the tables they are for."""


class Migration(migrations.Migration):
    dependencies = [("telephony", "0003_trunks")]

    operations = [migrations.RunPython(grant, revoke)]
