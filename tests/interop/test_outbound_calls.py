"""Calls that we place, by the running product: what the other side may do, what it hears, and what is noted of it."""

from __future__ import annotations

import json
import secrets
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from telephony.call.errors import RequestError
from tests.interop import sipp
from tests.interop.office import (
    CALLER_HZ,
    CARRIER,
    LOCKED,
    PAIR,
    Office,
    ToneParty,
    acked,
    answers,
    cancelled,
    invited,
    reply,
    sdp_of,
)
from tests.interop.phones import PASSWORD
from tests.interop.tones import loud_seconds
from voiceapp.try_call.audio import read_wav

pytestmark = pytest.mark.timeout(60)
NUMBER = "+4930123456"


def dialled(office: Office, number: str = NUMBER, **more: Any) -> str:
    """The call that is placed."""
    order = {"agent": "receptionist", "destination": number, "id": secrets.token_hex(4), **more}
    return str(office.product.ask("outbound.dial", **order)["call"])


def measured(office: Office, call: str) -> list[tuple[str, int, str]]:
    office.until_fact(call, "TrunkMeasured")
    return [
        (fact["trunk"], fact["status"], fact["cause"])
        for fact in office.facts(call, "TrunkMeasured")
    ]


def test_who_is_called_hears_the_agent(office: Office, tmp_path: Path) -> None:
    """As our caller ID, by the trunk's spelling of numbers; the time to the first ring is noted."""
    with ToneParty(CALLER_HZ, CARRIER) as callee:
        steps = (
            invited("INVITE sip:4930123456@", "From:[^\\r\\n]*4930999@", "X-Order: 17")
            + reply(100, "Trying")
            + sipp.pause(0.4)
            + reply(180, "Ringing")
            + sipp.pause(0.2)
            + reply(200, "OK", sdp_of(callee))
            + acked()
            + sipp.hung_up_on()
        )
        with office.party(tmp_path / "callee", steps, at=CARRIER, port=office.carrier) as phone:
            call = dialled(office, variables={"X-Order": "17"})
            office.product.until(callee.hears_voice, what="the agent's voice")
            office.end(call)
            result = phone.wait(10)

    assert result.code == 0, result.log
    assert measured(office, call) == [("carrier", 200, "normal")]
    fact = office.facts(call, "TrunkMeasured")[0]
    assert (fact["answered"], fact["codec"]) == (True, "PCMU")
    assert 390 < fact["pdd_ms"] < 590
    row = office.row(call)
    assert row["direction"] == "outbound"
    assert row["answered_us"] > row["started_us"]


def test_a_call_by_the_api_is_told_from_ringing_to_its_end(office: Office, tmp_path: Path) -> None:
    with ToneParty(CALLER_HZ, CARRIER) as callee:
        steps = invited() + answers(callee) + sipp.pause(1.0)
        steps += sipp.hung_up_on()
        with office.party(tmp_path / "callee", steps, at=CARRIER, port=office.carrier) as phone:
            status, placed = ask_api(office, {"destination": NUMBER, "agent": "receptionist"})
            call = placed["id"]
            office.product.until(callee.hears_voice, what="the agent's voice")
            office.end(call)
            result = phone.wait(10)

    assert status == 202
    assert result.code == 0, result.log
    assert measured(office, call) == [("carrier", 200, "normal")]


def test_destinations_and_caller_ids_that_are_not_allowed_are_refused(office: Office) -> None:
    status, answer = ask_api(office, {"destination": "+39123456789", "agent": "receptionist"})
    assert (status, answer["error"]["code"]) == (403, "destination")
    with pytest.raises(RequestError):
        dialled(office, caller_id="+4912345")


def test_a_busy_phone_ends_the_call_as_busy(office: Office, tmp_path: Path) -> None:
    steps = invited() + reply(486, "Busy Here") + acked()
    with office.party(tmp_path / "callee", steps, at=CARRIER, port=office.carrier) as phone:
        call = dialled(office)
        office.until_fact(call, "CallEnded", cause="busy")
        assert phone.wait(10).code == 0

    assert measured(office, call) == [("carrier", 486, "busy")]
    assert not office.facts(call, "LegConnected")


def test_a_phone_that_nobody_answers_is_cancelled(office: Office, tmp_path: Path) -> None:
    steps = invited() + reply(180, "Ringing") + cancelled()
    with office.party(tmp_path / "callee", steps, at=CARRIER, port=office.carrier) as phone:
        call = dialled(office, ring_s=5)
        office.until_fact(call, "LegRinging", early_media=False)
        office.until_fact(call, "CallEnded", cause="no_answer")
        result = phone.wait(10)

    assert result.code == 0, result.log
    [(_, status, cause)] = measured(office, call)
    assert (status, cause) == (487, "no_answer")


def test_who_hangs_up_while_it_rings_is_gone_at_once(office: Office, tmp_path: Path) -> None:
    steps = invited() + reply(180, "Ringing") + cancelled()
    with office.party(tmp_path / "callee", steps, at=CARRIER, port=office.carrier) as phone:
        call = dialled(office)
        office.until_fact(call, "LegRinging")
        office.end(call)
        result = phone.wait(10)

    assert result.code == 0, result.log
    assert office.row(call)["end_cause"] == "ended_by_supervisor"


def test_an_announcement_before_the_answer_is_no_answer(office: Office, tmp_path: Path) -> None:
    """183 with SDP: the agent keeps silent until the 200, and then speaks."""
    with ToneParty(CALLER_HZ, CARRIER) as callee:
        steps = (
            invited()
            + reply(183, "Session Progress", sdp_of(callee))
            + sipp.pause(1.5)
            + reply(200, "OK", sdp_of(callee))
            + acked()
            + sipp.hung_up_on()
        )
        with office.party(tmp_path / "callee", steps, at=CARRIER, port=office.carrier) as phone:
            call = dialled(office)
            office.until_fact(call, "LegRinging", early_media=True)
            assert not callee.hears_voice()
            office.until_fact(call, "LegConnected")
            office.product.until(callee.hears_voice, what="the agent's voice")
            office.end(call)
            result = phone.wait(10)

    assert result.code == 0, result.log
    kinds = [event["kind"] for event in office.product.events(call)]
    assert kinds.index("LegRinging") < kinds.index("LegConnected") < kinds.index("UtteranceStarted")


def test_a_trunk_that_asks_for_a_password_gets_its_digest(office: Office, tmp_path: Path) -> None:
    challenge = (
        'WWW-Authenticate: Digest realm="carrier.test",nonce="17",algorithm=MD5,qop="auth"\n'
    )
    with ToneParty(CALLER_HZ, LOCKED) as callee:
        steps = (
            '<recv request="INVITE"/>\n'
            + reply(401, "Unauthorized", more=challenge)
            + acked()
            + '<recv request="INVITE"><action>'
            f'<verifyauth assign_to="known" username="shop" password="{PASSWORD}"/>'
            '</action></recv>\n<nop next="1" test="known"/>\n'
            + reply(403, "Forbidden")
            + '<label id="1"/>\n'
            + answers(callee)
            + sipp.hung_up_on()
        )
        with office.party(tmp_path / "callee", steps, at=LOCKED, port=office.locked) as phone:
            call = dialled(office, "+33123456789")
            office.product.until(callee.hears_voice, what="the agent's voice")
            office.end(call)
            result = phone.wait(10)

    assert result.code == 0, result.log
    assert measured(office, call) == [("locked", 200, "normal")]


@pytest.mark.parametrize("first", ["refuses", "is silent"])
def test_the_second_host_takes_the_call_if_the_first_cannot(
    office: Office, tmp_path: Path, first: str
) -> None:
    """After a 503, or when nothing listens at the first host's port."""
    full = invited() + reply(503, "Service Unavailable") + acked()
    with ToneParty(CALLER_HZ, PAIR) as callee:
        steps = invited() + answers(callee) + sipp.hung_up_on()
        second = office.party(tmp_path / "second", steps, at=PAIR, port=office.pair[1])
        at_first = office.party(tmp_path / "first", full, at=PAIR, port=office.pair[0])
        with second as phone:
            if first == "refuses":
                with at_first:
                    call = dialled(office, "+43123456")
                    office.product.until(callee.hears_voice, what="the agent's voice")
            else:
                call = dialled(office, "+43123456")
                office.product.until(callee.hears_voice, what="the agent's voice")
            office.end(call)
            result = phone.wait(10)

    assert result.code == 0, result.log
    found = measured(office, call)
    assert found[-1] == ("pair", 200, "normal")
    assert len(found) == 2


def test_a_phone_of_ours_is_called_by_an_agent(office: Office, tmp_path: Path) -> None:
    """baresip as the callee: its recording has the agent's voice."""
    with office.phone(tmp_path / "phone", "200", CALLER_HZ) as phone:
        call = dialled(office, "200")
        phone.until("CALL_ESTABLISHED")
        phone.listen(4.0)
        office.end(call)
        phone.until("CALL_CLOSED")

    assert loud_seconds(read_wav(phone.recording(), 8000)) >= 2
    assert measured(office, call) == [("", 200, "normal")]
    assert np.isfinite(office.facts(call, "TrunkMeasured")[0]["pdd_ms"])


def ask_api(office: Office, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(
        f"{office.product.base}/api/calls",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {office.token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
