"""Who hears whom, from the state alone. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from telephony.call.ids import AGENT, CALLER, COMFORT, RINGBACK, LegId
from telephony.call.ports import Route
from telephony.call.state import CallState, Phase, Transfer


def routes(state: CallState) -> tuple[Route, ...]:
    """All edges of the call. Silence on hold, while the caller is away, and after the end."""
    match state.phase:
        case Phase.ACTIVE | Phase.RINGING:
            pass
        case Phase.RECONNECTING if state.transfer is not None and _carries(state, state.floor):
            return (
                Route(RINGBACK, _leg(state.floor)),
            )  # the caller went, and somebody else is rung
        case _:
            return ()
    transfer = state.transfer
    pairs = list(_of_floor(state) if transfer is None else _of_transfer(state, transfer))
    seen = dict.fromkeys((*pairs, *_overheard(state, pairs)))
    return tuple(Route(source, destination) for source, destination in seen)


Pair = tuple[LegId, LegId]


def _of_floor(state: CallState) -> Iterator[Pair]:
    """Whoever has the floor is heard by the caller; a person whom we dialled hears the caller."""
    floor = state.floor
    if floor is None or not _hears(state, CALLER) or state.phase is not Phase.ACTIVE:
        return
    if floor == AGENT:
        yield AGENT, CALLER
        return
    if not _carries(state, floor):
        return
    leg = state.legs[floor]
    yield (COMFORT if leg.held else floor), CALLER
    if leg.role == "target":
        yield CALLER, floor


def _of_transfer(state: CallState, transfer: Transfer) -> Iterator[Pair]:
    caller_hears = _hears(state, CALLER)
    early = next((leg for leg in transfer.targets if state.legs[leg].early), None)
    ringing = early if early is not None and not _carries(state, early) else RINGBACK
    if transfer.target is not None and _carries(state, transfer.target):
        if caller_hears:
            yield COMFORT, CALLER
        if state.floor == AGENT or _carries(state, state.floor):
            yield _leg(state.floor), transfer.target
        if _carries(state, state.floor):
            yield transfer.target, _leg(state.floor)
        return
    if transfer.by == "caller":  # the other side waits for whoever comes instead
        if _carries(state, state.floor):
            yield ringing, _leg(state.floor)
        return
    attended = transfer.mode == "attended"
    if caller_hears:
        yield (COMFORT if attended else ringing), CALLER
    if attended and _carries(state, state.floor):
        yield ringing, _leg(state.floor)


def _overheard(state: CallState, pairs: list[Pair]) -> Iterator[Pair]:
    """Supervisors who listen hear the caller and whoever speaks; one who speaks with a target hears only that."""
    transfer = state.transfer
    heard = [source for source, _ in pairs if source not in (RINGBACK, COMFORT)]
    for leg in state.legs.values():
        consults = transfer is not None and transfer.mode == "attended" and state.floor == leg.id
        if not leg.listening or not leg.carries or consults:
            continue
        for source in (CALLER, *heard):
            if source != leg.id and (source != CALLER or _sounds(state, CALLER)):
                yield source, leg.id


def _hears(state: CallState, leg_id: LegId) -> bool:
    """The leg takes audio: it is up, or it waits for its answer with the audio path open."""
    leg = state.legs.get(leg_id)
    return leg is not None and (leg.carries or (leg.early and state.direction == "inbound"))


def _sounds(state: CallState, leg_id: LegId) -> bool:
    leg = state.legs.get(leg_id)
    return leg is not None and (leg.carries or leg.early)


def _carries(state: CallState, leg_id: LegId | None) -> bool:
    leg = state.legs.get(leg_id) if leg_id is not None else None
    return leg is not None and leg.carries


def _leg(leg_id: LegId | None) -> LegId:
    return AGENT if leg_id is None else leg_id
