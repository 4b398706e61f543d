"""Hostile messages: our own (`tests/data/sip`), and those of RFC 4475 wherever a folder of them is given."""

import os
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
OWN = _ROOT / "tests" / "data" / "sip"


@dataclass(frozen=True)
class Hostile:
    """`udp`, `tcp`: status of the first reply, `none`, or `pong` for the CRLF of a keep-alive."""

    name: str
    data: bytes
    udp: str
    tcp: str
    case: str


def own_messages() -> list[Hostile]:
    rows = [
        line.split("\t")
        for line in (OWN / "verdicts.tsv").read_text().splitlines()
        if not line.startswith("#")
    ]
    return [
        Hostile(name, (OWN / f"{name}.sip").read_bytes(), udp, tcp, case)
        for name, udp, tcp, case, _ in rows
    ]


# RFC 4475 file -> status of the first reply. REGISTER is not served here: 405 where a registrar would speak.
# wsinv carries a To tag, so it parses and then belongs to no dialog: 481.
RFC4475_VERDICTS = {
    "wsinv": "481", "intmeth": "501", "esc01": "100", "escnull": "405", "esc02": "501",
    "lwsdisp": "200", "longreq": "100", "dblreq": "405", "semiuri": "200", "transports": "200",
    "mpart01": "405", "unreason": "none", "noreason": "none",
    "badinv01": "400", "clerr": "400", "ncl": "400", "scalar02": "400", "scalarlg": "none",
    "quotbal": "400", "ltgtruri": "400", "lwsruri": "400", "lwsstart": "400", "trws": "400",
    "escruri": "400", "baddate": "400", "regbadct": "400", "badaspec": "400", "baddn": "400",
    "badvers": "505", "mismatch01": "400", "mismatch02": "501", "bigcode": "none",
    "badbranch": "200", "insuf": "400", "unkscm": "416", "novelsc": "416", "unksm2": "405",
    "bext01": "420", "invut": "415", "regaut01": "405", "multi01": "400", "mcl01": "400",
    "bcast": "none", "zeromf": "200", "cparam01": "405", "cparam02": "405", "regescrt": "405",
    "sdp01": "406", "inv2543": "100",
}  # fmt: skip
_WAITING_ON_TCP = {"clerr"}  # the announced body never comes: no reply, the framing timeout closes


def rfc4475_folder() -> Path | None:
    given = os.environ.get("VOICEAPP_TEST_RFC4475")
    folder = Path(given) if given else _ROOT.parent / "shared" / "data" / "rfc4475"
    return folder if folder.is_dir() else None


def rfc4475_messages() -> list[Hostile]:
    """All 49, or nothing where no folder is given."""
    folder = rfc4475_folder()
    if folder is None:
        return []
    return [
        Hostile(
            name,
            _whole(name, (folder / f"{name}.dat").read_bytes()),
            status,
            "none" if name in _WAITING_ON_TCP else status,
            name,
        )
        for name, status in RFC4475_VERDICTS.items()
    ]


def _whole(name: str, data: bytes) -> bytes:
    # This file ends before the empty line; without it, the message would be refused for the wrong reason.
    return data + b"\r\n" if name == "baddn" else data


def corpora() -> dict[str, list[Hostile]]:
    """The messages by origin; an origin without messages is left out."""
    found = {"own": own_messages(), "rfc4475": rfc4475_messages()}
    return {origin: messages for origin, messages in found.items() if messages}
