"""The web process's application: `daphne voiceapp.asgi:application`."""

import os

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

from voiceapp.configuration import load
from voiceapp.keys import keep_session_key

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceapp.settings")
keep_session_key(load())  # before the settings read it: every process must sign with the same one
pages = get_asgi_application()

from voiceapp.routing import websockets  # noqa: E402 - consumers import models, which need Django set up

application = ProtocolTypeRouter({"http": pages, "websocket": websockets})
