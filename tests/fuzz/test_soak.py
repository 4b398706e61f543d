"""A slice of `make fuzz`, and every input that ever was a find."""

from pathlib import Path

import pytest

from tests.fuzz.mutation import Mutator
from tests.fuzz.soak import CORPUS, attack
from tests.fuzz.targets import Target, targets

TARGETS = targets()
INPUTS = 6_000
KEPT = sorted(CORPUS.glob("*/*.bin"))


@pytest.mark.parametrize("name", TARGETS)
def test_a_slice_of_hostile_input_is_survived(name: str, tmp_path: Path):
    target = TARGETS[name]
    shares = sum(one.share for one in TARGETS.values())

    tally = attack(name, target, max(30, INPUTS * target.share // shares), 20261121, tmp_path)

    assert tally.finds == {}


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_once_was_a_find_is_none_any_more(path: Path):
    TARGETS[path.parent.name].make()(path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_good_input_is_no_find(name: str):
    check = TARGETS[name].make()

    for seed in TARGETS[name].seeds:
        check(seed)


def test_the_same_seed_gives_the_same_inputs():
    one, same, other = (Mutator(seed, [b"INVITE sip:a@b SIP/2.0"]) for seed in (1, 1, 2))
    inputs = [one.next() for _ in range(50)]

    assert inputs == [same.next() for _ in range(50)]
    assert inputs != [other.next() for _ in range(50)]


def test_a_find_is_kept_and_the_attack_goes_on(tmp_path: Path):
    def check(data: bytes) -> None:
        if data.startswith(b"A"):
            raise ValueError("a find")

    tally = attack("broken", Target(1, [b"A", b"B"], lambda: check), 200, 1, tmp_path)

    [find] = tally.finds
    kept = list((tmp_path / "broken").iterdir())
    assert find.startswith("ValueError at test_soak.py:")
    assert tally.finds[find] > 20
    assert tally.inputs == 200
    assert 0 < len(kept) <= 5
    assert all(path.read_bytes().startswith(b"A") for path in kept)
