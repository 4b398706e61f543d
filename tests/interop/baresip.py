"""baresip as the caller, over its control socket: netstrings of JSON (`ctrl_tcp`)."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tests.ports import free_ports, free_range

CONFIG = """sip_listen {written}:{sip}
audio_player aubridge,x
audio_source aufile,{source}
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
rtp_ports {rtp}-{rtp_end}
net_interface {at}
module_path {modules}
module g711.so
module g722.so
module opus.so
module aubridge.so
module aufile.so
module sndfile.so
module srtp.so
module ctrl_tcp.so
snd_path {folder}
module_tmp uuid.so
module_tmp account.so
module_app menu.so
module_app debug_cmd.so
ctrl_tcp_listen 127.0.0.1:{control}
"""
LOCAL = "<sip:bob@{written}:{sip};transport=udp>;regint=0;audio_codecs=PCMU/8000/1;ptime=20"
"""Calls whom it likes, and is called at its own port."""


class Baresip:
    """A running phone. `events` so far; recordings appear in `folder` as `dump-…-dec.wav`."""

    def __init__(self, folder: Path, control: int) -> None:
        self.folder = folder
        self.events: list[dict[str, Any]] = []
        self._buffer = b""
        self._socket = self._connected(control)

    def _connected(self, port: int) -> socket.socket:
        end = time.monotonic() + 10
        while True:
            try:
                return socket.create_connection(("127.0.0.1", port), timeout=1)
            except OSError:
                assert time.monotonic() < end, "baresip's control socket did not open"
                time.sleep(0.1)

    def command(self, command: str, params: str = "") -> None:
        data = json.dumps({"command": command, "params": params, "token": command}).encode()
        self._socket.sendall(b"%d:%s," % (len(data), data))

    def until(self, kind: str, seconds: float = 10.0) -> dict[str, Any]:
        """The first event of this kind, now or later."""
        end = time.monotonic() + seconds
        while True:
            for event in self.events:
                if event.get("type") == kind:
                    return event
            assert time.monotonic() < end, f"no {kind} from baresip, but {self.events}"
            self._read()

    def listen(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._read()

    def _read(self) -> None:
        self._socket.settimeout(0.2)
        try:
            self._buffer += self._socket.recv(65536)
        except TimeoutError:
            return
        while b":" in self._buffer:
            length, _, rest = self._buffer.partition(b":")
            size = int(length)
            if len(rest) <= size:
                return
            self.events.append(json.loads(rest[:size]))
            self._buffer = rest[size + 1 :]

    def recording(self) -> Path:
        """What the phone decoded, until it was put on hold."""
        return next(self.folder.glob("dump*-dec.wav"))

    def close(self) -> None:
        self._socket.close()


@contextmanager
def baresip(
    folder: Path,
    source: Path,
    account: str = LOCAL,
    *,
    authority: Path | None = None,
    at: str = "127.0.0.1",
) -> Iterator[Baresip]:
    """`source`: the WAV it plays. `account`: one line of its accounts; `authority`: the CA (PEM) of its TLS peers.

    `at`: its own address.
    """
    written = f"[{at}]" if ":" in at else at
    (sip, control), rtp = free_ports(2), free_range(40)
    listing = subprocess.run(
        ["dpkg", "-L", "baresip-core"], capture_output=True, text=True, check=True
    ).stdout
    modules = next(Path(line).parent for line in listing.splitlines() if line.endswith("g711.so"))
    values = {"sip": sip, "control": control, "rtp": rtp, "rtp_end": rtp + 39}
    config = CONFIG.format(
        source=source, modules=modules, folder=folder, at=at, written=written, **values
    )
    if authority is not None:
        config += f"sip_cafile {authority}\n"
    (folder / "config").write_text(config)
    (folder / "accounts").write_text(f"{account.format(sip=sip, written=written)}\n")
    (folder / "contacts").write_text("")
    with (folder / "baresip.log").open("w") as log:
        process = subprocess.Popen(
            ["baresip", "-f", str(folder), "-v"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        with closing(Baresip(folder, control)) as phone:
            yield phone
    finally:
        process.terminate()
        process.wait(5)
