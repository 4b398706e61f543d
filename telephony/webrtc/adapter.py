"""Which of aiortc and aioice is installed, and how far its insides are used. Decided once, at start.

Stage 2 (`TAP`): SRTP is unprotected and protected here, and plain RTP goes to and comes from the media plane. It needs
private names, known for the versions below. Stage 1 (`PUBLIC`): an unknown version; media by aiortc's public API, at
twice the cost and with its delay. Neither without the guard in front of DTLS (`telephony.webrtc.guard`): without it any
host that reaches the port can end a call's set-up, so browser calls are off.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.metadata import version
from typing import Any, Final

from aiortc import RTCDtlsTransport, RTCIceGatherer, RTCIceTransport, RTCRtpReceiver

from telephony.webrtc.certificate import current_certificate

log = logging.getLogger(__name__)

KNOWN_VERSIONS: Final = {("1.16", "0.13")}


class Stage(StrEnum):
    """How far aiortc's insides are used."""

    TAP = "tap"
    PUBLIC = "public"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Adapter:
    """`reason`: why it is not `TAP`, in words for the health page."""

    stage: Stage
    reason: str = ""


@cache
def adapter() -> Adapter:
    """What this node does; a warning is logged if it is not stage 2."""
    chosen = _choose()
    if chosen.stage is not Stage.TAP:
        log.warning("webrtc_degraded", extra={"stage": chosen.stage, "reason": chosen.reason})
    return chosen


def unavailable_reason() -> str | None:
    """Why browser calls are off on this node, in words for the health page; None if they are on."""
    found = adapter()
    return found.reason if found.stage is Stage.OFF else None


def _choose() -> Adapter:
    found = version("aiortc"), version("aioice")
    installed = f"aiortc {found[0]} with aioice {found[1]}"
    try:
        unguarded, untapped = _missing_names()
    except (AttributeError, TypeError) as error:
        return Adapter(Stage.OFF, f"{installed} is built otherwise: {type(error).__name__}")
    if unguarded:
        return Adapter(
            Stage.OFF, f"{installed} cannot be guarded or heard: no {', '.join(unguarded)}"
        )
    if untapped:
        return Adapter(Stage.PUBLIC, f"{installed} has no {', '.join(untapped)}")
    if tuple(".".join(v.split(".")[:2]) for v in found) not in KNOWN_VERSIONS:
        known = ", ".join(f"aiortc {a} with aioice {b}" for a, b in sorted(KNOWN_VERSIONS))
        return Adapter(Stage.PUBLIC, f"{installed} is not known here; use {known}")
    return Adapter(Stage.TAP)


def _missing_names() -> tuple[list[str], list[str]]:
    """Of the guard and of stage 1, and of the tap."""
    gatherer = RTCIceGatherer(iceServers=[])
    connection = getattr(gatherer, "_connection", None)
    dtls = RTCDtlsTransport(RTCIceTransport(gatherer), [current_certificate(0.0)])
    guard = (
        "_protocols", "_check_list", "_queue", "data_received", "check_state",
        "get_component_candidates", "ice_controlling",
    )  # fmt: skip
    tap: dict[Any, tuple[str, ...]] = {
        connection: ("_nominated",),
        dtls: ("_rx_srtp", "_tx_srtp", "_ssl", "_role", "_set_role", "_recv_next"),
    }
    listener = [] if hasattr(RTCRtpReceiver("audio", dtls), "_track") else ["_track"]
    return (
        [name for name in guard if not hasattr(connection, name)] + listener,
        [name for thing, names in tap.items() for name in names if not hasattr(thing, name)],
    )
