#!/usr/bin/env python
"""Runs Django's commands and ours: `python manage.py help` lists them."""

import os
import sys

from django.core.management import execute_from_command_line

from voiceapp.configuration import ConfigurationError, load


def main() -> None:
    os.umask(0o077)  # database, snapshot and secrets are for this user alone
    try:
        _make_data_folder()
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceapp.settings")
        execute_from_command_line(sys.argv)
    except ConfigurationError as error:
        sys.exit(f"manage.py: {error}")


def _make_data_folder() -> None:
    folder = load().data
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        message = f"VOICEAPP_DATA: {folder} cannot be made: {error.strerror}."
        raise ConfigurationError(message) from error


if __name__ == "__main__":
    main()
