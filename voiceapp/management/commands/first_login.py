"""The first person at the desk."""

from __future__ import annotations

import os
import secrets
from typing import Any, Final

from django.contrib.auth.models import Group, User
from django.core.management.base import BaseCommand
from django.db import transaction

from voiceapp.configuration import load

NAME: Final = "supervisor"
FILE: Final = "first-login.txt"


class Command(BaseCommand):
    help = "Makes the first user, if there is none, and writes the password to a file that only you can read."

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        path = load().data / FILE
        if User.objects.exists():
            known = f"; the first login is in {path}" if path.exists() else ""
            self._say(f"There are users already{known}.", options)
            return
        password = secrets.token_urlsafe(12)
        user = User.objects.create_superuser(NAME, password=password)
        user.groups.set(Group.objects.filter(name__in=("Supervisor", "Admin")))
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"user: {NAME}\npassword: {password}\nChange it after the first login.\n")
        self._say(f"The first login is in {path}.", options)

    def _say(self, text: str, options: dict[str, Any]) -> None:
        if options["verbosity"] > 0:
            self.stdout.write(text)
