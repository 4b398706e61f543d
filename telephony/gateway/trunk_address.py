"""Whom we are to a trunk, and whom we call there: URIs, identities, credentials. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

from telephony.destinations import as_dialled
from telephony.gateway.user_to_user import write_user_to_user
from telephony.sip.auth import Credentials
from telephony.sip.message import HeaderPair
from telephony.trunks import Trunk

ANONYMOUS = '"Anonymous" <sip:anonymous@anonymous.invalid>'
"""RFC 3323 4.1.1.3: the From of a caller who is withheld."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Our name on the wire: a user part, and the address peers reach us at; `v6` is that for peers of IPv6."""

    address: str
    port: int
    user: str = "voice"
    v6: str = ""

    def towards(self, host: str) -> Identity:
        """The identity that a peer with this address can reach."""
        return replace(self, address=self.v6) if self.v6 and ":" in host else self

    def ours(self) -> str:
        """URI of this node, for requests that nobody in particular sends."""
        return f"sip:{self.user}@{self.host_port}"

    @property
    def host_port(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"


def bare_host(host: str) -> str:
    """A host of the trunk's table without its port; an IPv6 address keeps its brackets."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0] if host.count(":") == 1 else host


def credentials_of(trunk: Trunk) -> Credentials | None:
    """What answers the trunk's challenges; None if it has no password."""
    if not (trunk.username and trunk.password):
        return None
    return Credentials(trunk.username, trunk.password, (trunk.realm,) if trunk.realm else ())


def target_uri(dialled: str, host: str, trunk: Trunk) -> str:
    """The Request-URI of a call by the trunk; `dialled` is spelled as it wants it."""
    transport = "" if trunk.transport == "udp" else f";transport={trunk.transport}"
    return f"sip:{dialled.replace('#', '%23')}@{host}{transport}"


def public_uri(dialled: str, host: str) -> str:
    """The same number without how it is reached: for To and Refer-To."""
    return f"sip:{dialled.replace('#', '%23')}@{bare_host(host)}"


def caller_uri(caller_id: str, host: str, identity: Identity, trunk: Trunk) -> str:
    """Who calls: a number of the pool, or the trunk's own user. Registered users belong to the trunk's domain."""
    user = _as_spelled(caller_id, trunk) if caller_id else trunk.username or identity.user
    user, at, domain = user.partition("@")
    if at:
        return f"sip:{user}@{domain}"
    return f"sip:{user}@{bare_host(host) if trunk.register else identity.host_port}"


def shown_uri(caller: str, identity: Identity) -> str:
    """Whom a phone of ours shows: the caller's number or name, or nobody."""
    if not caller:
        return ANONYMOUS
    return f"sip:{quote(caller, safe='+*-_.!~')}@{identity.host_port}"


def identity_headers(
    caller: str, trunk: Trunk, extra: Sequence[HeaderPair]
) -> tuple[str, tuple[HeaderPair, ...]]:
    """From, and the headers that go with it: P-Asserted-Identity where the trunk wants it (RFC 3325).

    With `Privacy: id` among `extra` the From is anonymous; only the trunk is told who calls.
    """
    hidden = any(name.lower() == "privacy" and "none" not in value.lower() for name, value in extra)
    asserted = (("P-Asserted-Identity", f"<{caller}>"),) if trunk.send_pai else ()
    return (ANONYMOUS if hidden else caller), (*asserted, *extra)


def _as_spelled(number: str, trunk: Trunk) -> str:
    """A number of ours in the trunk's format; its prefix is for dialled numbers alone."""
    return as_dialled(number, replace(trunk, prefix=""))


def headers_of_variables(variables: Mapping[str, str]) -> tuple[HeaderPair, ...]:
    """Variables that belong on the wire: those named like a header, x-…, and the context of a transfer."""
    found = [(name, value) for name, value in variables.items() if is_header(name, value)]
    context = variables.get("user-to-user")
    if context:
        found.append(("User-to-User", write_user_to_user(context)))
    return tuple(found)


def is_header(name: str, value: str) -> bool:
    """Whether a variable goes out as a header: x-…; CR, LF and NUL never pass, nor does a name that is no token."""
    plain = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return plain and name.lower().startswith("x-") and value.isprintable()
