"""Kamailio as the dispatcher in front of media nodes: round robin, OPTIONS probing, failover."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

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
loadmodule "tmx.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "sanity.so"
loadmodule "dispatcher.so"
loadmodule "ctl.so"
modparam("ctl", "binrpc", "unix:{folder}/ctl")
modparam("dispatcher", "list_file", "{folder}/dispatcher.list")
modparam("dispatcher", "flags", 2)
modparam("dispatcher", "xavp_dst", "_dsdst_")
modparam("dispatcher", "ds_ping_interval", 1)
modparam("dispatcher", "ds_ping_method", "OPTIONS")
modparam("dispatcher", "ds_ping_from", "sip:lb@127.0.0.1")
modparam("dispatcher", "ds_probing_mode", 1)
modparam("dispatcher", "ds_probing_threshold", 1)
modparam("dispatcher", "ds_inactive_threshold", 1)
modparam("dispatcher", "ds_ping_reply_codes", "class=2")
modparam("tm", "fr_timer", 1500)
modparam("tm", "fr_inv_timer", 30000)
modparam("rr", "append_fromtag", 1)

request_route {{
  if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
  if (is_method("OPTIONS") && uri == myself && $rU == $null) {{ sl_send_reply("200", "OK"); exit; }}
  if (!sanity_check("17895", "7")) exit;
  if (has_totag()) {{
    if (loose_route()) {{ t_relay(); exit; }}
    if (is_method("ACK")) {{ if (t_check_trans()) t_relay(); exit; }}
    sl_send_reply("404", "Not here"); exit;
  }}
  if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
  if (!is_method("INVITE")) {{ sl_send_reply("405", "Not here"); exit; }}
  t_check_trans();
  remove_hf("Route");
  record_route();
  if (!ds_select_dst("1", "4")) {{ sl_send_reply("503", "No gateway"); exit; }}
  t_on_failure("FAILOVER");
  t_relay();
}}

failure_route[FAILOVER] {{
  if (t_is_canceled()) exit;
  if (t_check_status("503") || (t_branch_timeout() && !t_branch_replied())) {{
    ds_mark_dst("ip");
    if (ds_next_dst()) {{ t_on_failure("FAILOVER"); t_relay(); exit; }}
    send_reply("503", "No gateway");
  }}
}}
"""


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
def kamailio(folder: Path, nodes: Sequence[str], config: str = CONFIG) -> Iterator[Kamailio]:
    """`nodes`: host:port of each. Its log is `folder/kamailio.log`."""
    port = _low_port()
    (folder / "kamailio.cfg").write_text(config.format(port=port, folder=folder))
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


def _low_port() -> int:
    """Free for UDP and TCP, and of four digits: sipsak cuts longer ones."""
    for number in range(6_000 + os.getpid() % 300 * 10, 10_000):
        with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagram:
            try:
                stream.bind(("127.0.0.1", number))
                datagram.bind(("127.0.0.1", number))
            except OSError:
                continue
            return number
    raise AssertionError("no port of four digits is free")


def _wait_for(folder: Path, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 10
    while not (folder / "ctl").exists():
        log = (folder / "kamailio.log").read_text()[-2000:]
        assert process.poll() is None, f"Kamailio ended: {log}"
        assert time.monotonic() < end, f"Kamailio does not start: {log}"
        time.sleep(0.05)
