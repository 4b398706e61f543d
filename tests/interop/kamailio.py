"""Kamailio as the dispatcher in front of media nodes: round robin, OPTIONS probing, failover."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.ports import FOUR_DIGITS, free_range
from voiceapp.configuration import REPOSITORY

SHIPPED = REPOSITORY / "deploy" / "kamailio" / "kamailio.cfg"
"""The dispatcher that operators are given."""


class Kamailio:
    """A running dispatcher at `port`."""

    def __init__(self, port: int, control: Path) -> None:
        self.port = port
        self._control = control

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def states(self) -> dict[int, str]:
        """Of each node by its port: flags as Kamailio shows them, `AP` for one in use, `IP` for one taken out."""
        listing = subprocess.run(
            ["kamcmd", "-s", f"unix:{self._control}", "dispatcher.list"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        found = re.findall(r"URI: sip:[^\s:]+:(\d+)\s.*?FLAGS: (\w+)", listing, re.DOTALL)
        return {int(port): flags for port, flags in found}

    def until(self, wanted: dict[int, str], seconds: float = 10.0) -> float:
        """Waits until the nodes are in these states; how long that took."""
        began = time.monotonic()
        while self.states() != wanted:
            took = time.monotonic() - began
            assert took < seconds, f"{self.states()} and not {wanted}"
            time.sleep(0.05)
        return time.monotonic() - began


@contextmanager
def kamailio(folder: Path, nodes: Sequence[str], config: str = "") -> Iterator[Kamailio]:
    """`nodes`: host:port of each. Its log is `folder/kamailio.log`. `config`: instead of the one we ship."""
    port = free_range(2, FOUR_DIGITS)
    text = config.format(port=port, folder=folder) if config else _shipped(port, folder)
    (folder / "kamailio.cfg").write_text(text)
    lines = [f"1 sip:{node} 0 0\n" for node in nodes]
    (folder / "dispatcher.list").write_text("".join(lines))
    command = ["kamailio", "-DD", "-E", "-f", str(folder / "kamailio.cfg"), "-Y", str(folder)]
    with (folder / "kamailio.log").open("w") as log:
        process = subprocess.Popen(
            [*command, "-P", str(folder / "pid")], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        _wait_for(folder, process)
        yield Kamailio(port, folder / "ctl")
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _shipped(port: int, folder: Path) -> str:
    """With addresses and folders of this test."""
    values = {"LISTEN": f"127.0.0.1:{port}", "FOLDER": str(folder), "RUN": str(folder)}
    text = SHIPPED.read_text()
    for name, value in values.items():
        text, count = re.subn(f'"!{name}![^!]*!g"', f'"!{name}!{value}!g"', text)
        assert count == 1, f"{name} is not in {SHIPPED}"
    return text


def _wait_for(folder: Path, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 10
    while not (folder / "ctl").exists():
        log = (folder / "kamailio.log").read_text()[-2000:]
        assert process.poll() is None, f"Kamailio ended: {log}"
        assert time.monotonic() < end, f"Kamailio does not start: {log}"
        time.sleep(0.05)
