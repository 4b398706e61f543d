"""Places a call on a media node and follows it to its end: what `manage.py dial` does."""

from __future__ import annotations

import asyncio
import secrets
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from frontend.presenters.outcome import CALLER, present_outcome
from telephony.call.errors import NodeUnreachableError, RequestError
from voiceapp.adapters.bus_client import BusClient, request_sync

DIAL_TIMEOUT_S: Final = 10.0
REQUEST_TIMEOUT_S: Final = 3.0
US: Final = 1_000_000

Say = Callable[[float, str], None]
"""(seconds since the call was placed, what happened)."""


class DialError(Exception):
    """The call could not be placed; the text says why."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A call that was taken. `cursor`: where the node's messages stood before it."""

    run: Path
    node: str
    call: str
    cursor: str


def place(run: Path, node: str, order: Mapping[str, Any]) -> Placed:
    """Asks the node. Raises: DialError with its reason."""
    ask = partial(request_sync, run, node)
    try:
        cursor = ask("calls.rows", {}, REQUEST_TIMEOUT_S)["cursor"]
        arguments = {**order, "id": f"cli-{secrets.token_hex(8)}"}
        reply = ask("outbound.dial", arguments, DIAL_TIMEOUT_S)
    except NodeUnreachableError as error:
        raise DialError(f"{node} is not running; `make run` starts it.") from error
    except TimeoutError as error:
        raise DialError(f"{node} does not answer.") from error
    except RequestError as error:
        raise DialError(f"{error.text} ({error.code})") from error
    return Placed(run, node, str(reply["call"]), str(cursor))


async def follow(placed: Placed, who: str, say: Say) -> dict[str, Any]:
    """Tells what happens until the call has ended; an interrupt (Ctrl-C) ends it.

    Returns: its outcome. Raises: DialError if the node is gone.
    """
    client = BusClient(placed.run, [placed.node])
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, stop.set)
    hang_up = loop.create_task(_hang_up(client, placed, who, stop), name="hang-up")
    try:
        return await _Progress(client, placed, who, say).run()
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        hang_up.cancel()
        await asyncio.wait({hang_up})


async def _hang_up(client: BusClient, placed: Placed, who: str, stop: asyncio.Event) -> None:
    await stop.wait()
    arguments = {"call": placed.call, "who": who, "id": f"end-{secrets.token_hex(4)}"}
    try:
        await client.request(placed.node, "desk.end", arguments, REQUEST_TIMEOUT_S)
    except (RequestError, NodeUnreachableError, TimeoutError):
        return  # it has ended already, or the node has: whoever follows the call tells


class _Progress:
    """The events of one call, each once, in their order."""

    def __init__(self, client: BusClient, placed: Placed, who: str, say: Say) -> None:
        self._client = client
        self._placed = placed
        self._who = who
        self._say = say
        self._events: list[Mapping[str, Any]] = []

    async def run(self) -> dict[str, Any]:
        """Raises: DialError if the node lost the call."""
        await self._catch_up()
        messages = self._client.subscribe(self._placed.cursor)
        while not self._has_ended:
            message = await anext(messages)
            if message.topic == "gap":
                await self._catch_up()
            elif message.topic == "event" and message.body["call"] == self._placed.call:
                await self._take(message.body)
        await messages.aclose()
        return present_outcome(self._placed.call, self._events)

    @property
    def _has_ended(self) -> bool:
        return any(event["kind"] == "CallEnded" for event in self._events)

    async def _take(self, event: Mapping[str, Any]) -> None:
        if event["seq"] == len(self._events) + 1:
            self._add(event)
        elif event["seq"] > len(self._events):
            await self._catch_up()

    async def _catch_up(self) -> None:
        arguments = {"call": self._placed.call, "since": len(self._events)}
        try:
            answer = await self._client.request(
                self._placed.node, "calls.events", arguments, REQUEST_TIMEOUT_S
            )
        except (RequestError, NodeUnreachableError, TimeoutError) as error:
            text = f"{self._placed.node} knows nothing of the call any more."
            raise DialError(text) from error
        for event in answer["events"]:
            self._add(event)

    def _add(self, event: Mapping[str, Any]) -> None:
        self._events.append(event)
        words = _words(event, self._who)
        if words:
            since = (int(event["at_us"]) - int(self._events[0]["at_us"])) / US
            self._say(since, words)


def _words(event: Mapping[str, Any], who: str) -> str:
    """`who`: whose order the call is."""
    body = event.get("event") or {}
    match event["kind"]:
        case "CallStarted":
            return "dialling"
        case "LegRinging":
            return "ringing, with audio" if body.get("early_media") else "ringing"
        case "LegConnected" if body.get("leg") == CALLER:
            return f"answered ({body.get('codec')})"
        case "TrunkMeasured" if not body.get("answered"):
            trunk = body.get("trunk") or "the phone"
            return f"{trunk} said {body.get('status')} {body.get('cause')}"
        case "CallEnded" if body.get("who") == who:
            return "ended: hung up here"
        case "CallEnded" if body.get("who"):
            return f"ended: hung up by {body['who']} at the desk"
        case "CallEnded" if body.get("cause") == "caller_hung_up":
            return "ended: the person called hung up"
        case "CallEnded":
            return f"ended: {str(body.get('cause')).replace('_', ' ')} (by {body.get('by')})"
        case _:
            return ""
