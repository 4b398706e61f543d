"""The group Admin edits and publishes agents."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations


def extend_group(apps, schema_editor):
    create_permissions(installed.get_app_config("agents"), verbosity=0, apps=apps)
    rights = apps.get_model("auth", "Permission").objects.filter(content_type__app_label="agents")
    group = apps.get_model("auth", "Group").objects.get(name="Admin")
    group.permissions.add(*rights.exclude(content_type__model="snapshotrevision"))


class Migration(migrations.Migration):
    dependencies = [("agents", "0001_initial"), ("telephony", "0002_groups")]

    operations = [migrations.RunPython(extend_group, migrations.RunPython.noop)]
