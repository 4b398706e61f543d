"""Dialogs (RFC 3261 12): identifiers, route set, target, sequence numbers; where the next request goes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from telephony.sip.flow import Flow
from telephony.sip.headers import parse_name_addr
from telephony.sip.message import HeaderPair, Request, Response
from telephony.sip.uri import Uri, ip_literal, parse_uri

DEFAULT_PORT = 5060
DEFAULT_TLS_PORT = 5061
_KEPT: Final[dict[str, type | tuple[type, ...]]] = {
    "call_id": str, "local_tag": str, "remote_tag": str, "local": str, "remote": str, "target": str,
    "local_cseq": int, "remote_cseq": (int, type(None)), "behind_nat": bool,
}  # fmt: skip


@dataclass(slots=True, repr=False)
class Dialog:
    """One dialog. `local` and `remote` are the From and To values we send, `routes` in the order we send them."""

    call_id: str
    local_tag: str
    remote_tag: str
    local: str
    remote: str
    target: str
    routes: tuple[str, ...]
    flow: Flow
    local_cseq: int = 0
    remote_cseq: int | None = None
    behind_nat: bool = False

    @classmethod
    def from_invite(cls, request: Request, local_tag: str, flow: Flow) -> "Dialog":
        """As UAS (RFC 3261 12.1.1). Without a Contact (RFC 2543 peers) the From URI is the target."""
        target = _contact_of(request) or str(request.from_.uri)
        via = request.via
        return cls(
            call_id=request.call_id,
            local_tag=local_tag,
            remote_tag=request.from_.tag,
            local=f"{request.headers.first('to')};tag={local_tag}",
            remote=request.headers.first("from") or "",
            target=target,
            routes=request.record_routes,
            flow=flow,
            remote_cseq=request.cseq.number,
            behind_nat=via.host != flow.remote[0]
            and ip_literal(via.host) not in (None, flow.remote[0]),
        )

    @classmethod
    def from_response(cls, request: Request, response: Response, flow: Flow) -> "Dialog":
        """As UAC (RFC 3261 12.1.2)."""
        return cls(
            call_id=request.call_id,
            local_tag=request.from_.tag,
            remote_tag=response.to.tag,
            local=request.headers.first("from") or "",
            remote=response.headers.first("to") or "",
            target=_contact_of(response) or request.uri_text,
            routes=tuple(reversed(response.record_routes)),
            flow=flow,
            local_cseq=request.cseq.number,
            behind_nat=_is_sent_elsewhere(request, flow),
        )

    def confirm(self, response: Response) -> None:
        """The 2xx of an early dialog: its route set and target hold from now on (RFC 3261 13.2.2.4)."""
        self.routes = tuple(reversed(response.record_routes))
        self.remote = response.headers.first("to") or self.remote
        self.refresh_target(response)

    def snapshot(self) -> dict[str, Any]:
        """JSON types only; `restored` reads it."""
        kept = {name: getattr(self, name) for name in _KEPT}
        flow = {
            "transport": self.flow.transport,
            "local": list(self.flow.local),
            "remote": list(self.flow.remote),
            "name": self.flow.name,
        }
        return {**kept, "routes": list(self.routes), "flow": flow}

    @classmethod
    def restored(cls, data: Mapping[str, Any]) -> "Dialog":
        """The connection of a stream is gone with the process: the flow asks for a new one.

        Raises:
            KeyError, TypeError, ValueError: it is no snapshot.
        """
        flow = data["flow"]
        local, remote = ((str(host), int(port)) for host, port in (flow["local"], flow["remote"]))
        values = {name: data[name] for name in _KEPT}
        if not all(isinstance(values[name], kind) for name, kind in _KEPT.items()):
            raise TypeError("a field of another type")
        return cls(
            **values,
            routes=tuple(str(route) for route in data["routes"]),
            flow=Flow(flow["transport"], local, remote, name=str(flow["name"])),
        )

    def next_cseq(self) -> int:
        self.local_cseq += 1
        return self.local_cseq

    def refresh_target(self, message: Request | Response) -> None:
        """Take over the Contact of a target refresh (RFC 3261 12.2)."""
        self.target = _contact_of(message) or self.target

    def routing(self) -> tuple[str, list[HeaderPair]]:
        """Request-URI and Route headers (RFC 3261 12.2.1.1), strict routers included."""
        if not self.routes:
            return self.target, []
        first = parse_name_addr(self.routes[0]).uri
        if first.param("lr") is not None:
            return self.target, [("Route", route) for route in self.routes]
        rest = (*self.routes[1:], f"<{self.target}>")
        return str(replace(first, headers="")), [("Route", route) for route in rest]

    def next_flow(self) -> Flow:
        """Where the next request goes; names are not resolved here, they keep the flow of the dialog."""
        if self.flow.reliable or (self.behind_nat and not self.routes):
            return self.flow  # RFC 5923: the connection they opened; NAT: only the mapping works
        return flow_towards(self._next_hop, self.flow)

    def flow_lost(self, flow: Flow) -> None:
        """A connection is gone: if it was ours, the next request opens one to the proxy, or to the target itself."""
        if flow.reliable and self.flow == flow:
            self.flow = flow_towards(self._next_hop, replace(flow, connection=0))

    @property
    def _next_hop(self) -> Uri:
        return parse_name_addr(self.routes[0]).uri if self.routes else parse_uri(self.target)


def _contact_of(message: Request | Response) -> str:
    """As a Request-URI, which has no headers (RFC 3261 19.1.1, table 1); "" without one."""
    if not message.contacts:
        return ""
    uri = message.contacts[0].uri
    return str(replace(uri, headers="") if uri.headers else uri)


def _is_sent_elsewhere(invite: Request, flow: Flow) -> bool:
    """If an INVITE of ours went where its URI does not say: by the NAT mapping of a registered phone."""
    address = ip_literal(invite.uri.host)
    said = (address, invite.uri.port or DEFAULT_PORT)
    return address is not None and said != flow.remote and not invite.headers.all("route")


def flow_towards(hop: Uri, base: Flow) -> Flow:
    """The flow to an IP literal from the local side of `base`; `base` itself for a host name."""
    address = ip_literal(hop.host)
    if address is None:
        return base
    asked = (hop.param("transport") or "").lower()
    secure = asked == "tls" or hop.scheme == "sips" or (not asked and base.transport == "tls")
    transport = "tls" if secure else "tcp" if asked == "tcp" else base.transport
    remote = (address, hop.port or (DEFAULT_TLS_PORT if secure else DEFAULT_PORT))
    if (transport, remote) == (base.transport, base.remote):
        return base
    return replace(base, transport=transport, remote=remote, connection=0)
