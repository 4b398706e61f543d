"""Carriers and PBXs, their caller IDs and destinations; phones of ours and the queues they stand in."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models

from telephony.models.fields import EncryptedTextField
from telephony.models.routing import Refusal
from telephony.trunks import EXTENSION_CODECS, TRUNK_CODECS, is_destination

FIGURES: Final = RegexValidator(r"^[0-9]*$", "Figures alone.")
PREFIX: Final = RegexValidator(r"^[0-9#*]*$", "Figures, # and * alone.")
NUMBER_SHOWN: Final = RegexValidator(
    r"^\+?[A-Za-z0-9]{1,31}$", "A number such as +4930123456, without spaces."
)
EXTENSION: Final = RegexValidator(
    r"^[a-z0-9][a-z0-9._-]{0,31}$", "Small letters, figures, dots and dashes."
)
_SPACES: Final = re.compile(r"[\s().-]+")


class Peer(models.TextChoices):
    """What stands at the other end: chooses sensible values for the form."""

    GENERIC = "generic", "another carrier or PBX"
    TWILIO = "twilio", "Twilio Elastic SIP"
    TELNYX = "telnyx", "Telnyx"
    ASTERISK = "asterisk", "Asterisk or FreePBX"
    FREESWITCH = "freeswitch", "FreeSWITCH"
    KAMAILIO = "kamailio", "Kamailio or OpenSIPS"


class TransportChoice(models.TextChoices):
    """How SIP travels to the trunk."""

    UDP = "udp", "UDP"
    TCP = "tcp", "TCP"
    TLS = "tls", "TLS"


class NumberFormatChoice(models.TextChoices):
    """How the trunk wants numbers."""

    PLUS = "plus", "+4930123456"
    PLAIN = "plain", "4930123456"
    NATIONAL = "national", "030123456 (00… for other countries)"
    AS_IS = "as_is", "as they were given"


class SrtpChoice(models.TextChoices):
    """Encryption of the audio (SDES)."""

    OFF = "off", "off"
    OPTIONAL = "optional", "if the other side can"
    REQUIRED = "required", "required"


class DtmfChoice(models.TextChoices):
    """How digits travel."""

    AUTO = "auto", "whatever was agreed"
    RFC4733 = "rfc4733", "RFC 4733 events"
    INFO = "info", "SIP INFO"
    INBAND = "inband", "tones in the audio"


class CallerIdChoice(models.TextChoices):
    """Which number of the pool is shown."""

    FIXED = "fixed", "always the first of the list"
    MATCH = "match", "the one most like the called number (same country, same area)"
    ROTATE = "rotate", "spread over the list, the same one for the same called number"


def trunk_codecs() -> list[str]:
    """For a new trunk."""
    return list(TRUNK_CODECS)


def extension_codecs() -> list[str]:
    """For a new extension."""
    return list(EXTENSION_CODECS)


class Trunk(models.Model):
    """A carrier or PBX that calls come from and go to. Whether its values fit is for `telephony.trunks` to say."""

    name = models.SlugField(
        max_length=32,
        unique=True,
        help_text="Short and stable: it stands in rules, logs and figures.",
    )
    label = models.CharField(max_length=100, blank=True, help_text="What people here call it.")
    peer = models.CharField("other end", max_length=16, choices=Peer, default=Peer.GENERIC)
    enabled = models.BooleanField(
        default=True,
        help_text="Off: no call of it is taken and none is placed by it; calls that are up go on.",
    )
    position = models.PositiveSmallIntegerField(
        "order", default=1, help_text="Of trunks that fit equally well the lowest is tried first."
    )
    hosts = models.JSONField(
        default=list,
        blank=True,
        help_text="Where calls are sent, one per line, in order of failover: sip.example.com or 192.0.2.10:5070.",
    )
    transport = models.CharField(max_length=4, choices=TransportChoice, default=TransportChoice.UDP)
    networks = models.JSONField(
        "accepted addresses",
        default=list,
        blank=True,
        help_text="Where its calls come from, one address or network per line: 192.0.2.0/24. "
        "Hosts that are addresses are accepted anyway; all others get no reply.",
    )
    media_networks = models.JSONField(
        "accepted audio addresses",
        default=list,
        blank=True,
        help_text="Where its audio may come from beside the address that each call names; empty: from that one alone.",
    )
    username = models.CharField(max_length=128, blank=True)
    password = EncryptedTextField(blank=True)
    realm = models.CharField(
        max_length=128,
        blank=True,
        help_text="Answer challenges of this realm alone; empty: of any.",
    )
    challenge_inbound = models.BooleanField(
        "ask for the password",
        default=False,
        help_text="Calls from the trunk must log in with this name and password, beside coming from its addresses.",
    )
    register = models.BooleanField(
        default=False, help_text="Log in at the first host, so that it sends calls here."
    )
    register_expires_s = models.PositiveIntegerField("register for (s)", default=3600)
    trusted = models.BooleanField(
        default=False, help_text="Believe the caller's number in P-Asserted-Identity."
    )
    send_pai = models.BooleanField(
        "send P-Asserted-Identity",
        default=False,
        help_text="Name the caller ID there as well as in From.",
    )
    number_format = models.CharField(
        "numbers as", max_length=8, choices=NumberFormatChoice, default=NumberFormatChoice.PLUS
    )
    prefix = models.CharField(
        "technical prefix",
        max_length=16,
        blank=True,
        validators=[PREFIX],
        help_text="Set before each dialled number, if the carrier asks for it.",
    )
    country = models.CharField(
        "country code",
        max_length=4,
        blank=True,
        validators=[FIGURES],
        help_text="Of numbers written without one: 49, 1, 91.",
    )
    national_prefix = models.CharField(max_length=4, blank=True, default="0", validators=[FIGURES])
    international_prefix = models.CharField(
        max_length=4, blank=True, default="00", validators=[FIGURES]
    )
    codecs = models.JSONField(default=trunk_codecs, help_text="In the order in which we like them.")
    srtp = models.CharField(
        "encrypted audio", max_length=8, choices=SrtpChoice, default=SrtpChoice.OFF
    )
    srtp_without_tls = models.BooleanField(
        "keys without TLS",
        default=False,
        help_text="Whoever reads the signalling can then hear the calls.",
    )
    dtmf = models.CharField("digits", max_length=8, choices=DtmfChoice, default=DtmfChoice.AUTO)
    session_expires_s = models.PositiveIntegerField(
        "session timer (s)", default=1800, help_text="RFC 4028; 0: off, else at least 90."
    )
    max_calls = models.PositiveIntegerField(
        "calls at once", null=True, blank=True, default=10, help_text="Both ways; empty: no limit."
    )
    max_cps = models.FloatField(
        "calls a second",
        null=True,
        blank=True,
        default=2.0,
        validators=[MinValueValidator(0.0)],
        help_text="New calls each way; empty: no limit.",
    )
    max_calls_per_day = models.PositiveIntegerField(
        "placed calls a day",
        null=True,
        blank=True,
        default=500,
        help_text="UTC day; empty: no limit.",
    )
    max_minutes_per_day = models.PositiveIntegerField(
        "placed minutes a day", null=True, blank=True, default=1000
    )
    ping_s = models.PositiveIntegerField(
        "ask for life every (s)", default=30, help_text="By OPTIONS; 0: never."
    )
    allow_refer_in = models.BooleanField(
        "may transfer", default=False, help_text="Its REFER is followed, within the outbound rules."
    )
    send_refer = models.BooleanField(
        "transfers by REFER",
        default=False,
        help_text="Ask the trunk to transfer calls; off, or if it refuses: bridged here.",
    )
    advertised = models.CharField(
        "our address for it",
        max_length=64,
        blank=True,
        help_text="If it reaches us under another address than VOICEAPP_PUBLIC_ADDRESS.",
    )
    caller_id_rule = models.CharField(
        "caller ID", max_length=8, choices=CallerIdChoice, default=CallerIdChoice.FIXED
    )

    class Meta:
        ordering = ("position", "name")

    def __str__(self) -> str:
        return self.label or self.name


class CallerId(models.Model):
    """A number a trunk may show. No other is ever shown."""

    trunk = models.ForeignKey(Trunk, on_delete=models.CASCADE, related_name="caller_ids")
    number = models.CharField(max_length=32, validators=[NUMBER_SHOWN])
    position = models.PositiveSmallIntegerField("order", default=1)

    class Meta:
        ordering = ("position", "pk")
        verbose_name = "caller ID"
        constraints = (
            models.UniqueConstraint(fields=("trunk", "number"), name="one_caller_id_per_trunk"),
        )

    def __str__(self) -> str:
        return self.number

    def clean_fields(self, exclude: Collection[str] | None = None) -> None:
        self.number = _SPACES.sub("", self.number)
        super().clean_fields(exclude)


class Destination(models.Model):
    """What may be dialled by a trunk. Without any, nothing is."""

    trunk = models.ForeignKey(Trunk, on_delete=models.CASCADE, related_name="destinations")
    prefix = models.CharField(
        max_length=16,
        help_text="+49 for all of Germany, +4930 for Berlin, 2XX for own numbers of three figures. "
        "Premium and satellite ranges need an entry of their own.",
    )
    note = models.CharField(max_length=100, blank=True)

    class Meta:
        ordering = ("prefix",)
        verbose_name = "allowed destination"
        constraints = (
            models.UniqueConstraint(fields=("trunk", "prefix"), name="one_row_per_destination"),
        )

    def __str__(self) -> str:
        return self.prefix

    def clean(self) -> None:
        """Raises: ValidationError."""
        if not is_destination(self.prefix):
            raise ValidationError({"prefix": "Write + and figures (+49), or figures and X (2XX)."})


class Extension(models.Model):
    """A softphone or desk phone that logs in here, so that a person can be called."""

    name = models.CharField(
        max_length=32,
        unique=True,
        validators=[EXTENSION],
        help_text="What the phone logs in as, and what is dialled: 200, or ann.",
    )
    label = models.CharField(max_length=100, blank=True, help_text="Whose phone it is.")
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="extensions",
        help_text="Who takes calls at it, by the name used at the desk.",
    )
    ha1 = EncryptedTextField(blank=True)
    codecs = models.JSONField(default=extension_codecs)
    enabled = models.BooleanField(default=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return f"{self.name} ({self.label})" if self.label else self.name


class Queue(models.Model):
    """People whose phones ring one after the other, and what becomes of a call that nobody takes."""

    name = models.SlugField(max_length=32, unique=True)
    label = models.CharField(max_length=100, blank=True)
    ring_s = models.PositiveSmallIntegerField("ring each for (s)", default=20)
    overflow_agent = models.SlugField(
        "if nobody takes it",
        max_length=64,
        blank=True,
        help_text="The agent that answers then; without one the call is refused.",
    )
    overflow_status = models.PositiveSmallIntegerField(
        "refused with", choices=Refusal, default=Refusal.UNAVAILABLE
    )

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.label or self.name


class QueueMember(models.Model):
    """A phone's place in a queue."""

    queue = models.ForeignKey(Queue, on_delete=models.CASCADE, related_name="members")
    extension = models.ForeignKey(Extension, on_delete=models.CASCADE, related_name="+")
    position = models.PositiveSmallIntegerField("order", default=1)

    class Meta:
        ordering = ("position", "pk")
        verbose_name = "person"
        constraints = (
            models.UniqueConstraint(fields=("queue", "extension"), name="once_in_a_queue"),
        )

    def __str__(self) -> str:
        return str(self.extension)
