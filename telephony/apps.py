"""Registers the application with Django."""

from django.apps import AppConfig


class TelephonyConfig(AppConfig):
    name = "telephony"
    verbose_name = "Numbers, calls and audit"
