"""TLS under SIP (RFC 3261 26, RFC 5922): whom a certificate stands for, and the layer between octets and octets.

`ssl` over memory: no socket and no clock in here. No ALPN, which some peers refuse; no renegotiation.
"""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from telephony.sip.errors import TlsError
from telephony.sip.flow import Address
from telephony.sip.uri import ip_literal

_READ_BYTES: Final = 1 << 16


def no_ca_of_its_own(name: str) -> str | None:
    """The rule where no peer has a CA of its own."""
    return None


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """TLS served at `bind` with this certificate chain and key (PEM files), which also are shown as a client.

    `ca`: a file of the CAs that vouch for peers (None: those of the system); `ca_of(name)`: PEM text of the CAs, or
    the self-signed certificate, that alone vouch for this one peer. `verify_peer`: clients must show a certificate
    too. `wildcards`: accept `*.example.com`, which RFC 5922 7.2 forbids and some carriers use.
    """

    bind: Address
    certificate: str
    key: str
    ca: str | None = None
    verify_peer: bool = False
    wildcards: bool = False
    ca_of: Callable[[str], str | None] = no_ca_of_its_own


class TlsContexts:
    """The contexts of one transport; without settings, that of a client without a certificate.

    Raises: OSError (`ssl.SSLError` is one) at once if a file cannot be read or is no certificate or key.
    """

    def __init__(self, settings: TlsSettings | None) -> None:
        self._settings = settings
        self._clients: dict[str | None, ssl.SSLContext] = {}
        self.server = self._make_server(settings) if settings is not None else None
        self.wildcards = settings is not None and settings.wildcards

    def client(self, name: str) -> ssl.SSLContext:
        """For a connection to the peer of this name. Raises: OSError if its own CA is no certificate."""
        pem = self._settings.ca_of(name) if self._settings is not None else None
        if pem not in self._clients:
            self._clients[pem] = self._make_client(pem)
        return self._clients[pem]

    def _make_server(self, settings: TlsSettings) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.load_cert_chain(settings.certificate, settings.key)
        if settings.verify_peer:
            context.verify_mode = ssl.CERT_REQUIRED
            self._load_authorities(context, ssl.Purpose.CLIENT_AUTH)
        return context

    def _make_client(self, pem: str | None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.check_hostname = False  # `TlsLayer` does: ssl knows no sip: URI in a certificate
        context.verify_mode = ssl.CERT_REQUIRED
        if pem is not None:
            context.load_verify_locations(cadata=pem)
        else:
            self._load_authorities(context, ssl.Purpose.SERVER_AUTH)
        if self._settings is not None:
            context.load_cert_chain(self._settings.certificate, self._settings.key)
        return context

    def _load_authorities(self, context: ssl.SSLContext, purpose: ssl.Purpose) -> None:
        if self._settings is not None and self._settings.ca is not None:
            context.load_verify_locations(self._settings.ca)
        else:
            context.load_default_certs(purpose)


class TlsLayer:
    """One end of one connection. `peer`: identities of its certificate, once `established`; () for none.

    `name`: whom a server's certificate must be for; None makes this end the server.
    """

    def __init__(self, contexts: TlsContexts, name: str | None) -> None:
        context = contexts.server if name is None else contexts.client(name)
        if context is None:
            raise TlsError("no certificate to serve TLS with")
        self._name = name
        self._wildcards = contexts.wildcards
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._in,
            self._out,
            server_side=name is None,
            server_hostname=None if name is None or ip_literal(name) else name,  # SNI
        )
        self._waiting = bytearray()  # written before the handshake was over
        self.established = False
        self.peer: tuple[str, ...] = ()

    @property
    def waiting(self) -> int:
        """Octets written that the handshake holds up."""
        return len(self._waiting)

    def start(self) -> None:
        """The first octets of a client become `outgoing()`."""
        self._handshake()

    def feed(self, data: bytes) -> bytes:
        """Octets from the socket in, octets for SIP out. Raises: TlsError, also at the peer's orderly end."""
        self._in.write(data)
        if not self.established:
            self._handshake()
        return self._read() if self.established else b""

    def write(self, data: bytes) -> None:
        """Octets of SIP in; `outgoing()` has them once the handshake is over."""
        if not self.established:
            self._waiting += data
        elif data:
            try:
                self._object.write(data)
            except ssl.SSLError:
                return  # broken by what came in: `feed` says so with the next octets, or the socket ends

    def outgoing(self) -> bytes:
        """Drain what the socket shall send; also after a `TlsError`, whose alert is in it."""
        return self._out.read()

    def close(self) -> None:
        """The orderly end: an alert in `outgoing()`. Safe to repeat."""
        try:
            self._object.unwrap()
        except (ssl.SSLError, ValueError):
            return  # it wants the peer's answer, which nobody waits for, or there never was a session

    def _handshake(self) -> None:
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return
        except ssl.SSLError as error:
            raise TlsError(f"handshake failed: {error.reason or 'no reason given'}") from error
        self.peer = identities(self._object.getpeercert() or {})
        if self._name is not None and not is_for(self._name, self.peer, wildcards=self._wildcards):
            raise TlsError("the certificate is for another name")
        self.established = True
        waiting, self._waiting = bytes(self._waiting), bytearray()
        self.write(waiting)

    def _read(self) -> bytes:
        found = bytearray()
        while True:
            try:
                part = self._object.read(_READ_BYTES)
            except ssl.SSLWantReadError:
                return bytes(found)
            except ssl.SSLError as error:
                if found:
                    return bytes(
                        found
                    )  # the same error comes again with the next octets, or the end
                raise TlsError(f"broken record: {error.reason or 'no reason given'}") from error
            if not part:
                return bytes(found)
            found += part


def identities(certificate: Mapping[str, Any]) -> tuple[str, ...]:
    """Domains and addresses a certificate stands for, lower case (RFC 5922 7.1): those of sip: URIs, else DNS names.

    The common name counts only where there is no subjectAltName at all. `certificate`: as `getpeercert()` gives it.
    """
    names: list[tuple[str, str]] = list(certificate.get("subjectAltName", ()))
    if not names:
        parts = (pair for group in certificate.get("subject", ()) for pair in group)
        return tuple(value.lower() for key, value in parts if key == "commonName")[:1]
    sip = [v[4:].lower() for k, v in names if k == "URI" and v[:4].lower() == "sip:"]
    domains = [value for value in sip if "@" not in value]
    if not domains:
        domains = [value.lower() for kind, value in names if kind == "DNS"]
    addresses = [ip_literal(value.strip()) or "" for kind, value in names if kind == "IP Address"]
    return (*domains, *addresses)


def is_for(name: str, peer: tuple[str, ...], *, wildcards: bool = False) -> bool:
    """Is one of these identities the peer that was asked for? No part of a name is enough (RFC 5922 7.2)."""
    wanted = (ip_literal(name) or name).lower().rstrip(".")
    if wanted in peer:
        return True
    _, _, parent = wanted.partition(".")
    return wildcards and "." in parent and ip_literal(name) is None and f"*.{parent}" in peer
