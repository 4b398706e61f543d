"""Digest from the other side: whom we challenge, what we accept as proof, and what that costs."""

from collections import Counter

import pytest

from telephony.sip.auth import Challenge, Credentials
from telephony.sip.digest import ha1_of, parse_answer, response_of
from telephony.sip.doorkeeper import Doorkeeper
from telephony.sip.events import Answered, IncomingInvite, OptionsAnswered, Terminated
from telephony.sip.message import Request
from telephony.sip.session import EndKind, InviteOptions, Phase
from telephony.sip.uas_checks import Refusal
from tests.unit.sip_line import ALICE, ANSWER, BOB, Line, counting_ids
from tests.unit.sip_peer import Peer, request
from tests.unit.sip_proofs import SECRET, answered, challenged, client, ours, proof


class Users:
    """An `Authority` with one user."""

    def __init__(self, policy=None, algorithms=("SHA-256", "MD5")):
        self.challenge = policy or Challenge("gw.test", algorithms)
        self.asked = []

    def policy(self, request, flow):
        self.asked.append(request.method)
        return self.challenge

    def ha1(self, username, realm, algorithm):
        known = username == SECRET.username
        return ha1_of(algorithm, username, realm, SECRET.password) if known else None


def door():
    counters: Counter[str] = Counter()
    return Doorkeeper(counting_ids(), counters), counters


def ask(keeper, request, now=1000.0, asked=None, users=None):
    return keeper.check(request, asked or Challenge("gw.test"), users or Users(), now)


def prove(keeper, credentials=SECRET, *, now=1000.0, asked=None, uri="sip:b.test"):
    """A signing client that has seen a challenge of this keeper."""
    auth = client(credentials)
    refusal = ask(keeper, ours(uri=uri), now, asked)
    return auth, answered(auth, ours(uri=uri), challenged(*refusal.headers))


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256", "SHA-512-256"])
def test_who_knows_the_password_comes_in(algorithm):
    keeper, _ = door()
    asked = Challenge("gw.test", (algorithm,))
    auth, first = prove(keeper, asked=asked)

    assert ask(keeper, first, asked=asked) == "anna"
    assert ask(keeper, auth.sign(ours("BYE")), asked=asked) == "anna"
    assert proof(first).algorithm == algorithm


def test_each_algorithm_has_its_own_header_best_first():
    keeper, _ = door()
    refusal = ask(keeper, ours())

    assert refusal.status == 401
    assert [name for name, _ in refusal.headers] == ["WWW-Authenticate"] * 2
    assert "algorithm=SHA-256" in refusal.headers[0][1]
    assert "algorithm=MD5" in refusal.headers[1][1]
    assert 'qop="auth"' in refusal.headers[0][1]


def masked(refusal):
    """A challenge without what is new each time."""
    return [value.split('nonce="')[0] + value.split('",', 2)[2] for _, value in refusal.headers]


def test_unknown_user_and_wrong_password_get_the_same_reply():
    keeper, counters = door()
    _, unknown = prove(keeper, Credentials("nobody", "x"))
    _, wrong = prove(keeper, Credentials("anna", "x"))

    replies = [ask(keeper, unknown), ask(keeper, wrong)]

    assert masked(replies[0]) == masked(replies[1]) == masked(ask(keeper, ours()))
    assert "stale" not in replies[0].headers[0][1]
    assert counters == {"auth_failed": 2}


def test_a_request_cannot_be_replayed():
    keeper, counters = door()
    _, first = prove(keeper)
    ask(keeper, first)

    again = ask(keeper, first)

    assert isinstance(again, Refusal)
    assert "stale=true" in again.headers[0][1]
    assert counters == {"auth_stale": 1}


def test_counts_may_come_out_of_order_once_each():
    keeper, _ = door()
    auth, first = prove(keeper)
    later = [auth.sign(ours("INFO", cseq=n)) for n in range(2, 102)]
    ask(keeper, first)

    assert ask(keeper, later[50]) == "anna"
    assert ask(keeper, later[40]) == "anna"
    assert isinstance(ask(keeper, later[40]), Refusal)
    assert ask(keeper, later[99]) == "anna"
    assert isinstance(ask(keeper, later[5]), Refusal)  # too far behind to be told from a replay


def test_a_huge_count_costs_nothing_and_shuts_the_nonce():
    keeper, _ = door()
    auth, first = prove(keeper)
    given = proof(first)
    forged = first.headers.first("authorization").replace("nc=00000001", "nc=ffffffff")
    ha1 = ha1_of(given.algorithm, "anna", given.realm, SECRET.password)
    huge = parse_answer(forged)
    assert huge is not None
    forged = forged.replace(given.response, response_of(ha1, "INVITE", huge))

    assert ask(keeper, ours(extra=[("Authorization", forged)])) == "anna"
    assert isinstance(ask(keeper, auth.sign(ours())), Refusal)


def test_a_nonce_runs_out():
    keeper, _ = door()
    auth, first = prove(keeper)
    ask(keeper, first)

    late = ask(keeper, auth.sign(ours()), now=1301.0)
    fresh = answered(auth, auth.sign(ours()), challenged(*late.headers))

    assert "stale=true" in late.headers[0][1]
    assert ask(keeper, fresh, now=1301.0) == "anna"


def test_a_nonce_from_before_a_restart_is_stale_and_a_forged_one_helps_nobody():
    before, after = door()[0], Doorkeeper(counting_ids(500), Counter())
    _, right = prove(before)
    _, wrong = prove(before, Credentials("anna", "x"))

    assert "stale=true" in ask(after, right).headers[0][1]
    assert "stale" not in ask(after, wrong).headers[0][1]


def test_without_qop_a_nonce_is_good_for_one_request():
    keeper, _ = door()
    refusal = ask(keeper, ours())
    auth = client()
    old_style = [(name, value.replace(', qop="auth"', "")) for name, value in refusal.headers]
    first = answered(auth, ours(), challenged(*old_style))

    assert ask(keeper, first) == "anna"
    assert "stale=true" in ask(keeper, auth.sign(ours("BYE"))).headers[0][1]


def test_what_is_remembered_of_nonces_is_bounded_and_forgets_no_replay():
    keeper = Doorkeeper(counting_ids(), Counter(), most_nonces=64)
    _, oldest = prove(keeper, now=1000.0)
    ask(keeper, oldest, now=1000.0)
    for number in range(64):
        moment = 1000.001 + number / 1000
        _, other = prove(keeper, now=moment)
        assert ask(keeper, other, now=moment) == "anna"

    assert "stale=true" in ask(keeper, oldest, now=1005.0).headers[0][1]


def test_proof_for_one_number_does_not_call_another():
    keeper, _ = door()
    _, first = prove(keeper, uri="sip:100@b.test")
    moved = Request(first.headers, b"", "INVITE", "sip:100@10.0.0.1;transport=tcp")
    stolen = Request(first.headers, b"", "INVITE", "sip:00999@b.test")

    assert isinstance(ask(keeper, stolen), Refusal)
    assert ask(keeper, moved) == "anna"


@pytest.mark.parametrize(
    "value",
    ["Basic YTpi", 'Digest username="anna', "Digest", 'Digest username="anna", realm="other.test", '
     'nonce="n", uri="sip:b.test", response="0"', 'Digest username="anna", realm="gw.test", nonce="n", '
     'uri="sip:b.test", response="\xff\u20ac", algorithm=MD5', 'Digest username="anna", realm="gw.test", '
     'nonce="\udcff", uri="sip:b.test", response="0", algorithm=MD5'],
)  # fmt: skip
def test_odd_credentials_are_as_good_as_none(value):
    keeper, _ = door()

    refusal = ask(keeper, ours(extra=[("Authorization", value)]))

    assert refusal.status == 401
    assert "stale" not in refusal.headers[0][1]


def guarded(policy=None):
    line = Line()
    users = Users(policy)
    line.bob.authority = users
    return line, users


def test_a_call_with_credentials_is_challenged_once_and_its_user_known():
    line, users = guarded()
    mine = line.call(options=InviteOptions(credentials=SECRET))
    theirs = line.event("bob", IncomingInvite).session
    theirs.answer(ANSWER, line.now)
    line.deliver()
    mine.bye(line.now)
    line.deliver()

    assert theirs.username == "anna"
    assert line.event("alice", Answered).session is mine
    assert users.asked == ["INVITE", "INVITE"]  # neither ACK nor BYE
    assert line.count("SIP/2.0 401 Unauthorized") == 1
    assert theirs.phase is Phase.ENDED


def test_a_call_without_or_with_wrong_credentials_is_rejected():
    for options in (InviteOptions(), InviteOptions(credentials=Credentials("anna", "x"))):
        line, _ = guarded()
        line.call(options=options)

        cause = line.event("alice", Terminated).cause
        assert (cause.kind, cause.status) == (EndKind.REJECTED, 401)
        assert line.events("bob") == []


def test_who_is_to_be_dropped_hears_nothing():
    line, _ = guarded("drop")
    line.call()
    id = line.alice.options(
        "sip:192.0.2.20", from_="sip:p@192.0.2.10", flow=line.flow(ALICE, BOB), now=line.now
    )
    line.deliver()
    line.advance(33)

    assert {who for _, who, _ in line.sent} == {"alice"}
    assert OptionsAnswered(id, 408) in line.events("alice")
    assert line.bob.counters["dropped_by_policy"] > 1


def test_ack_and_cancel_are_never_challenged():
    peer = Peer()
    users = Users()
    peer.engine.authority = users
    [(_, challenge)] = peer.send(request())

    acked = peer.send(request("ACK", to_tag=challenge.to.tag))
    [(_, cancelled)] = peer.send(request("CANCEL"))

    assert challenge.status == 401
    assert acked == []
    assert cancelled.status == 481  # the challenge has left nothing behind that could be cancelled
    assert users.asked == ["INVITE"]


@pytest.mark.parametrize("method", ["REGISTER", "REFER", "SUBSCRIBE", "MESSAGE", "OPTIONS", "FOO"])
def test_everything_else_is(method):
    peer = Peer()
    peer.engine.authority = Users()

    [(_, reply)] = peer.send(request(method))

    assert reply.status == 401


def test_a_challenge_leaves_nothing_behind_and_is_not_repeated():
    peer = Peer()
    peer.engine.authority = Users()

    first, again = peer.send(request()), peer.send(request())
    peer.engine.timer(peer.now + 40)

    assert [reply.status for _, reply in (*first, *again)] == [401, 401]
    assert first[0][1].to.tag == again[0][1].to.tag
    assert peer.out() == []
    assert peer.engine.next_timer() is None


def test_proof_under_the_same_cseq_number_is_no_merged_request():
    peer = Peer()
    peer.engine.authority = Users()
    [(_, challenge)] = peer.send(request("OPTIONS"))
    auth = client()
    uri = "sip:desk@192.0.2.1"
    proved = answered(auth, ours("OPTIONS", uri=uri), challenge).headers.first("authorization")

    [(_, reply)] = peer.send(request("OPTIONS", branch="b2", extra=f"Authorization: {proved}\r\n"))

    assert reply.status == 200
