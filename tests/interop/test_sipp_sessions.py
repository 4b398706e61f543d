"""The session side of the SIP core against sipp: digest, reliable responses, early UPDATE, session timers.

No product runs here: one engine on a socket of its own, so that intervals can be seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from telephony.sip.auth import Credentials
from telephony.sip.core import EngineSettings
from telephony.sip.events import (
    Answered,
    IncomingInvite,
    InviteAcked,
    Provisional,
    ReinviteReceived,
    Terminated,
)
from telephony.sip.session import EndKind, InviteOptions
from tests.fakes.sip_end import End
from tests.ports import free_range
from tests.unit.sip_line import ANSWER

pytestmark = pytest.mark.timeout(60)

SDP = """v=0
o=sipp 1 {version} IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=audio 6000 RTP/AVP 0
"""
DIALOG = "[last_Via:]\n[last_From:]\n[last_To:]{tag}\n[last_Call-ID:]\n[last_CSeq:]\n"
CONTACT = "Contact: <sip:[local_ip]:[local_port]>\n"
ALLOW = "Allow: INVITE, ACK, BYE, CANCEL, PRACK, UPDATE, INFO\n"


def reply(status: str, more: str = "", *, tag: str = "", sdp: str = "", of: str = DIALOG) -> str:
    kind = "Content-Type: application/sdp\n" if sdp else ""
    head = f"SIP/2.0 {status}\n{of.format(tag=tag)}{CONTACT}{ALLOW}{more}{kind}"
    return f"<send><![CDATA[\n{head}Content-Length: [len]\n\n{sdp}]]></send>\n"


def act(actions: tuple[str, ...]) -> str:
    return f"<action>{''.join(actions)}</action>" if actions else ""


def receive(method: str, *actions: str) -> str:
    return f'<recv request="{method}">{act(actions)}</recv>\n'


def keep(header: str, variable: int) -> str:
    return f'<ereg regexp=".*" search_in="hdr" header="{header}:" assign_to="{variable}"/>'


def require(header: str, pattern: str, variable: int) -> str:
    found = f'search_in="hdr" header="{header}:" check_it="true"'
    return f'<ereg regexp="{pattern}" {found} assign_to="{variable}"/>'


@pytest.fixture
async def end() -> AsyncIterator[End]:
    found = End(engine=EngineSettings(min_se_s=2, session_expires_s=4))
    found.answers = False
    await found.transport.start()
    yield found
    await found.transport.close()


class Sipp:
    """One scenario of one call; `port` is where it listens."""

    def __init__(self, folder: Path, steps: str) -> None:
        self._scenario = folder / "scenario.xml"
        used = [str(n) for n in range(1, 7) if f'assign_to="{n}"' in steps]
        variables = f'<Reference variables="{",".join(used)}"/>'
        self._scenario.write_text(
            f'<?xml version="1.0"?>\n<scenario name="s">\n{steps}{variables}\n</scenario>\n'
        )
        self.port, self._media = free_range(2), free_range(4)
        self._process: Any = None

    async def start(self, *to: str) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *("sipp", *to, "-sf", str(self._scenario), "-i", "127.0.0.1", "-p", str(self.port)),
            *("-mi", "127.0.0.1", "-mp", str(self._media), "-m", "1", "-nostdin"),
            *("-timeout", "30", "-trace_err"),
            cwd=self._scenario.parent,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )

    async def finished(self) -> None:
        _, errors = await asyncio.wait_for(self._process.communicate(), 30)
        assert self._process.returncode == 0, errors.decode()[-2000:]


def challenging_phone() -> str:
    """Asks for a digest, rings reliably, answers early, is refreshed once, then never refreshes."""
    digest = 'WWW-Authenticate: Digest realm="sipp", nonce="n1", qop="auth", algorithm=MD5\n'
    wrong = '<nop><action><error message="bad digest"/></action></nop>'
    ok = "Via: [$2]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\nCSeq: 2 INVITE\n"
    timer = "Require: timer\nSession-Expires: 4;refresher={}\n"
    return (
        receive("INVITE")
        + reply("401 Unauthorized", digest, tag=";tag=x")
        + receive("ACK")
        + receive(
            "INVITE",
            keep("Via", 2),
            '<verifyauth assign_to="1" username="desk" password="secret"/>',
        )
        + f'<nop hide="true" test="1" next="good"/>{wrong}<label id="good"/>'
        + reply(
            "183 Session Progress",
            "Require: 100rel\nRSeq: 77\n",
            tag=";tag=one",
            sdp=SDP.format(version=1),
        )
        + receive("PRACK", require("RAck", "77 2 INVITE", 3))
        + reply("200 OK")
        + reply("200 OK", timer.format("uac"), of=ok)
        + receive("ACK")
        + receive("UPDATE", require("Session-Expires", "4;refresher=uac", 4))
        + reply("200 OK", timer.format("uas"))
        + receive("BYE")
        + reply("200 OK")
    )


async def test_our_call_proves_itself_acknowledges_rings_refreshes_and_expires(
    end: End, tmp_path: Path
) -> None:
    sipp = Sipp(tmp_path, challenging_phone())
    await sipp.start()
    await asyncio.sleep(0.5)  # sipp says nothing when it listens
    flow = end.transport.flow("udp", "127.0.0.1", sipp.port)

    session = end.transport.engine.invite(
        f"sip:desk@127.0.0.1:{sipp.port}",
        from_="sip:us@127.0.0.1",
        flow=flow,
        sdp=ANSWER,
        now=end.transport.now(),
        options=InviteOptions(Credentials("desk", "secret"), session_expires=4),
    )
    end.transport.flush()
    early = await end.next(Provisional)
    answered = await end.next(Answered)
    ended = await end.next(Terminated)
    await sipp.finished()

    assert early.sdp == answered.sdp
    assert early.sdp is not None
    assert b"m=audio 6000" in early.sdp
    assert ended.session is session
    assert (ended.cause.kind, ended.cause.reason) == (EndKind.TIMEOUT, "session timer")


NAMES = "From: <sip:sipp@127.0.0.1>;tag=[call_number]\nTo: <sip:desk@127.0.0.1>{tag}\n"


def send(method: str, cseq: int, more: str = "", sdp: str = "") -> str:
    uri = "[next_url]" if cseq > 1 else "sip:desk@[remote_ip]:[remote_port]"
    via = "Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]\n"
    kind = "Content-Type: application/sdp\n" if sdp else ""
    tag = "[peer_tag_param]" if cseq > 1 or method == "ACK" else ""
    return (
        f"<send><![CDATA[\n{method} {uri} SIP/2.0\n{via}{NAMES.format(tag=tag)}"
        f"Call-ID: [call_id]\nCSeq: {cseq} {method}\n{CONTACT}{ALLOW}Max-Forwards: 70\n"
        f"{more}{kind}Content-Length: [len]\n\n{sdp}]]></send>\n"
    )


def expect(status: int, *actions: str) -> str:
    return f'<recv response="{status}" rrs="true">{act(actions)}</recv>\n'


def updating_caller() -> str:
    """Changes its description between 183 and 200, and takes our refresh."""
    return (
        send("INVITE", 1, "Supported: 100rel, timer\n", SDP.format(version=1))
        + '<recv response="100" optional="true"/>\n'
        + expect(183, keep("RSeq", 2), require("Require", "100rel", 3))
        + send("PRACK", 2, "RAck: [$2] 1 INVITE\n")
        + expect(200)
        + send("UPDATE", 3, sdp=SDP.format(version=2))
        + expect(200)
        + expect(200, require("Session-Expires", "4;refresher=uas", 4))
        + send("ACK", 1).replace("sip:desk@[remote_ip]:[remote_port]", "[next_url]")
        + receive("UPDATE")
        + reply("200 OK", "Session-Expires: 4;refresher=uac\n")
        + send("BYE", 4)
        + expect(200)
    )


async def test_a_call_to_us_is_changed_before_its_answer(end: End, tmp_path: Path) -> None:
    sipp = Sipp(tmp_path, updating_caller())
    host, port = end.transport.address

    await sipp.start(f"{host}:{port}")
    invite = await end.next(IncomingInvite)
    invite.session.ring(end.transport.now(), status=183, sdp=ANSWER)
    end.transport.flush()
    changed = await end.next(ReinviteReceived)
    invite.session.accept_reinvite(ANSWER, end.transport.now())
    end.transport.flush()
    await asyncio.sleep(0.1)
    invite.session.answer(ANSWER, end.transport.now())
    end.transport.flush()
    await end.next(InviteAcked)
    ended = await end.next(Terminated)
    await sipp.finished()

    assert b"o=sipp 1 2" in (changed.sdp or b"")
    assert ended.cause.kind is EndKind.REMOTE
