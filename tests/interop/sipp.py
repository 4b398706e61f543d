"""sipp as the caller: a scenario made of steps, recorded speech as RTP, and what came back."""

from __future__ import annotations

import subprocess
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from telephony.media import g711
from tests.ports import free_range
from tests.running_product import RunningProduct

SDP = """v=0
o=caller 1 {version} IN IP4 [local_ip]
s=-
c=IN IP4 {address}
t=0 0
m=audio {port} RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a={direction}
"""

HEADERS = """Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: "Caller" <sip:{user}@[local_ip]:[local_port]>;tag=[call_number]
To: <sip:demo@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: {cseq} {method}
Contact: <sip:{user}@[local_ip]:[local_port]>
Max-Forwards: 70
"""


def send(
    method: str, cseq: int, user: str, sdp: str = "", *, to_tag: bool = True, more: str = ""
) -> str:
    """A request of the scenario; `more`: whole header lines."""
    headers = HEADERS.format(user=user, cseq=cseq, method=method) + more
    headers = headers if to_tag else headers.replace("[peer_tag_param]", "")
    target = "[next_url]" if to_tag and method != "CANCEL" else "sip:demo@[remote_ip]:[remote_port]"
    body = (
        f"Content-Type: application/sdp\nContent-Length: [len]\n\n{sdp}"
        if sdp
        else "Content-Length: 0\n\n"
    )
    retry = "" if method == "ACK" else ' retrans="500"'
    return f"<send{retry}><![CDATA[\n{method} {target} SIP/2.0\n{headers}{body}]]></send>\n"


def invite(user: str, port: str = "[rtpstream_audio_port]") -> str:
    sdp = SDP.format(version=1, address="[local_ip]", port=port, direction="sendrecv")
    return send("INVITE", 1, user, sdp, to_tag=False)


def ack_refusal(user: str, cseq: int, after: int = 3) -> str:
    """The ACK of a final response other than 2xx: the INVITE's branch, which was so many steps before."""
    ack = send("ACK", cseq, user).replace("[next_url]", "sip:demo@[remote_ip]:[remote_port]")
    return ack.replace("[branch]", f"[branch-{after}]")


def expect(status: int, *, routes: bool = False) -> str:
    rrs = ' rrs="true"' if routes else ""
    return f'<recv response="{status}"{rrs} />\n'


def maybe(status: int) -> str:
    return f'<recv response="{status}" optional="true" />\n'


def answered(user: str, more: str = "") -> str:
    """From the INVITE that was sent to its ACK."""
    return maybe(100) + maybe(180) + expect(200, routes=True) + send("ACK", 1, user, more=more)


def speak(file: Path) -> str:
    """Sends raw mu-law as RTP, once."""
    return f'<nop><action><exec rtp_stream="{file},1,0,PCMU/8000"/></action></nop>\n'


def pause(seconds: float) -> str:
    return f'<pause milliseconds="{int(seconds * 1000)}"/>\n'


def play(pcap: str) -> str:
    """Sends the packets of one of sipp's own captures, such as `dtmf_2833_5`; the SDP's port must be `[media_port]`."""
    file = f"/usr/share/sip-tester/{pcap}.pcap"
    return f'<nop><action><exec play_pcap_audio="{file}"/></action></nop>\n'


ANSWER_200 = """<send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>
"""


def hung_up_on() -> str:
    """Their BYE, answered."""
    return f'<recv request="BYE"/>\n{ANSWER_200}'


def hang_up(user: str, cseq: int, more: str = "") -> str:
    return send("BYE", cseq, user, more=more) + expect(200)


ROUTES = "[routes]\n"
"""For requests in a dialog that goes over a proxy."""


@dataclass(frozen=True)
class Sipp:
    """One run; `log` is what sipp said of it."""

    code: int
    log: str


class RunningSipp:
    """A scenario in progress. `port`: where it takes SIP."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self._process = process
        self.port = port

    def wait(self, seconds: float) -> Sipp:
        try:
            out, _ = self._process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            out, _ = self._process.communicate()
            return Sipp(-1, out)
        return Sipp(self._process.returncode, out)

    def stop(self) -> None:
        """Ends it, whatever it is at."""
        self._process.kill()
        self._process.communicate()


def start_sipp(
    product: RunningProduct | None,
    folder: Path,
    steps: str,
    *,
    to: str = "",
    at: str = "127.0.0.1",
    port: int | None = None,
    options: Sequence[str] = ("-m", "1"),
) -> RunningSipp:
    """Runs the steps as one call. `to`: host:port of another program, in between or instead of the product.

    `at`: its own address, any of 127.0.0.0/8; `port`: where it is called, any free one if nobody calls it.
    """
    target = to if product is None else to or str(product.configuration.sip)
    scenario = folder / "scenario.xml"
    scenario.write_text(f'<?xml version="1.0"?>\n<scenario name="caller">\n{steps}</scenario>\n')
    own, media = free_range(2), free_range(4)  # sipp takes the port for video as well
    port = own if port is None else port
    process = subprocess.Popen(
        [
            *("sipp", "-sf", str(scenario), target),
            *("-i", at, "-p", str(port), "-mi", at),
            *("-mp", str(media)),
            *(*options, "-nostdin", "-timeout", "60", "-trace_err"),
        ],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return RunningSipp(process, port)


def call(
    product: RunningProduct | None,
    folder: Path,
    steps: str,
    seconds: float = 70.0,
    *,
    to: str = "",
    options: Sequence[str] = ("-m", "1"),
) -> Sipp:
    return start_sipp(product, folder, steps, to=to, options=options).wait(seconds)


def ulaw(wav: Path, folder: Path) -> Path:
    """The WAV (8 kHz mono) as bare mu-law, which rtp_stream takes."""
    with wave.open(str(wav)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    path = folder / f"{wav.stem}.ulaw"
    path.write_bytes(g711.encode(np.ascontiguousarray(samples), 0).tobytes())
    return path
