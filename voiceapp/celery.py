"""The Celery application: `celery -A voiceapp.celery:application worker`. Tasks reach it through the outbox alone."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceapp.settings")

application = Celery("voiceapp")
application.config_from_object("django.conf:settings", namespace="CELERY")
application.autodiscover_tasks()
