"""The media node process: SIP, media plane, browser legs, calls. No ORM, no speech engine, no model in here.

`serve` runs until SIGTERM or SIGINT, then drains: calls end with BYE, peer connections close, and the process is gone
within five seconds.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import secrets
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Final

from telephony.admission import Admission
from telephony.call.effects import Limits
from telephony.call.errors import RequestError
from telephony.call.ids import CALLER, CallId, LegId
from telephony.call.registry import CallRegistry
from telephony.call.session import SessionPorts
from telephony.call.timers import LoopScheduler, TimerSet
from telephony.gateway.browser import BrowserGateway
from telephony.gateway.desk import DeskGateway
from telephony.gateway.outbound import OutboundGateway
from telephony.gateway.requests import NodeControls, NodeRequests
from telephony.gateway.resume import ResumeTokens
from telephony.gateway.switchboard import Switchboard
from telephony.legs.webrtc_leg import WebRtcLeg
from telephony.media.parameters import MediaSettings
from telephony.media.plane import MediaPlane
from telephony.webrtc.adapter import unavailable_reason
from telephony.webrtc.peer import PeerSettings
from voiceapp.configuration import Configuration
from voiceapp.ipv6 import WILDCARD_V4, WILDCARD_V6
from voiceapp.node_load import NodeLoad
from voiceapp.node_parts import NodeParts, ports_of
from voiceapp.node_sip import NodeSip, SipParts

log = logging.getLogger(__name__)

SWITCH_INTERVAL_S: Final = 0.0005
HEALTH_S: Final = 5.0
MEDIA_WATCH_S: Final = 0.5
STOP_S: Final = 3.0
_SPARE: Final = 16
GC_THRESHOLDS: Final = (700, 10, 100)
"""A full collection stops all threads, audio too, for tens of milliseconds with many calls: so a tenth as often as by default."""


class MediaNode:
    """One node: builds its parts in `__init__`, opens sockets in `serve`."""

    def __init__(
        self, configuration: Configuration, node: str, index: int, parts: NodeParts
    ) -> None:
        self._configuration = configuration
        self._node = node
        self._parts = parts
        self._ports = ports_of(configuration, index)
        self.ready = asyncio.Event()
        self._stopping = asyncio.Event()
        self._group: asyncio.TaskGroup | None = None
        loop = asyncio.get_running_loop()
        self._scheduler = LoopScheduler(loop)
        self._timers = TimerSet(self._scheduler)
        self._plane = MediaPlane(self._media_settings(), tap=parts.tap)
        self._load = NodeLoad(
            Admission(max_cps=float(configuration.max_cps)),
            self._plane,
            self._scheduler,
            max_calls=configuration.max_calls,
            agent_places=lambda: parts.brains.calls,
            calls=lambda: len(self._registry),
            agent_calls=lambda: self._registry.agent_calls,
        )
        self._registry = CallRegistry(
            SessionPorts(
                log=parts.log,
                scheduler=self._scheduler,
                publish=parts.bus.publish,
                node=node,
                limits=Limits(resume_s=float(configuration.resume_s)),
            ),
            admit=self._load.refusal,
            opened=self._load.taken,
            new_id=lambda: CallId(f"c-{secrets.token_hex(8)}"),
        )
        self._board = Switchboard(
            self._registry, self._plane, self._scheduler, parts.make_participant
        )
        self._sip = NodeSip(
            configuration,
            self._ports,
            SipParts(
                board=self._board,
                scheduler=self._scheduler,
                spawn=self._spawn,
                call_refusal=lambda: self._registry.refusal(agent=False),
                options_refusal=lambda: self._load.unavailable(len(self._registry)),
                usage=configuration.data / f"{node}.usage.json",
            ),
        )
        self._requests = self._make_requests()

    def _media_settings(self) -> MediaSettings:
        calls = self._configuration.max_calls + _SPARE
        sixth, everywhere = self._ports.sip_v6, self._ports.sip.host == WILDCARD_V6
        return MediaSettings(
            bind_address=WILDCARD_V4 if everywhere else self._ports.sip.host,
            bind_v6=WILDCARD_V6 if everywhere else sixth.host if sixth is not None else "",
            rtp_ports=self._ports.rtp,
            rtp_capacity=_multiple_of_4(calls),
            packet_capacity=_multiple_of_4(2 * calls),
            voice_capacity=_multiple_of_4(2 * calls),
        )

    def _make_requests(self) -> NodeRequests:
        settings = PeerSettings(
            addresses=self._configuration.webrtc_addresses,
            ice_servers=self._configuration.ice_servers,
        )

        def make_leg(leg: LegId) -> WebRtcLeg:
            return WebRtcLeg(leg, self._plane, settings, self._scheduler, self._spawn)

        tokens = ResumeTokens(
            lambda: secrets.token_urlsafe(24), float(self._configuration.resume_s)
        )
        browser = BrowserGateway(self._board, partial(make_leg, CALLER), tokens, self._scheduler)
        desk = DeskGateway(self._board, make_leg, _new_desk_leg, self._sip.transfers)
        controls = NodeControls(
            self.health,
            self._drain,
            self._parts.check_definition,
            self._sip.take_plan,
            self._parts.open_secret,
        )
        parts = self._parts
        return NodeRequests(parts.bus, parts.log, self._board, browser, desk, controls)

    # ------------------------------------------------------------------------------- life

    async def serve(self) -> None:
        """Runs the node until it is told to stop. Raises: OSError if an address is taken."""
        loop = asyncio.get_running_loop()
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signal_number, self.stop)
        async with asyncio.TaskGroup() as self._group:
            brains = self._group.create_task(self._parts.brains.run(), name="brains")
            await self._start(loop)
            self.ready.set()
            log.info(
                "media_node_ready", extra={"node": self._node, "sip_port": self._ports.sip.port}
            )
            await self._stopping.wait()
            await self._stop()
            brains.cancel()

    def stop(self) -> None:
        """Begins the end, as SIGTERM does."""
        self._stopping.set()

    async def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._parts.log.start()
        self._registry.end_unfinished(self._parts.log.unfinished())
        self._plane.start(loop, self._board.deliver)
        self._load_snapshot()
        self._requests.bind()
        OutboundGateway(self._board, self._sip.dialler.dial).bind(self._parts.bus)
        await self._sip.start()
        await self._parts.bus.start()
        self._load.start()
        self._publish_health()
        self._watch_media()
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)

    async def _stop(self) -> None:
        log.info("media_node_stopping", extra={"node": self._node, "calls": len(self._registry)})
        self._timers.close()
        self._load.close()
        self._drain(on=True)
        await self._registry.end_all("node_stopped", STOP_S)
        await self._sip.close()
        await self._parts.bus.close()
        self._plane.stop()
        self._parts.log.close()

    def _spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        if self._group is None or (self._stopping.is_set() and self._group is None):
            work.close()
            return
        self._group.create_task(self._guarded(name, work), name=name)

    async def _guarded(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """A fault of one leg's task must not end the process's group."""
        try:
            await work
        except Exception:
            log.exception("task_failed", extra={"task": name})

    def _load_snapshot(self) -> None:
        """The last published configuration; without one, calls get 404 until `config.load`."""
        try:
            text = self._configuration.snapshot.read_text(encoding="utf-8")
            self._requests.load(json.loads(text))
        except FileNotFoundError:
            log.info("no_snapshot_yet")
        except (OSError, ValueError, RequestError) as error:
            log.error("snapshot_refused", extra={"reason": str(error)})

    def _drain(self, on: bool) -> None:
        self._load.admission.draining = on

    # ------------------------------------------------------------------------------- health

    def health(self) -> Mapping[str, Any]:
        """What the node says of itself (docs/wire.md, topic `node`)."""
        stats = self._plane.stats()
        return {
            "calls": len(self._registry),
            "max_calls": self._load.max_calls,
            "draining": self._load.admission.draining,
            "overloaded": self._load.admission.overloaded,
            "media": {
                "alive": self._plane.alive,
                "prioritised": self._plane.prioritised,
                "late_p99_ms": round(stats.late_p99_ms, 2),
                "overruns": stats.counters.overruns,
                "unsent": stats.counters.unsent,
            },
            "browser_calls": unavailable_reason() or "ok",
            "log": self._parts.log.trouble or "ok",
            "workers": self._parts.brains.ready,
            "brain": dict(self._parts.brains.counters),
            "revision": self._board.plan.revision,
            "load": self._load.health(),
            "sip": self._sip.health(),
            "trunks": self._sip.trunks(),
            "extensions": self._sip.extensions(),
            "pid": os.getpid(),
        }

    def _publish_health(self) -> None:
        self._parts.bus.publish("node", {"node": self._node, "health": self.health()})
        self._timers.set("health", HEALTH_S, self._publish_health)

    def _watch_media(self) -> None:
        """Without its media thread a node is silent: its calls are ended in words, and the supervisor starts another."""
        if self._plane.alive:
            self._timers.set("media", MEDIA_WATCH_S, self._watch_media)
        else:
            log.error("media_lost", extra={"node": self._node, "calls": len(self._registry)})
            self.stop()


def _new_desk_leg() -> LegId:
    return LegId(f"desk-{secrets.token_hex(4)}")


def _multiple_of_4(number: int) -> int:
    return number + -number % 4


def run_loop(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs a node's main: short turns for other threads, so that none of them holds the media thread up."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    asyncio.run(main())
