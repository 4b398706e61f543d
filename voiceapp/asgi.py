"""The web process's application: `daphne voiceapp.asgi:application`."""

import os

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

from voiceapp.adapters.bus_client import BusClient
from voiceapp.configuration import load
from voiceapp.keys import keep_session_key

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceapp.settings")
configuration = load()
keep_session_key(
    configuration
)  # before the settings read it: every process must sign with the same one
pages = get_asgi_application()

from frontend import hub  # noqa: E402 - the consumers' modules need Django set up
from voiceapp.routing import websockets  # noqa: E402 - as above

nodes = [f"node{number}" for number in range(1, configuration.media_nodes + 1)]
hub.configure(BusClient(configuration.run, nodes), nodes)
application = ProtocolTypeRouter({"http": pages, "websocket": websockets})
