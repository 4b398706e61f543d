"""Two media nodes on one machine: ports of their own, and one that drains while the other takes calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.contract.trunk_plan import NUMBER, health, load, trunk
from tests.fakes.carrier import running_carrier
from tests.fakes.node import running_node
from tests.ports import free_range


def settings() -> dict[str, Any]:
    rtp = free_range(32)
    return {
        "VOICEAPP_SIP": f"127.0.0.1:{free_range(2)}",
        "VOICEAPP_RTP_PORTS": f"{rtp}-{rtp + 31}",
        "VOICEAPP_MEDIA_NODES": "2",
    }


async def test_each_node_has_its_ports_and_drains_alone(tmp_path: Path) -> None:
    both = settings()
    async with (
        running_node(tmp_path, {"seconds": 30}, **both) as one,
        running_node(tmp_path, {"seconds": 30}, number=2, **both) as two,
        running_carrier() as carrier,
    ):
        assert two.sip.port == one.sip.port + 1
        for node in (one, two):
            await load(node, trunk(carrier))
            carrier.call(NUMBER, node.sip.port)
        await carrier.until(lambda: len(carrier.answered) == 2)
        assert [(await health(node))["calls"] for node in (one, two)] == [1, 1]

        await one.ask("node.drain", on=True)
        carrier.call(NUMBER, one.sip.port)
        carrier.call(NUMBER, two.sip.port)
        await carrier.until(lambda: len(carrier.answered) == 3 and carrier.ended)
        assert carrier.ended[0].status == 503
        assert [(await health(node))["calls"] for node in (one, two)] == [1, 2]
        carrier.hang_up()
        await carrier.until(lambda: len(carrier.ended) == 4)
