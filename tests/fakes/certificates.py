"""A small certification authority on disk, for TLS between loopback ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from telephony.sip.tls import TlsSettings
from telephony.sip.uri import ip_literal

FREE = ("127.0.0.1", 0)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def general_name(text: str) -> x509.GeneralName:
    if text.startswith("sip:"):
        return x509.UniformResourceIdentifier(text)
    if ip_literal(text):
        return x509.IPAddress(ip_address(text))
    return x509.DNSName(text)


class Authority:
    """`folder` gets its files. `issue(...)`: certificate and key of a peer, for these names."""

    def __init__(self, folder: Path, name: str = "Test CA") -> None:
        self._folder = folder
        self._name = _name(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = self._sign(self._name, self._key, [], authority=True)
        self.pem = self._certificate.public_bytes(serialization.Encoding.PEM).decode()
        self.file = folder / f"{name.replace(' ', '-')}.pem"
        self.file.write_text(self.pem)

    def issue(self, *names: str, common: str = "peer") -> tuple[str, str]:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(_name(common), key, list(names), authority=False)
        stem = f"{common}-{certificate.serial_number:x}"
        files = (self._folder / f"{stem}.pem", self._folder / f"{stem}.key")
        files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return str(files[0]), str(files[1])

    def settings(self, *names: str, **more: Any) -> TlsSettings:
        """Of a peer with a certificate of this authority, which trusts this authority alone."""
        certificate, key = self.issue(*names)
        settings = TlsSettings(bind=FREE, certificate=certificate, key=key, ca=str(self.file))
        return replace(settings, **more)

    def _sign(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, names: list[str], *, authority: bool
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if names:
            extension = x509.SubjectAlternativeName([general_name(one) for one in names])
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self._key, hashes.SHA256())
