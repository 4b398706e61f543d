"""Requests to all media nodes of this machine, for processes without an event loop."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, Final

from telephony.call.errors import NodeUnreachableError, RequestError
from voiceapp.adapters.bus_client import request_sync
from voiceapp.configuration import load

TIMEOUT_S: Final = 3.0
HEALTH_TIMEOUT_S: Final = 0.5
"""A page waits for it."""


def request_every_node(name: str, args: Mapping[str, Any]) -> dict[str, str]:
    """The nodes that did not take it, each with the reason in words; empty if all did."""
    configuration = load()
    refusals: dict[str, str] = {}
    for number in range(1, configuration.media_nodes + 1):
        node = f"node{number}"
        try:
            request_sync(configuration.run, node, name, args, TIMEOUT_S)
        except NodeUnreachableError:
            refusals[node] = "not running"
        except TimeoutError:
            refusals[node] = "no answer"
        except RequestError as error:
            refusals[node] = error.text
    return refusals


def health_of_nodes() -> dict[str, Mapping[str, Any]]:
    """What each media node says of itself; one that does not answer at once is left out."""
    configuration = load()
    found: dict[str, Mapping[str, Any]] = {}
    for number in range(1, configuration.media_nodes + 1):
        node = f"node{number}"
        with contextlib.suppress(NodeUnreachableError, TimeoutError, RequestError):
            reply = request_sync(configuration.run, node, "node.health", {}, HEALTH_TIMEOUT_S)
            found[node] = reply["health"]
    return found
