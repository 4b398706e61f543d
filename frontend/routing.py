"""WebSocket addresses of the frontend; `voiceapp.routing` serves them behind the session."""

from __future__ import annotations

from django.urls import path

from frontend.consumers.supervisor import SupervisorSocket
from frontend.consumers.widget import WidgetSocket

websocket_urlpatterns = [
    path("ws/supervisor/", SupervisorSocket.as_asgi()),
    path("ws/widget/", WidgetSocket.as_asgi()),
]
