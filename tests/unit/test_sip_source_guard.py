"""Who is heard: unknown sources, rates, bans and their end, and memory that a flood cannot fill."""

from telephony.sip.source_guard import GuardLimits, Source, SourceGuard, network_of, unit_of
from telephony.sip.suspicion import Suspicion

HOME = "192.0.2.1"
LIMITS = GuardLimits(faults=5, window_s=10.0, ban_s=60.0, remembered=100)


def guarded(source: Source, **limits) -> SourceGuard:
    return SourceGuard(table=lambda _: source, limits=GuardLimits(**limits) if limits else LIMITS)


def test_an_unknown_source_is_dropped_and_counted_by_its_network():
    guard = SourceGuard(table=lambda source: Source() if source == HOME else None)

    assert guard.admit(HOME, 0.0)
    assert not guard.admit("198.51.100.7", 0.0)
    assert not guard.admit("198.51.100.8", 0.0)
    assert not guard.admit("2001:db8:1:2::3", 0.0)
    assert guard.dropped == {"unknown_source": 3}
    assert guard.networks == {"198.51.100.0/24": 2, "2001:db8:1::/48": 1}


def test_a_scan_from_everywhere_costs_no_memory():
    guard = SourceGuard(table=lambda source: None, limits=LIMITS)

    for number in range(5_000):
        guard.admit(f"10.{number // 250}.{number % 250}.1", 0.0)

    assert sum(guard.networks.values()) == 5_000
    assert len(guard.networks) <= 1_001
    assert guard.networks["other"] > 0
    assert (len(guard._buckets), len(guard._known)) == (0, 100)


def test_a_source_over_its_rate_is_dropped_until_time_has_passed():
    guard = guarded(Source(per_second=10, burst=5))

    admitted = [guard.admit(HOME, 0.0) for _ in range(6)]
    other = guard.admit("192.0.2.2", 0.0)
    later = guard.admit(HOME, 0.1)

    assert admitted == [True] * 5 + [False]
    assert other
    assert later
    assert guard.dropped == {"over_rate": 1}


def test_each_source_has_the_rate_of_its_kind():
    kinds = {"192.0.2.1": Source("trunk", burst=10), "192.0.2.2": Source("extension", burst=2)}
    guard = SourceGuard(table=kinds.get)

    counts = {source: sum(guard.admit(source, 0.0) for _ in range(20)) for source in kinds}

    assert counts == {"192.0.2.1": 10, "192.0.2.2": 2}


def test_known_sources_beyond_the_limit_are_forgotten_oldest_first():
    guard = guarded(Source(per_second=0.001, burst=1))

    for number in range(30_000):
        guard.admit(f"192.0.{number // 250}.{number % 250}", float(number))

    assert len(guard._buckets) == 100
    assert not guard.admit("192.0.119.249", 30_000.0)


def test_too_many_faults_within_the_window_end_in_a_ban_that_expires():
    guard = guarded(Source())

    for _ in range(4):
        guard.fault(HOME, "unauthorized", 100.0)
    heard = guard.admit(HOME, 100.0)
    guard.fault(HOME, "refused", 100.0)

    assert heard
    assert not guard.admit(HOME, 100.0)
    assert [(ban.source, ban.reason) for ban in guard.bans(100.0)] == [(HOME, "refused")]
    assert not guard.admit(HOME, 159.9)
    assert guard.admit(HOME, 160.0)
    assert guard.bans(160.0) == ()
    assert guard.dropped == {"banned": 2}


def test_faults_that_come_slowly_end_in_no_ban():
    guard = guarded(Source())

    for number in range(100):
        guard.fault(HOME, "refused", number * 2.0)

    assert guard.bans(200.0) == ()
    assert guard.faults == {"refused": 100}


def test_a_right_digest_takes_back_the_challenge_before_it():
    guard = guarded(Source())

    for _ in range(100):
        guard.fault(HOME, "unauthorized", 1.0)
        guard.forgive(HOME)

    assert guard.bans(1.0) == ()


def test_a_trunk_is_not_banned_for_wrong_numbers_but_may_be_by_hand():
    guard = guarded(Source("trunk", bannable=False))

    for _ in range(100):
        guard.fault(HOME, "refused", 1.0)
    unharmed = guard.bans(1.0)
    guard.ban(HOME, 10.0, "operator", now=1.0)
    silenced = guard.admit(HOME, 2.0)

    assert unharmed == ()
    assert not silenced
    assert guard.admit(HOME, 11.0)


def test_faults_of_unknown_sources_are_no_reason_to_remember_them():
    guard = SourceGuard(table=lambda source: None)

    for number in range(1_000):
        guard.fault(f"10.0.0.{number % 256}", "malformed", 1.0)

    assert len(guard._faulty) == 0


def test_a_flood_of_bans_is_bounded():
    guard = guarded(Source())

    for number in range(1_000):
        guard.ban(f"10.0.{number // 250}.{number % 250}", 100.0, "operator", now=float(number))

    assert len(guard.bans(999.0)) == 100


def test_a_changed_table_is_asked_again_after_forget():
    table: dict[str, Source] = {}
    guard = SourceGuard(table=table.get)
    before = guard.admit(HOME, 0.0)
    table[HOME] = Source()

    still = guard.admit(HOME, 0.0)
    guard.forget()

    assert (before, still, guard.admit(HOME, 0.0)) == (False, False, True)


def test_the_network_of_what_is_no_address_is_other():
    assert network_of("nowhere") == "other"
    assert network_of("fe80::1%eth0") == "fe80::/48"


def reply(status: int, method: str = "REGISTER") -> bytes:
    return b"SIP/2.0 %d X\r\nVia: x\r\nCSeq: 7 %s\r\n\r\n" % (status, method.encode())


def test_answers_tell_the_guard_what_a_source_is_worth():
    guard = guarded(Source())
    suspicion = Suspicion(guard, guard.dropped)

    for status in (401, 404, 200, 481, 486):
        suspicion.begin(HOME)
        suspicion.sending(reply(status), HOME, 1.0)
        suspicion.sending(reply(403), "192.0.2.9", 1.0)
        suspicion.end(1.0)

    assert guard.faults == {"unauthorized": 1, "refused": 1}
    assert guard._faulty[HOME][0] == 1.0


def test_a_success_without_digest_forgives_nothing():
    guard = guarded(Source())
    suspicion = Suspicion(guard, guard.dropped)

    for _ in range(5):
        suspicion.begin(HOME)
        suspicion.sending(reply(401), HOME, 1.0)
        suspicion.sending(reply(200, "OPTIONS"), HOME, 1.0)
        suspicion.end(1.0)

    assert not guard.admit(HOME, 1.0)


def test_repeats_that_a_timer_sends_are_no_fault_of_the_peer():
    guard = guarded(Source())
    suspicion = Suspicion(guard, guard.dropped)

    for _ in range(10):
        suspicion.sending(reply(404, "INVITE"), HOME, 1.0)

    assert guard.faults == {}


def test_rubbish_that_gets_no_answer_counts_as_well():
    guard = guarded(Source())
    suspicion = Suspicion(guard, guard.dropped)

    suspicion.begin(HOME)
    guard.dropped["not_sip"] += 1
    suspicion.end(1.0)

    assert guard.faults == {"malformed": 1}


def test_a_host_of_ipv6_has_one_rate_from_all_addresses_of_its_link():
    guard = guarded(Source(per_second=10, burst=5))

    admitted = [guard.admit(f"2001:db8:1:2::{n:x}", 0.0) for n in range(6)]

    assert admitted == [True] * 5 + [False]
    assert guard.admit("2001:db8:1:3::1", 0.0)


def test_a_ban_of_an_ipv6_source_holds_for_its_link():
    guard = guarded(Source())

    for number in range(5):
        guard.fault(f"2001:db8:1:2::{number:x}", "malformed", 0.0)

    assert [ban.source for ban in guard.bans(0.0)] == ["2001:db8:1:2::/64"]
    assert not guard.admit("2001:db8:1:2::ffff", 1.0)
    assert guard.admit("2001:db8:1:3::1", 1.0)


LINK = {
    "2001:db8:1:2::1": Source("trunk", burst=10, bannable=False),
    "2001:db8:1:2::2": Source("extension", per_second=1, burst=2),
    "2001:db8:1:2::3": Source("extension", per_second=1, burst=2),
}
TRUNK, PHONE, OTHER_PHONE = LINK


def test_a_trunks_success_forgives_no_guess_of_a_phone_on_its_link():
    guard = SourceGuard(table=LINK.get, limits=LIMITS)

    for _ in range(5):
        guard.fault(PHONE, "unauthorized", 0.0)
        guard.forgive(TRUNK)

    assert not guard.admit(PHONE, 1.0)


def test_a_phone_with_a_wrong_password_does_not_silence_a_trunk_on_its_link():
    guard = SourceGuard(table=LINK.get, limits=LIMITS)

    for _ in range(5):
        guard.fault(PHONE, "unauthorized", 0.0)
    heard = [source for source in LINK if guard.admit(source, 1.0)]

    assert heard == [TRUNK]
    assert guard.dropped == {"banned": 2}


def test_a_ban_by_hand_holds_for_a_whole_link_with_its_trunk():
    guard = SourceGuard(table=LINK.get, limits=LIMITS)

    guard.ban(PHONE, 60.0, "operator", now=0.0)

    assert [source for source in LINK if guard.admit(source, 1.0)] == []


def test_phones_do_not_use_up_the_rate_of_a_trunk_on_their_link():
    guard = SourceGuard(table=LINK.get)

    phones = sum(guard.admit(source, 0.0) for source in (PHONE, OTHER_PHONE) * 5)
    trunk = sum(guard.admit(TRUNK, 0.0) for _ in range(20))

    assert (phones, trunk) == (2, 10)


def test_the_unit_of_an_address():
    found = [unit_of(one) for one in ("192.0.2.1", "2001:db8::1", "fe80::1%eth0", "x:y")]

    assert found == ["192.0.2.1", "2001:db8::/64", "fe80::/64", "x:y"]
