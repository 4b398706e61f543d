"""A tab of the desk as its WebSocket: logged in, says hello, acknowledges what it gets."""

from __future__ import annotations

import json
from typing import Any

from channels.db import database_sync_to_async
from channels.testing import WebsocketCommunicator
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client

from voiceapp.routing import websockets

ALL = (
    "view_call",
    "listen_call",
    "take_over_call",
    "transfer_call",
    "end_call",
    "view_transcript",
    "view_pii",
)
HOST = (b"host", b"127.0.0.1:8000")
OWN_ORIGIN = (b"origin", b"http://127.0.0.1:8000")


def session_of(*permissions: str) -> tuple[str, Any]:
    """A login of a person with these permissions: session key and user."""
    user = get_user_model().objects.create_user("ravi")
    granted = Permission.objects.filter(
        content_type__app_label="telephony", codename__in=permissions
    )
    user.user_permissions.set(granted)
    client = Client()
    client.force_login(user)
    return client.cookies["sessionid"].value, user


class Page:
    """One open tab of the desk."""

    def __init__(self, session: str, headers: Any = (HOST, OWN_ORIGIN)) -> None:
        cookie = (b"cookie", f"sessionid={session}".encode())
        self.socket = WebsocketCommunicator(websockets, "/ws/supervisor/", [*headers, cookie])

    async def open(self, cursor: str = "") -> dict[str, Any]:
        """The first snapshot or frame."""
        assert (await self.socket.connect())[0]
        await self.say({"type": "hello", "v": "va.dash.1", "cursor": cursor})
        await self.until("welcome")
        return await self.next()

    async def say(self, message: Any) -> None:
        await self.socket.send_to(
            text_data=message if isinstance(message, str) else json.dumps(message)
        )

    async def next(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await self.socket.receive_from())
        if message.get("cursor"):
            await self.say({"type": "ack", "cursor": message["cursor"]})
        return message

    async def until(self, kind: str) -> dict[str, Any]:
        while (message := await self.next())["type"] != kind:
            pass
        return message

    async def command(
        self, name: str, call: str = "c1", id: str = "k1", **args: str
    ) -> dict[str, Any]:
        await self.say({"type": "cmd", "id": id, "call": call, "name": name, "args": args})
        return await self.until("result")

    async def closing_code(self) -> int:
        while (message := await self.socket.receive_output(2))["type"] != "websocket.close":
            pass
        return int(message["code"])


async def page_of(*permissions: str) -> Page:
    session, _ = await database_sync_to_async(session_of)(*permissions)
    return Page(session)


async def page_again() -> Page:
    def login() -> str:
        client = Client()
        client.force_login(get_user_model().objects.get(username="ravi"))
        return client.cookies["sessionid"].value

    return Page(await database_sync_to_async(login)())
