"""What `manage.py doctor` looks at. Each check answers with a finding, whatever happens."""

from __future__ import annotations

import errno
import socket
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from agents.speech.engines import NONE, EngineChoice
from agents.speech.errors import EngineMissingError
from telephony.call.errors import CallError
from telephony.media.errors import CodecUnavailableError
from telephony.media.opus import library_name
from telephony.selectors import phones_to_call
from voiceapp.adapters.bus_client import request_sync
from voiceapp.adapters.encryption import Keyring
from voiceapp.adapters.spool import SpoolFile, damaged_spools
from voiceapp.bootstrap import engine_choices
from voiceapp.configuration import Address, Configuration, ConfigurationError
from voiceapp.ipv6 import beside, opened, refusal

NODE_ANSWERS_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: `ok`, what was found, and what to do if it is not as it should be."""

    name: str
    ok: bool
    found: str
    remedy: str = ""


def examine(configuration: Configuration) -> list[Finding]:
    """All checks, in the order in which a start needs them."""
    checks: tuple[Callable[[Configuration], Iterator[Finding]], ...] = (
        _data_folder,
        _database,
        _secrets,
        _spools,
        _ports,
        trunk_findings,
        _extensions,
        _codecs,
        _engines,
    )
    findings: list[Finding] = []
    for check in checks:
        try:
            findings.extend(check(configuration))
        except Exception as error:  # noqa: BLE001 - a check that breaks is itself a finding
            name = check.__name__.strip("_").replace("_", " ")
            findings.append(Finding(name, ok=False, found=f"{type(error).__name__}: {error}"))
    return findings


def _data_folder(configuration: Configuration) -> Iterator[Finding]:
    folder = configuration.data
    if not folder.is_dir():
        yield Finding("data folder", False, f"{folder} is not there", "run `make setup`")
        return
    mode = stat.S_IMODE(folder.stat().st_mode)
    private = not mode & 0o077
    remedy = "" if private else f"chmod 700 {folder}"
    yield Finding("data folder", private, f"{folder}, mode {mode:o}", remedy)


def _database(configuration: Configuration) -> Iterator[Finding]:
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        remedy = "start the database, or correct VOICEAPP_DATABASE_URL"
        yield Finding("database", False, f"it does not answer: {error}", remedy)
        return
    yield Finding("database", True, f"{connection.vendor} answers")
    remedy = "python manage.py migrate" if missing else ""
    found = f"{len(missing)} to apply" if missing else "all applied"
    yield Finding("migrations", not missing, found, remedy)


def _secrets(configuration: Configuration) -> Iterator[Finding]:
    folder = configuration.data_key.parent
    files = sorted(folder.glob("*.key")) if folder.is_dir() else []
    opened = [file.name for file in files if stat.S_IMODE(file.stat().st_mode) & 0o077]
    if opened:
        remedy = f"chmod 600 {folder}/*.key"
        yield Finding("secrets", False, f"others can read {', '.join(opened)}", remedy)
    else:
        yield Finding("secrets", True, f"{len(files)} keys" if files else "made at first use")


def _spools(configuration: Configuration) -> Iterator[Finding]:
    files = sorted(configuration.spool.glob("*.db"))
    if not files:
        yield Finding("spool", True, "none yet")
    for path in files:
        yield _spool(path, configuration)
    for path in damaged_spools(configuration.spool):
        remedy = "keep it for a person to look at, then move it out of the folder"
        yield Finding("spool", False, f"{path.name} was set aside as damaged", remedy)


def _spool(path: Path, configuration: Configuration) -> Finding:
    spool = SpoolFile.attach(path, Keyring.load(configuration.data_key))
    try:
        faults = [row for row in spool.rows_after(0, 1000) if row.record is None]
    finally:
        spool.close()
    if faults:
        remedy = "see “Rejected events” in the admin"
        return Finding("spool", False, f"{path.name}: {len(faults)} rows unreadable", remedy)
    return Finding("spool", True, f"{path.name} is readable")


def _ports(configuration: Configuration) -> Iterator[Finding]:
    ours = _health_of("node1", configuration) is not None
    wanted = [
        ("HTTP", configuration.http, socket.SOCK_STREAM, "VOICEAPP_HTTP"),
        ("SIP over UDP", configuration.sip, socket.SOCK_DGRAM, "VOICEAPP_SIP"),
        ("SIP over TCP", configuration.sip, socket.SOCK_STREAM, "VOICEAPP_SIP"),
    ]
    if configuration.sip_tls is not None:
        wanted.append(
            ("SIP over TLS", configuration.sip_tls, socket.SOCK_STREAM, "VOICEAPP_SIP_TLS")
        )
    first = Address(configuration.sip.host, configuration.rtp_ports.first)
    wanted.append(("RTP", first, socket.SOCK_DGRAM, "VOICEAPP_RTP_PORTS"))
    for name, address, kind, variable in wanted:
        yield _port(name, address, variable, refusal(address, kind), ours=ours)
        sixth = None if variable == "VOICEAPP_HTTP" else beside(configuration, address)
        if sixth is not None:
            error = refusal(sixth, kind, beside=True)
            yield _port(f"{name}, IPv6", sixth, "VOICEAPP_IPV6", error, ours=ours)
    try:
        opened(configuration)
    except ConfigurationError as fault:
        yield Finding("public address", False, str(fault), "correct VOICEAPP_PUBLIC_ADDRESS")


def _health_of(node: str, configuration: Configuration) -> Mapping[str, Any] | None:
    """What a running node says of itself; None if it does not answer."""
    try:
        answer = request_sync(configuration.run, node, "node.health", {}, NODE_ANSWERS_S)
    except (CallError, OSError):
        return None
    return dict(answer["health"])


def trunk_findings(configuration: Configuration) -> Iterator[Finding]:
    """As the nodes see them; nothing while none is running, or where there is no trunk."""
    for number in range(1, configuration.media_nodes + 1):
        node = f"node{number}"
        health = _health_of(node, configuration)
        for name, trunk in (health or {}).get("trunks", {}).items():
            where = f", {node}" if configuration.media_nodes > 1 else ""
            yield _trunk(f"trunk {name}{where}", trunk)


def _trunk(name: str, trunk: Mapping[str, Any]) -> Finding:
    state, error = trunk["state"], trunk["last_error"]
    said = f"{state}, {trunk['calls']} calls" + (f", {error}" if error else "")
    if state in {"down", "failed"} or error == "dns":
        remedy = "check host, transport and password in the admin (“Trunks”), and the carrier"
        return Finding(name, False, said, remedy)
    return Finding(name, True, said)


def _extensions(configuration: Configuration) -> Iterator[Finding]:
    """Phones that cannot log in, and a registrar without phones; nothing where neither is wanted."""
    count = len(phones_to_call())
    if count and not configuration.registrar:
        remedy = "set VOICEAPP_REGISTRAR=1, or turn them off in the admin (“Extensions”)"
        yield Finding("extensions", False, f"{count} set up, but no phone can log in", remedy)
    elif count:
        yield Finding("extensions", True, f"{count} set up, phones may log in")
    elif configuration.registrar:
        remedy = "add them in the admin (“Extensions”), or leave VOICEAPP_REGISTRAR out"
        yield Finding("extensions", True, "phones may log in, but none is set up", remedy)


def _port(
    name: str, address: Address, variable: str, error: OSError | None, *, ours: bool
) -> Finding:
    if error is not None:
        return _taken(f"port {name}", address, variable, error, ours=ours)
    return Finding(f"port {name}", True, f"{address} is free")


def _taken(name: str, address: Address, variable: str, error: OSError, *, ours: bool) -> Finding:
    if error.errno == errno.EADDRINUSE and ours:
        return Finding(name, True, f"{address} is in use, and we are running")
    if error.errno == errno.EADDRINUSE:
        remedy = f"stop the program that holds it, or set {variable}"
        return Finding(name, False, f"{address} is in use by another program", remedy)
    if error.errno == errno.EAFNOSUPPORT and variable == "VOICEAPP_IPV6":
        return Finding(name, False, f"{address}: this machine has no IPv6", f"set {variable}=off")
    remedy = f"set {variable} to an address of this machine and a port you may open"
    return Finding(name, False, f"{address}: {error.strerror}", remedy)


def _codecs(configuration: Configuration) -> Iterator[Finding]:
    try:
        name = library_name()
    except CodecUnavailableError as error:
        yield Finding("codec Opus", False, str(error), "apt-get install libopus0")
        return
    bundled = "av.libs" in Path(name).parts
    found = f"{Path(name).name} inside PyAV" if bundled else f"{name} of the system"
    yield Finding("codec Opus", True, found)


def _engines(configuration: Configuration) -> Iterator[Finding]:
    if configuration.engines == "fake":
        yield Finding("speech engines", True, "fake ones are set; callers hear tones")
        return
    try:
        choices = engine_choices(configuration)
    except EngineMissingError as error:
        yield Finding("speech engines", False, str(error), "correct the settings that name it")
        return
    names = {"stt": "recogniser", "tts": "voice", "llm": "language model"}
    for choice in choices:
        yield _engine(names[choice.kind], choice)


def _engine(name: str, choice: EngineChoice) -> Finding:
    """A second choice runs, so it is no fault, but what would be better is said."""
    found = f"{choice.name}, {choice.why}"
    ok = choice.name != NONE or not choice.degraded
    return Finding(name, ok, found, "; ".join(why for _, why in choice.refused))
