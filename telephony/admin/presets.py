"""Values a new trunk starts with, by what stands at the other end.

Addresses are from memory of the carriers' published lists: the note asks to compare them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from telephony.models import Peer


@dataclass(frozen=True, slots=True)
class Preset:
    """`values`: of the form's fields. `note`: what is left to do, for the person who fills it in."""

    values: Mapping[str, Any]
    note: str


PRESETS: Final[Mapping[str, Preset]] = {
    Peer.TWILIO: Preset(
        {
            "name": "twilio",
            "label": "Twilio",
            "hosts": ["your-trunk.pstn.twilio.com"],
            "networks": [
                "54.172.60.0/30", "54.244.51.0/30", "54.171.127.192/30", "35.156.191.128/30", "54.65.63.192/30",
                "54.169.127.128/30", "54.252.254.64/30", "177.71.206.192/30",
            ],
            "media_networks": ["168.86.128.0/18"],
            "transport": "tls",
            "srtp": "required",
            "number_format": "plus",
            "dtmf": "rfc4733",
        },
        "Enter your trunk's termination host and, under “Login”, the credential list's user. At Twilio: set the "
        "origination URI to this machine with transport=tls and turn on secure trunking. Compare the addresses with "
        "Twilio's own list.",
    ),
    Peer.TELNYX: Preset(
        {
            "name": "telnyx",
            "label": "Telnyx",
            "hosts": ["sip.telnyx.com"],
            "networks": [
                "192.76.120.10", "64.16.250.10", "185.246.41.140", "185.246.41.141", "103.115.244.145",
                "103.115.244.146", "192.76.120.31", "64.16.250.13",
            ],
            "transport": "tls",
            "srtp": "optional",
            "number_format": "plus",
            "send_pai": True,
            "register": True,
        },
        "Enter the SIP connection's user and password under “Login”; without registration choose IP authentication at "
        "Telnyx and take “Register” off. Compare the addresses with Telnyx's own list.",
    ),
    Peer.ASTERISK: Preset(
        {
            "name": "pbx",
            "label": "PBX",
            "hosts": ["192.0.2.10:5060"],
            "number_format": "as_is",
            "trusted": True,
            "send_pai": True,
            "codecs": ["G722", "PCMA", "PCMU"],
            "dtmf": "rfc4733",
        },
        "Enter the PBX's address. In FreePBX: a PJSIP trunk without registration to this machine, or a normal extension "
        "with “Register” on here. Own numbers are allowed by a pattern such as 2XX under “Allowed destinations”.",
    ),
    Peer.FREESWITCH: Preset(
        {
            "name": "freeswitch",
            "label": "FreeSWITCH",
            "hosts": ["192.0.2.10:5080"],
            "number_format": "as_is",
            "trusted": True,
            "send_pai": True,
            "codecs": ["OPUS", "G722", "PCMU", "PCMA"],
            "srtp": "optional",
            "srtp_without_tls": True,
        },
        "Enter the address of its external profile (5080 by default). X- headers arrive as call variables.",
    ),
    Peer.KAMAILIO: Preset(
        {
            "name": "kamailio",
            "label": "Kamailio",
            "hosts": ["192.0.2.10:5060"],
            "number_format": "plus",
            "trusted": True,
            "ping_s": 10,
            "max_calls": None,
            "max_cps": None,
        },
        "Enter the proxy's address, and under “Accepted audio addresses” the media relay's if there is one. It can watch "
        "this machine by OPTIONS: a node that is full or draining answers 503.",
    ),
    Peer.GENERIC: Preset(
        {"name": "carrier", "number_format": "plus"},
        "Enter where calls are sent and the addresses they come from; most carriers publish both.",
    ),
}  # fmt: skip
