"""What a trunk lets its legs do: codecs, keys, digits, where media may come from."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from telephony.legs.info_digits import digit_of
from telephony.legs.sip_media import LegPolicy, UnacceptableOfferError, policy_of
from telephony.media.commands import SendDigits
from telephony.sdp.offer_answer import SrtpPolicy
from telephony.sip.events import (
    InfoReceived,
)
from telephony.trunks import Trunk
from tests.unit.test_legs_sip import Scene, sdp

# ------------------------------------------------------------------------------------------------ digits, refreshes


@pytest.mark.parametrize(
    ("kind", "body", "digit"),
    [
        ("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n", "5"),
        ("Application/DTMF-Relay; x=1", b"signal = #\n", "#"),
        ("application/dtmf-relay", b"Signal=11", "#"),
        ("application/dtmf", b" a ", "A"),
        ("application/dtmf", b"55", None),
        ("application/dtmf-relay", b"Duration=1", None),
        ("text/plain", b"5", None),
        ("application/dtmf", b"\xff", None),
    ],
)
def test_a_key_by_info_is_a_key(kind: str, body: bytes, digit: str | None) -> None:
    assert digit_of(kind, body) == digit
    scene = Scene(sdp())
    scene.leg.answer()
    scene.engine(InfoReceived, kind, body)


def test_digits_go_out_as_the_trunk_wants_them() -> None:
    scene = Scene(sdp())
    assert not scene.leg.send_digits("5")
    scene.leg.answer()
    assert scene.leg.send_digits("5#")
    assert scene.plane.last(SendDigits) == SendDigits(scene.leg.place.slot, "5#")

    info = Scene(sdp(), policy=LegPolicy(address="127.0.0.1", dtmf="info"))
    info.leg.answer()
    assert info.leg.send_digits("5#")
    sent = [verb[1:] for verb in info.session.done if verb[0] == "info"]
    assert [digit_of(kind, body) for kind, body in sent] == ["5", "#"]

    deaf = Scene(sdp(), policy=LegPolicy(address="127.0.0.1", dtmf="inband"))
    deaf.leg.answer()
    assert not deaf.leg.send_digits("5")
    assert deaf.started().parameters.inband_digits


# --------------------------------------------------------------------------------------------- what a trunk lets us do


def test_a_trunk_decides_codecs_keys_and_where_media_may_come_from() -> None:
    trunk = Trunk(
        name="carrier",
        codecs=("PCMA",),
        srtp="optional",
        advertised="203.0.113.9",
        media_networks=(ip_network("198.51.100.0/24"),),
    )
    policy = policy_of(trunk, ("127.0.0.1", ""), secure=True)
    assert (policy.address, [codec.name for codec in policy.codecs]) == ("203.0.113.9", ["PCMA"])
    assert policy.srtp is SrtpPolicy.OPTIONAL
    assert policy_of(trunk, ("127.0.0.1", ""), secure=False).srtp is SrtpPolicy.OFF
    scene = Scene(sdp(codec=8), policy=policy)
    scene.leg.answer()
    assert [str(net) for net in scene.started().parameters.media_networks] == ["198.51.100.0/24"]


def test_keys_are_not_sent_where_everybody_reads() -> None:
    with pytest.raises(UnacceptableOfferError):
        policy_of(Trunk(name="t", srtp="required"), ("127.0.0.1", ""), secure=False)
    insists = Trunk(name="t", srtp="required", srtp_without_tls=True)
    assert policy_of(insists, ("127.0.0.1", ""), secure=False).srtp is SrtpPolicy.REQUIRED
