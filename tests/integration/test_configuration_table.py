"""docs/configuration.md lists what the code reads, no more and no less."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from telephony.admission import is_allowed, parse_networks
from voiceapp.configuration import REPOSITORY, VARIABLES, ConfigurationError, load

ROWS = re.compile(r"^\| `(VOICEAPP_\w+)` \| (.+?) \| (.+) \|$", re.MULTILINE)
TABLE = Path(__file__).resolve().parent.parent.parent / "docs" / "configuration.md"


def test_the_table_of_settings_is_the_one_of_the_code() -> None:
    written = ROWS.findall(TABLE.read_text(encoding="utf-8"))

    assert written == [
        (variable.name, f"`{variable.default}`" if variable.default else "empty", variable.purpose)
        for variable in VARIABLES
    ]


def test_every_default_can_be_used() -> None:
    assert load({}).http.port == 8000


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("VOICEAPP_HTTP", "8000"),
        ("VOICEAPP_HTTP", "127.0.0.1:99999"),
        ("VOICEAPP_RTP_PORTS", "80-90"),
        ("VOICEAPP_MEDIA_NODES", "0"),
        ("VOICEAPP_MAX_CALLS", "\u0661\u0662"),
        ("VOICEAPP_MAX_CALLS", "9" * 5_000),
        ("VOICEAPP_DEBUG", "yes"),
        ("VOICEAPP_SIP", "localhost:5060"),
        ("VOICEAPP_SIP_ALLOW", "192.168.0.0/240"),
        ("VOICEAPP_PUBLIC_ADDRESS", "pbx.example.com"),
        ("VOICEAPP_ENGINES", "embeded"),
        ("VOICEAPP_LOG_LEVEL", "debug"),
        ("VOICEAPP_LLM_URL", "localhost:8080"),
        ("VOICEAPP_SIP_TLS", "gateway.example:5061"),
        ("VOICEAPP_SIP_TLS_KEY", "/no/such/file.pem"),
        ("VOICEAPP_SIP_DIGEST", "SHA-1"),
        ("VOICEAPP_SIP_DIGEST", " "),
        ("VOICEAPP_REGISTRAR", "yes"),
    ],
)
def test_a_value_that_cannot_be_used_stops_the_start_and_is_named(name: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        load({name: text})


@pytest.mark.parametrize(
    ("given", "answered", "ignored"),
    [
        ({}, "127.0.0.1", "192.168.1.5"),
        ({"VOICEAPP_SIP": "0.0.0.0:5060"}, "192.168.1.5", "203.0.113.9"),
        ({"VOICEAPP_IPV6": "fd00::5"}, "fd00::9", "2001:db8::9"),
        ({"VOICEAPP_IPV6": "::"}, "fd00::9", "2001:db8::9"),
        ({"VOICEAPP_IPV6": "::1"}, "::1", "fd00::9"),
        ({"VOICEAPP_SIP": "[::1]:5060", "VOICEAPP_IPV6": "fd00::5"}, "::1", "fd00::9"),
        ({"VOICEAPP_SIP_ALLOW": "203.0.113.0/24"}, "203.0.113.9", "127.0.0.1"),
    ],
)
def test_who_is_answered_by_sip(given: dict[str, str], answered: str, ignored: str) -> None:
    networks = parse_networks(load(given).sip_networks)
    assert is_allowed(answered, networks)
    assert not is_allowed(ignored, networks)


def test_a_misspelt_setting_stops_the_start() -> None:
    with pytest.raises(ConfigurationError, match="VOICEAPP_HTPP"):
        load({"VOICEAPP_HTPP": "127.0.0.1:8000"})


@pytest.mark.parametrize(
    "name",
    ["VOICEAPP_SECRET_KEY", "VOICEAPP_LLM_KEY", "VOICEAPP_DATABASE_URL", "VOICEAPP_REDIS_URL"],
)
def test_a_secret_is_not_shown_with_the_configuration(name: str) -> None:
    assert "canary" not in repr(load({name: "redis://u:canary@h/0"}))


@pytest.mark.parametrize(
    ("name", "text"),
    [("VOICEAPP_DATABASE_URL", "mysql://u:canary@h/x"), ("VOICEAPP_DATA", "/dev/null/data")],
)
def test_the_command_line_says_in_one_line_which_setting_is_wrong(name: str, text: str) -> None:
    outcome = subprocess.run(
        [sys.executable, REPOSITORY / "manage.py", "version"],
        env=os.environ | {name: text},
        capture_output=True,
        text=True,
        check=False,
    )

    assert outcome.returncode == 1
    assert outcome.stderr.count("\n") == 1
    assert name in outcome.stderr
    assert "canary" not in outcome.stderr


def test_tls_is_not_served_without_certificate_and_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="VOICEAPP_SIP_TLS_CERTIFICATE"):
        load({"VOICEAPP_SIP_TLS": "127.0.0.1:5071"})
    file = tmp_path / "chain.pem"
    file.touch()
    with pytest.raises(ConfigurationError, match="belong together"):
        load({"VOICEAPP_SIP_TLS_CERTIFICATE": str(file)})


def test_several_nodes_need_ports_of_their_own_beside_each_other(tmp_path: Path) -> None:
    file = tmp_path / "chain.pem"
    file.touch()
    both = {"VOICEAPP_SIP_TLS_CERTIFICATE": str(file), "VOICEAPP_SIP_TLS_KEY": str(file)}
    near = {"VOICEAPP_SIP_TLS": "127.0.0.1:5061", **both}
    assert load(near).sip_tls_of(0) is not None
    with pytest.raises(ConfigurationError, match="5061"):
        load({**near, "VOICEAPP_MEDIA_NODES": "2"})
    apart = load({**near, "VOICEAPP_SIP_TLS": "127.0.0.1:5071", "VOICEAPP_MEDIA_NODES": "2"})
    assert str(apart.sip_of(1)) == "127.0.0.1:5061"
    assert str(apart.sip_tls_of(1)) == "127.0.0.1:5072"
