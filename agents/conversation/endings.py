"""How a step or an intent ends the talk, and where an agent may put callers through to.

Nothing may be dialled that the definition does not name: an ending `transfer:sales` needs a transfer `sales`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from agents.conversation.reading import Reader

Ending = str
"""Empty, `end`, `person`, `repeat`, `help`, or `transfer:<name>`."""
OF_STEPS: Final = ("", "end", "person")
OF_INTENTS: Final = (*OF_STEPS, "repeat", "help")
TRANSFER: Final = "transfer:"


@dataclass(frozen=True, slots=True)
class Destination:
    """Somebody to put callers through to.

    `to`: a number with country code, a phone of ours, or a SIP URI; the outbound rules judge it as well. `attended`: the
    agent speaks with them first and says `brief`. `then`: what happens to the caller when they hang up. `stays`: the
    agent goes on listening, to know what was said.
    """

    name: str
    to: str
    mode: Literal["blind", "attended"] = "blind"
    then: Literal["return", "end"] = "return"
    stays: bool = True
    brief: tuple[str, ...] = ()


def read_ending(reader: Reader, allowed: Sequence[str]) -> Ending:
    """The key `ending`; which transfers there are is looked at when all is read."""
    value = reader.text("ending")
    if value.startswith(TRANSFER):
        return value
    if value not in allowed:
        named = ", ".join(repr(each) for each in allowed)
        reader.fault("ending", f"must be one of {named} or '{TRANSFER}<name>'")
        return ""
    return value


def read_destination(reader: Reader) -> Destination:
    """One of `transfers`."""
    mode = reader.choice("mode", ("blind", "attended"), "blind")
    then = reader.choice("then", ("return", "end"), "return")
    found = Destination(
        name=reader.name("name", required=True),
        to=reader.text("to", required=True),
        mode="attended" if mode == "attended" else "blind",
        then="end" if then == "end" else "return",
        stays=not reader.flag("leaves"),
        brief=reader.texts("brief"),
    )
    reader.close()
    if found.brief and mode == "blind":
        reader.fault("brief", "is said to the other side, which needs mode 'attended'")
    return found


def target_of(ending: Ending, transfers: Mapping[str, Destination]) -> Destination | None:
    """The destination that an ending names."""
    return transfers.get(ending.removeprefix(TRANSFER)) if ending.startswith(TRANSFER) else None


def transfer_endings(transfers: Iterable[str]) -> frozenset[Ending]:
    """The endings that put callers through."""
    return frozenset(TRANSFER + name for name in transfers)


def faults_of_endings(
    endings: Iterable[tuple[str, Ending]], transfers: Mapping[str, Destination]
) -> Iterator[str]:
    """Endings, by place, that name a transfer which is not there."""
    for place, ending in endings:
        if ending.startswith(TRANSFER) and target_of(ending, transfers) is None:
            yield f"{place}.ending: there is no transfer {ending.removeprefix(TRANSFER)!r}"
