"""The supervisor of the product's processes: starts them, restarts one that dies, says when all are ready, ends them.

Media nodes, agent workers, web and shipper are processes of their own; the death of one is the business of that one
alone. What they write to stderr is in `<data>/log/<name>.log`; their ids are in `<data>/run/status.json`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import fcntl
import json
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TextIO

from voiceapp.adapters.bus_client import BusClient
from voiceapp.configuration import REPOSITORY, Address, Configuration
from voiceapp.ipv6 import beside, opened, refusal

STOP_S: Final = 4.5
"""From Ctrl-C to the end of the last process; what is left then is killed."""
READY_S: Final = 60.0
FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 10.0
STEADY_S: Final = 30.0
"""A process that lived this long is started again without a pause."""
LARGEST_LOG_BYTES: Final = 20 << 20
_PR_SET_PDEATHSIG: Final = 1
_POLL_S: Final = 0.05

Ready = Callable[[], Awaitable[bool]]


class StartError(Exception):
    """The product cannot start; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Program:
    """A process to keep alive. `ready` is asked until it says yes; `sockets` of a predecessor are removed first."""

    name: str
    argv: tuple[str, ...]
    ready: Ready
    sockets: tuple[Path, ...] = ()


@dataclass(slots=True)
class _Running:
    program: Program
    process: asyncio.subprocess.Process | None = None
    starts: int = 0
    is_ready: bool = False
    started_at: float = field(default=0.0)


class Supervisor:
    """Keeps the programs of one installation running until `stop`."""

    def __init__(self, configuration: Configuration, programs: tuple[Program, ...]) -> None:
        self._configuration = configuration
        self._running = [_Running(program) for program in programs]
        self._stopping = asyncio.Event()
        self._all_ready = asyncio.Event()
        self.status_file = configuration.run / "status.json"

    def stop(self) -> None:
        """Asks for the end; `run` returns when all processes are gone."""
        self._stopping.set()

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Runs until `stop`. Raises: StartError if not everything is ready in time."""
        try:
            async with asyncio.TaskGroup() as group:
                keepers = [group.create_task(self._keep(one)) for one in self._running]
                late = await self._late_after_start()
                if not (late or self._stopping.is_set()):
                    on_ready()
                    await self._stopping.wait()
                await self._end_all()
                for keeper in keepers:
                    keeper.cancel()
        finally:
            self._kill_leftovers()
            self.status_file.unlink(missing_ok=True)
        if late:
            where = self._configuration.data / "log"
            raise StartError(f"{', '.join(late)} did not become ready; see {where}.")

    async def _late_after_start(self) -> list[str]:
        """Names of programs that were not ready in time; none once all are, or after `stop`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READY_S):
                while not (self._stopping.is_set() or all(one.is_ready for one in self._running)):
                    await _either(self._all_ready, self._stopping)
                    self._all_ready.clear()
        if self._stopping.is_set():
            return []
        return [one.program.name for one in self._running if not one.is_ready]

    # ------------------------------------------------------------------------------- one process

    async def _keep(self, one: _Running) -> None:
        loop = asyncio.get_running_loop()
        pause = FIRST_PAUSE_S
        while not self._stopping.is_set():
            one.started_at = loop.time()
            try:
                how = f"ended ({_ending(await self._run_once(one))})"
            except (
                OSError
            ) as error:  # no memory or no file left: the others live, and it is tried again
                how = f"could not be started ({error.strerror})"
            if self._stopping.is_set():
                return
            _say(f"{one.program.name} {how}; starting it again")
            if loop.time() - one.started_at > STEADY_S:
                pause = FIRST_PAUSE_S
            await _wait(self._stopping, pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    async def _run_once(self, one: _Running) -> int:
        """From start to exit code. Raises: OSError."""
        one.process = process = await self._start(one.program)
        one.starts += 1
        self._write_status()
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(self._ask_until_ready(one))
            code = await process.wait()
            asking.cancel()
        one.is_ready = False
        self._write_status()
        return code

    async def _start(self, program: Program) -> asyncio.subprocess.Process:
        for path in program.sockets:
            path.unlink(missing_ok=True)
        with _log_file(self._configuration.data / "log", program.name) as output:
            return await asyncio.create_subprocess_exec(
                *program.argv,
                cwd=REPOSITORY,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for the supervisor, which ends the rest in order
                preexec_fn=_die_with_parent,
            )

    async def _ask_until_ready(self, one: _Running) -> None:
        while not await one.program.ready():
            await _wait(self._stopping, _POLL_S)
            if self._stopping.is_set():
                return
        one.is_ready = True
        self._write_status()
        self._all_ready.set()

    def _write_status(self) -> None:
        ready = all(one.is_ready for one in self._running)
        processes = {
            one.program.name: {
                "pid": one.process.pid if one.process else None,
                "starts": one.starts,
                "ready": one.is_ready,
            }
            for one in self._running
        }
        draft = self.status_file.with_suffix(".new")
        text = json.dumps({"ready": ready, "pid": os.getpid(), "processes": processes})
        try:
            draft.write_text(text)
            draft.replace(self.status_file)
        except OSError as error:  # a full disk is no reason to end calls
            _say(f"{self.status_file} could not be written ({error.strerror})")

    # ------------------------------------------------------------------------------- the end

    async def _end_all(self) -> None:
        """SIGTERM to all at once: media nodes end their calls with BYE while the rest goes."""
        self._stopping.set()
        for one in self._running:
            _signal(one.process, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                for one in self._running:
                    if one.process is not None:
                        await one.process.wait()
        self._kill_leftovers()
        for one in self._running:
            if one.process is not None:
                await one.process.wait()

    def _kill_leftovers(self) -> None:
        for one in self._running:
            if one.process is not None:
                # The group: a worker's speech engines go with it.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(one.process.pid, signal.SIGKILL)


def _signal(process: asyncio.subprocess.Process | None, number: signal.Signals) -> None:
    if process is not None and process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)


def _die_with_parent() -> None:
    """In the child before exec: a supervisor that is killed leaves nothing behind (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"code {code}"


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


async def _either(one: asyncio.Event, other: asyncio.Event) -> None:
    async with asyncio.TaskGroup() as group:
        waits = {group.create_task(one.wait()), group.create_task(other.wait())}
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()


@contextlib.contextmanager
def _log_file(folder: Path, name: str) -> Iterator[TextIO]:
    path = folder / f"{name}.log"
    if path.exists() and path.stat().st_size > LARGEST_LOG_BYTES:
        path.replace(folder / f"{name}.log.1")
    with path.open("a", encoding="utf-8") as file:
        yield file


# --------------------------------------------------------------------------------- what is started


def programs(configuration: Configuration) -> tuple[Program, ...]:
    """Media nodes, workers, web, shipper, and with a broker a Celery worker."""
    nodes = [f"node{i}" for i in range(1, configuration.media_nodes + 1)]
    bus = BusClient(configuration.run, nodes)
    python = sys.executable
    http = configuration.http

    async def node_ready(node: str) -> bool:
        with contextlib.suppress(Exception):
            answer = await bus.request(node, "node.health", {}, 1.0)
            return bool(answer["health"]["workers"])
        return False

    return (
        *(
            Program(
                node, (python, "-m", "voiceapp.bootstrap", "node", str(i)), _bound(node_ready, node)
            )
            for i, node in enumerate(nodes, 1)
        ),
        *(
            Program(
                f"worker{i}",
                (python, "-m", "voiceapp.bootstrap", "worker", str(i)),
                _bound(_exists, configuration.run / f"worker{i}.sock"),
                (configuration.run / f"worker{i}.sock",),
            )
            for i in range(1, configuration.agent_workers + 1)
        ),
        Program(
            "web",
            (
                # The access log would hold addresses of callers and of calls.
                *(python, "-m", "daphne", "--no-server-name", "--access-log", os.devnull),
                *("-b", http.host, "-p", str(http.port), "voiceapp.asgi:application"),
            ),
            _bound(_accepts_tcp, http),
        ),
        Program("shipper", (python, "manage.py", "shipper"), _bound(_always, None)),
        *([_celery(python)] if configuration.redis_url else []),
    )


def _celery(python: str) -> Program:
    worker = ("-A", "voiceapp.celery:application", "worker", "--concurrency", "1")
    argv = (python, "-m", "celery", *worker, "--loglevel", "WARNING")
    return Program("celery", argv, _bound(_always, None))


def _bound(ask: Callable[[Any], Awaitable[bool]], argument: Any) -> Ready:
    return lambda: ask(argument)


async def _always(nothing: None) -> bool:
    return True


async def _accepts_tcp(address: Address) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)
    try:
        _, writer = await asyncio.open_connection(host, address.port)
    except OSError:
        return False
    writer.close()
    return True


async def _exists(path: Path) -> bool:
    return os.access(path, os.F_OK)


# --------------------------------------------------------------------------------- before the start


def prepare_folders(configuration: Configuration) -> None:
    """Data, log and socket folders, for this user alone."""
    for folder in (configuration.data, configuration.run, configuration.data / "log"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)


@contextlib.contextmanager
def only_one(configuration: Configuration) -> Iterator[None]:
    """Holds the data folder for one supervisor. Raises: StartError."""
    with (configuration.run / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            folder = configuration.data
            raise StartError(f"It is running already with the data in {folder}.") from error
        yield


def check_addresses(configuration: Configuration) -> None:
    """Raises: StartError naming the setting whose address is taken or not of this machine; as `opened`."""
    opened(configuration)
    _check("VOICEAPP_HTTP", configuration.http, socket.SOCK_STREAM)
    for i in range(configuration.media_nodes):
        sip, tls = configuration.sip_of(i), configuration.sip_tls_of(i)
        _check_both(configuration, "VOICEAPP_SIP", sip, socket.SOCK_DGRAM, socket.SOCK_STREAM)
        if tls is not None:
            _check_both(configuration, "VOICEAPP_SIP_TLS", tls, socket.SOCK_STREAM)
    ports = configuration.rtp_ports
    for port in range(ports.first, ports.last + 1):
        address = Address(configuration.sip.host, port)
        sixth = beside(configuration, address)
        error = refusal(address, socket.SOCK_DGRAM)
        if error is None and sixth is not None:
            error, address = refusal(sixth, socket.SOCK_DGRAM, beside=True), sixth
        if error is not None:
            raise StartError(
                f"UDP port {port} of VOICEAPP_RTP_PORTS={ports} cannot be opened at {address.host}: another "
                f"program has it. Choose another range, for example VOICEAPP_RTP_PORTS={port + 100}-{port + 163}."
            )


def _check_both(
    configuration: Configuration, setting: str, address: Address, *kinds: socket.SocketKind
) -> None:
    _check(setting, address, *kinds)
    sixth = beside(configuration, address)
    if sixth is None:
        return
    for kind in kinds:
        if (error := refusal(sixth, kind, beside=True)) is not None:
            raise StartError(_in_words(sixth, error, "VOICEAPP_IPV6=off"))


def _check(setting: str, address: Address, *kinds: socket.SocketKind) -> None:
    for kind in kinds:
        error = refusal(address, kind)
        if error is not None:
            other = Address(address.host, address.port + 10)
            if error.errno == errno.EAFNOSUPPORT:
                other = Address("127.0.0.1", address.port)
            raise StartError(_in_words(address, error, f"{setting}={other}"))


def _in_words(address: Address, error: OSError, example: str) -> str:
    why = "another program has it, or it is not an address of this machine"
    if error.errno == errno.EAFNOSUPPORT:
        why = "this machine has no IPv6"
    return f"{address} cannot be opened: {why}. Choose another one, for example {example}."
