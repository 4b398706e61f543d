"""Kamailio as the trunk we register at: digest for REGISTER and INVITE, a call to our contact, its removal."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from telephony.sip.auth import Credentials
from telephony.sip.events import (
    Answered,
    IncomingInvite,
    RegistrationChanged,
    RegistrationState,
    Terminated,
)
from telephony.sip.flow import Transport
from telephony.sip.session import EndKind, InviteOptions
from tests.fakes.sip_end import End
from tests.interop.kamailio import Kamailio, kamailio
from tests.unit.sip_line import OFFER

pytestmark = pytest.mark.timeout(60)

CONFIG = """#!KAMAILIO
debug=1
log_stderror=yes
fork=yes
children=2
auto_aliases=no
listen=udp:127.0.0.1:{port}
listen=tcp:127.0.0.1:{port}
loadmodule "kex.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "siputils.so"
loadmodule "textops.so"
loadmodule "auth.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "ctl.so"
modparam("ctl", "binrpc", "unix:{folder}/ctl")
modparam("auth", "nonce_count", 1)
modparam("auth", "qop", "auth")
modparam("auth", "nonce_expire", 300)
modparam("registrar", "min_expires", 120)
modparam("registrar", "max_expires", 600)

request_route {{
  if (has_totag()) {{
    if (loose_route()) {{ t_relay(); exit; }}
    if (is_method("ACK")) {{ if (t_check_trans()) t_relay(); exit; }}
    sl_send_reply("404", "Not here"); exit;
  }}
  if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
  if (is_method("REGISTER")) {{
    if (!pv_www_authenticate("trunk.test", "open sesame", "0")) {{ www_challenge("trunk.test", "1"); exit; }}
    save("location"); exit;
  }}
  if (is_method("INVITE")) {{
    if (!pv_proxy_authenticate("trunk.test", "open sesame", "0")) {{ proxy_challenge("trunk.test", "1"); exit; }}
    consume_credentials();
    record_route();
    if (!lookup("location")) {{ sl_send_reply("404", "Nobody there"); exit; }}
    t_relay(); exit;
  }}
  sl_send_reply("405", "Not here");
}}
"""
SECRET = Credentials("bob", "open sesame", realms=("trunk.test",))


@pytest.fixture(scope="module")
def trunk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kamailio]:
    with kamailio(tmp_path_factory.mktemp("trunk"), [], CONFIG) as running:
        yield running


async def started() -> End:
    end = End()
    await end.transport.start()
    return end


def register(
    end: End, trunk: Kamailio, transport: Transport, credentials: Credentials = SECRET, **more
):
    registration = end.transport.engine.register(
        f"sip:{trunk.address}",
        aor=f"sip:bob@{trunk.address}",
        flow=end.transport.flow(transport, "127.0.0.1", trunk.port),
        now=end.transport.now(),
        credentials=credentials,
        **more,
    )
    end.transport.flush()
    return registration


async def state(end: End) -> RegistrationChanged:
    """The next one but REGISTERING."""
    while True:
        changed = await end.next(RegistrationChanged)
        if changed.state is not RegistrationState.REGISTERING:
            return changed


def dial(end: End, trunk: Kamailio, transport: Transport):
    session = end.transport.engine.invite(
        f"sip:bob@{trunk.address}",
        from_="sip:alice@alice.test",
        flow=end.transport.flow(transport, "127.0.0.1", trunk.port),
        sdp=OFFER,
        now=end.transport.now(),
        options=InviteOptions(credentials=SECRET),
    )
    end.transport.flush()
    return session


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_call_reaches_us_while_we_are_registered(trunk, transport):
    bob, alice = await started(), await started()
    registration = register(bob, trunk, transport)
    registered = await state(bob)

    session = dial(alice, trunk, transport)
    arrived = (await bob.next(IncomingInvite)).session
    await alice.next(Answered)
    session.bye(alice.transport.now())
    alice.transport.flush()
    ended = await bob.next(Terminated)
    registration.stop(bob.transport.now())
    bob.transport.flush()
    stopped = await state(bob)
    dial(alice, trunk, transport)
    refused = [await alice.next(Terminated), await alice.next(Terminated)][-1].cause

    assert registered.state is RegistrationState.REGISTERED
    assert (registered.expires_at or 0) - bob.transport.now() == pytest.approx(
        600, abs=20
    )  # its most
    assert arrived.request.uri.user == "bob"
    assert ended.cause.kind is EndKind.REMOTE
    assert stopped.state is RegistrationState.STOPPED
    assert (refused.kind, refused.status) == (EndKind.REJECTED, 404)
    await asyncio.gather(bob.transport.close(), alice.transport.close())


async def test_a_wrong_password_fails_and_is_not_tried_again_at_once(trunk):
    bob = await started()
    register(bob, trunk, "udp", Credentials("bob", "wrong"))
    failed = await state(bob)

    assert (failed.state, failed.status) == (RegistrationState.FAILED, 401)
    assert (failed.retry_at or 0) - bob.transport.now() > 20
    await bob.transport.close()
