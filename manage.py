#!/usr/bin/env python
"""Runs Django's commands and ours: `python manage.py help` lists them."""

import os
import sys

from django.core.management import execute_from_command_line

from voiceapp.configuration import ConfigurationError, load


def main() -> None:
    os.umask(0o077)  # database, snapshot and secrets are for this user alone
    try:
        load().data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (ConfigurationError, OSError) as error:
        sys.exit(f"manage.py: {error}")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceapp.settings")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
