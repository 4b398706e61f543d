"""Requests above 1300 octets: by TCP under the same branch, and by UDP after all where there is no TCP."""

from telephony.sip.flow import Flow
from telephony.sip.oversize import LargeRequests

FLOW = Flow("udp", ("192.0.2.1", 5060), ("198.51.100.7", 5060))
TCP = Flow("tcp", ("192.0.2.1", 5060), ("198.51.100.7", 5060))


def request(branch: str, size: int = 1500, method: str = "INVITE") -> bytes:
    head = (
        f"{method} sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch={branch};rport\r\n\r\n"
    )
    return head.encode().ljust(size, b"x")


def by_tcp(data: bytes) -> bytes:
    return data.replace(b"SIP/2.0/UDP", b"SIP/2.0/TCP")


def test_a_small_request_and_any_response_stay_datagrams():
    large = LargeRequests()

    assert large.reroute(FLOW, request("z1", 1300), 0.0) is None
    assert (
        large.reroute(FLOW, b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch=z1\r\n".ljust(4000), 0.0)
        is None
    )


def test_a_large_request_goes_by_tcp_with_its_via_changed():
    data = request("z1", 1301)

    assert LargeRequests().reroute(FLOW, data, 0.0) == (TCP, by_tcp(data))


def test_a_repeat_by_timer_is_not_sent_again_and_ack_and_cancel_follow_the_invite():
    large = LargeRequests()
    data, ack = request("z1"), request("z1", 300, "ACK")
    large.reroute(FLOW, data, 0.0)

    assert large.reroute(FLOW, data, 0.5) == (TCP, b"")
    assert large.reroute(FLOW, ack, 1.0) == (TCP, by_tcp(ack))
    assert large.reroute(FLOW, request("z2", 300), 1.0) is None


def test_without_tcp_the_datagram_goes_after_all_and_the_next_one_at_once():
    large = LargeRequests()
    data, other = request("z1"), request("z2")
    large.reroute(FLOW, data, 0.0)

    assert large.failed(FLOW.remote, 1.0) == [(FLOW, data)]
    assert large.reroute(FLOW, data, 1.5) is None
    assert large.reroute(FLOW, other, 2.0) is None
    assert large.reroute(FLOW, other, 700.0) == (TCP, by_tcp(other))


def test_a_connection_lost_long_after_the_transaction_repeats_nothing():
    large = LargeRequests()
    large.reroute(FLOW, request("z1"), 0.0)

    assert large.failed(FLOW.remote, 100.0) == []


def test_a_lost_connection_to_somebody_else_changes_nothing():
    large = LargeRequests()

    assert large.failed(("203.0.113.1", 5060), 0.0) == []
    assert large.reroute(FLOW, request("z1"), 0.0) is not None


def test_memory_is_bounded():
    large = LargeRequests()

    for number in range(3_000):
        large.reroute(FLOW, request(f"z{number}"), 0.0)
        large.failed(("198.51.100.7", number), 0.0)

    assert len(large._sent) <= 1_000
    assert len(large._udp_only) <= 1_000


def test_what_went_by_a_connection_is_not_repeated_when_it_closes():
    large = LargeRequests()
    data = request("z1")
    large.reroute(FLOW, data, 0.0)

    large.forget(FLOW.remote)

    assert large.failed(FLOW.remote, 1.0) == []
    assert large.reroute(FLOW, data, 1.5) == (TCP, by_tcp(data))
