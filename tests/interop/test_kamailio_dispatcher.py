"""Kamailio in front of two media nodes: calls on both, in-dialog requests by Record-Route, a node taken out to drain."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.interop import sipp
from tests.interop.kamailio import Kamailio, kamailio
from tests.running_product import RunningProduct, running_product
from voiceapp.try_call.caller import Caller
from voiceapp.try_call.phone import PhoneLine

pytestmark = pytest.mark.timeout(90)

NODES = ("node1", "node2")
IN_USE, TAKEN_OUT = "AP", "IP"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProduct]:
    folder = tmp_path_factory.mktemp("cluster")
    with running_product(folder, VOICEAPP_MEDIA_NODES="2") as running:
        yield running


@pytest.fixture(scope="module")
def proxy(cluster: RunningProduct, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kamailio]:
    with kamailio(
        tmp_path_factory.mktemp("kamailio"), [f"127.0.0.1:{p}" for p in ports(cluster)]
    ) as running:
        running.until(dict.fromkeys(ports(cluster), IN_USE))
        yield running


@pytest.fixture
def user() -> str:
    return f"lb{secrets.token_hex(3)}"


def ports(cluster: RunningProduct) -> list[int]:
    return [cluster.configuration.sip_of(index).port for index in range(len(NODES))]


def calls_of(cluster: RunningProduct, user: str) -> list[int]:
    """How many calls of this caller each node had."""
    return [sum(row["caller"] == user for row in cluster.rows(node)) for node in NODES]


def steps(user: str) -> str:
    return (
        sipp.invite(user)
        + sipp.answered(user, sipp.ROUTES)
        + sipp.pause(0.5)
        + sipp.hang_up(user, 2, sipp.ROUTES)
    )


def many(
    proxy: Kamailio, cluster: RunningProduct, folder: Path, user: str, count: int
) -> sipp.Sipp:
    options = ("-m", str(count), "-r", "5", "-l", "6")
    return sipp.call(cluster, folder, steps(user), to=proxy.address, options=options)


def test_calls_go_to_both_nodes_and_end_by_the_route_that_was_recorded(
    cluster: RunningProduct, proxy: Kamailio, tmp_path: Path, user: str
) -> None:
    result = many(proxy, cluster, tmp_path, user, 12)

    assert result.code == 0, result.log
    assert calls_of(cluster, user) == [6, 6]
    causes = {
        row["end_cause"] for node in NODES for row in cluster.rows(node) if row["caller"] == user
    }
    assert causes == {"caller_hung_up"}


async def test_callers_through_the_proxy_hear_the_agent(
    cluster: RunningProduct, proxy: Kamailio, user: str
) -> None:
    callers = [Caller([], 8000) for _ in NODES]

    async with asyncio.TaskGroup() as group:
        for caller in callers:
            group.create_task(PhoneLine(f"sip:demo@{proxy.address}", caller, user=user).hold())

    assert await asyncio.to_thread(calls_of, cluster, user) == [1, 1]
    for caller in callers:
        heard = caller.recording.samples().astype(np.float64)
        seconds = heard[: len(heard) // 8000 * 8000].reshape(-1, 8000)
        assert (np.sqrt((seconds**2).mean(axis=1)) > 300).sum() >= 3


def test_a_draining_node_is_taken_out_within_two_pings_and_comes_back(
    cluster: RunningProduct, proxy: Kamailio, tmp_path: Path, user: str
) -> None:
    first, second = ports(cluster)
    staying = sipp.start_sipp(
        cluster, tmp_path, steps(user).replace('"500"/>', '"5000"/>'), to=proxy.address
    )
    cluster.until(lambda: sum(calls_of(cluster, user)) == 1, 10.0, "the call that is up")
    drained = NODES[calls_of(cluster, user).index(1)]
    try:
        cluster.ask("node.drain", node=drained, on=True)
        states = {first: IN_USE, second: IN_USE} | {ports(cluster)[NODES.index(drained)]: TAKEN_OUT}
        seconds = proxy.until(states)
        later = f"later{user}"
        (tmp_path / "later").mkdir()
        result = many(proxy, cluster, tmp_path / "later", later, 4)
    finally:
        cluster.ask("node.drain", node=drained, on=False)

    assert seconds < 3.0
    assert result.code == 0, result.log
    assert calls_of(cluster, later)[NODES.index(drained)] == 0
    assert staying.wait(20.0).code == 0  # the call on the draining node went on to its own end
    proxy.until({first: IN_USE, second: IN_USE})


def test_sipsak_is_answered_by_the_proxy_and_by_a_node(
    cluster: RunningProduct, proxy: Kamailio
) -> None:
    for address in (proxy.address, str(cluster.configuration.sip)):
        result = subprocess.run(
            ["sipsak", "-v", "-s", f"sip:{address}"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
        assert result.returncode == 0, result.stdout
        assert "SIP/2.0 200 OK" in result.stdout
