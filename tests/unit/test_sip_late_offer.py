"""INVITEs without a description, as PBXs send them: our offer in the 200, their answer in the ACK."""

from telephony.sip.events import IncomingInvite, InviteAcked, ReinviteAcked, ReinviteReceived
from tests.unit.sip_line import ANSWER, OFFER
from tests.unit.sip_peer import Peer, lines, request


def test_empty_invite_from_pbx_is_not_500():
    """Avaya, Genesys and CUBE leave the offer to us, and answer it in the ACK."""
    peer = Peer()
    trying = peer.send(request())
    invite = peer.event(IncomingInvite)

    invite.session.answer(OFFER, peer.now)
    [(_, ok)] = peer.out()
    peer.send(request("ACK", branch="ack", to_tag=ok.to.tag, body=ANSWER))

    assert lines(trying) == ["SIP/2.0 100 Trying"]
    assert invite.sdp is None
    assert (ok.status, ok.body) == (200, OFFER)
    assert peer.event(InviteAcked).sdp == ANSWER


def test_reinvite_right_after_the_answer_without_sdp_gets_our_offer():
    """CUBE asks again, empty, as soon as the call is up."""
    peer = Peer()
    session, tag = peer.answered()

    peer.send(request(branch="re", to_tag=tag, cseq=2))
    asked = peer.event(ReinviteReceived)
    session.accept_reinvite(OFFER, peer.now)
    [(_, ok)] = peer.out()
    peer.send(request("ACK", branch="ack2", to_tag=tag, cseq=2, body=ANSWER))

    assert asked.sdp is None
    assert ok.body == OFFER
    assert peer.event(ReinviteAcked).sdp == ANSWER
