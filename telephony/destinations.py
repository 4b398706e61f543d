"""Dialled numbers: one spelling (E.164) for judging, the trunk's spelling for the wire, and ranges that cost. Pure.

Whatever is not plainly a number is refused: parameters, letters, digits of other scripts, names of other hosts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from telephony.trunks import Trunk, is_destination

FIGURES: Final = frozenset("0123456789")
_SEPARATORS: Final = str.maketrans("", "", " -.()/")
EMERGENCY: Final = frozenset(("000", "108", "110", "111", "112", "113", "118", "119", "911", "999"))
"""Reached by an entry that is the number itself, never by a pattern such as XXX."""
MAX_DIALLED: Final = 32
LONGEST: Final = 15
"""Figures of an E.164 number (ITU-T E.164 6.1)."""
SHORTEST: Final = 7
"""Anything shorter after + is a short code or a mistake."""

NANP_FIGURES: Final = 10

SATELLITE: Final = ("+870", "+881", "+882", "+883")
PREMIUM: Final = (
    "+808", "+878", "+888", "+979", "+991",  # shared cost, personal, international premium rate, trials
    "+1900", "+1976", "+49900", "+49137", "+49118", "+4970", "+449", "+4487", "+4470", "+33118", "+3389",
    "+34803", "+34806", "+34807", "+34905", "+34907", "+34118", "+39166", "+39892", "+39895", "+39899", "+43118",
    "+43900", "+43901", "+43930", "+43931", "+43939", "+4118", "+41900", "+41901", "+41906", "+31900", "+31906",
    "+31909", "+3118", "+3290", "+3270", "+6119", "+64900", "+81990", "+55900", "+46900", "+46939", "+46944",
    "+4782", "+4590", "+358600", "+358700", "+4870", "+42090", "+3690", "+40900", "+40903", "+40906", "+30901",
    "+30909", "+90900", "+7803", "+7809", "+52900", "+57901", "+27862",
)  # fmt: skip
ISLANDS: Final = tuple(
    f"+1{area}"
    for area in (
        242, 246, 264, 268, 284, 345, 441, 473, 649, 658, 664, 721, 758, 767, 784, 809, 829, 849, 868, 869, 876,
    )
)  # fmt: skip
"""Parts of +1 that are billed as foreign countries: the usual aim of toll fraud from North America."""

COSTLY: Final = (*SATELLITE, *PREMIUM, *ISLANDS)
"""Ranges that an allow-list entry must name itself (+1 does not open +1900). From memory of numbering plans: the
operator adds what the carrier's price list names."""


class NumberError(Exception):
    """A text that is no number we dial; `reason` is a short stable word, and no part of the text is in it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def bare_number(text: str) -> tuple[str, str]:
    """What a person or an API wrote -> (number without separators, host of a SIP URI or empty).

    Raises: NumberError `too_long`, `parameters`, `not_a_number`.
    """
    if len(text) > 4 * MAX_DIALLED:
        raise NumberError("too_long")
    scheme, colon, rest = text.strip().partition(":")
    host = ""
    if colon:
        scheme = scheme.lower()
        if scheme not in {"tel", "sip", "sips"}:
            raise NumberError("not_a_number")
        text = rest
    if any(mark in text for mark in ";?&%,<>\"'\\"):
        raise NumberError("parameters")
    if colon and scheme != "tel":
        text, at, host = text.partition("@")
        if not at or not host:
            raise NumberError("not_a_number")
    number = text.strip().replace("(0)", "").translate(_SEPARATORS)
    if len(number) > MAX_DIALLED:
        raise NumberError("too_long")
    if not number.removeprefix("+") or not set(number.removeprefix("+")) <= FIGURES:
        raise NumberError("not_a_number")
    return number, host.lower()


def e164(number: str, trunk: Trunk) -> str:
    """The number as `+…`, or as it is where it is one of the PBX's own short numbers.

    `number`: of `bare_number`. National spelling is read by the trunk's country. Raises: NumberError.
    """
    if own_entry(number, trunk.allowed_prefixes) is not None:
        return number
    full = _in_full(number, trunk)
    figures = len(full) - 1
    if figures > LONGEST:
        raise NumberError("too_long")
    if full[1:2] == "0" or _leaves_the_country(full, trunk):
        raise NumberError("not_a_number")
    if figures < SHORTEST:
        raise NumberError("short_code")
    return full


def _in_full(number: str, trunk: Trunk) -> str:
    if number.startswith("+"):
        return number
    if trunk.international_prefix and number.startswith(trunk.international_prefix):
        return "+" + number[len(trunk.international_prefix) :]
    if trunk.country and trunk.national_prefix and number.startswith(trunk.national_prefix):
        return f"+{trunk.country}{number[len(trunk.national_prefix) :]}"
    if trunk.country == "1" and len(number) == NANP_FIGURES:
        return "+1" + number
    if trunk.number_format == "plain":
        return "+" + number
    raise NumberError("not_international")


def _leaves_the_country(full: str, trunk: Trunk) -> bool:
    """Written as the trunk wants it, +49 0 881… would be 0 0881…, which is satellite and not Germany."""
    if trunk.number_format != "national" or not full.startswith(f"+{trunk.country}"):
        return False
    written = as_dialled(full, replace(trunk, prefix=""))
    return written.startswith(trunk.international_prefix or "00")


def as_dialled(number: str, trunk: Trunk) -> str:
    """The number (of `e164`) as the trunk wants it, with its technical prefix."""
    if not number.startswith("+"):
        return trunk.prefix + number
    figures = number[1:]
    match trunk.number_format:
        case "plain":
            written = figures
        case "national" if figures.startswith(trunk.country):
            written = trunk.national_prefix + figures[len(trunk.country) :]
        case "national":
            written = trunk.international_prefix + figures
        case _:
            written = number
    return trunk.prefix + written


def own_entry(number: str, entries: Iterable[str]) -> str | None:
    """The entry (such as 2XX) that allows one of the PBX's own short numbers."""
    if number.startswith("+"):
        return None
    for entry in entries:
        if entry.startswith("+") or len(entry) != len(number) or not is_destination(entry):
            continue
        if number in EMERGENCY and entry != number:
            continue
        if all(wanted in {"X", given} for wanted, given in zip(entry, number, strict=True)):
            return entry
    return None


def longest_entry(number: str, entries: Iterable[str]) -> str:
    """The longest `+` prefix among the entries that the number begins with; empty if there is none."""
    return max((entry for entry in entries if number.startswith(entry)), key=len, default="")


def costly_range(number: str) -> str:
    """The longest range that needs an entry of its own; empty for an ordinary number."""
    for length in range(_LONGEST_RANGE, 1, -1):
        if number[:length] in _COSTLY:
            return number[:length]
    return ""


_COSTLY: Final = frozenset(COSTLY)
_LONGEST_RANGE: Final = max(map(len, COSTLY))
