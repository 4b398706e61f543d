"""WebSockets: who is logged in comes from the session; origins are checked by each consumer against its own list."""

from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter

from frontend.routing import websocket_urlpatterns

websockets = AuthMiddlewareStack(URLRouter(websocket_urlpatterns))
