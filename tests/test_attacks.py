"""Hostile submissions (`tests/attacks`), each with its right outcome, at levels A, B and D, as root and as an ordinary user.

By hand: `cd tests; python -m attacks.launch WORDS --level B --user ordinary`. Everything runs in namespaces of its
own. At level D only what does not end the examiner itself is run: that level promises scores and nothing else.
"""

import functools
from collections import Counter

import as_ordinary_user
import pytest
from attacks import ATTACKS
from attacks.launch import box, launch

from grader.isolation import Isolation, level_here, machine

if not box():
    pytest.skip(
        "no namespaces of one's own can be had here, and attacks run nowhere else", allow_module_level=True
    )

FAMILIES = tuple(dict.fromkeys(attack.family for attack in ATTACKS))
QUICK = [attack.id for attack in ATTACKS if attack.quick]
OF_SCORES = ("outcome:", "points:", "next:", "kit:", "a runner ended")


@functools.cache
def results(level: str, user: str) -> dict[str, list[str]]:
    """What is wrong with each attack, by its id; under "" what is wrong with the run itself."""
    if user == "ordinary" and (reason := as_ordinary_user.why_not()):
        pytest.skip(reason)
    return {found: result["problems"] for found, result in launch(level, user).items()}


@functools.cache
def quick_results() -> dict[str, list[str]]:
    return {found: result["problems"] for found, result in launch("A", "as it is", QUICK).items()}


def test_there_are_attacks_of_every_family() -> None:
    assert len(ATTACKS) >= 120
    assert min(Counter(attack.family for attack in ATTACKS).values()) >= 8
    assert len({attack.id for attack in ATTACKS}) == len(ATTACKS)
    assert {attack.family for attack in ATTACKS if attack.quick} == set(FAMILIES)


@pytest.mark.parametrize("attack", QUICK)
def test_an_attack_of_each_kind_fails(attack: str) -> None:
    if level_here(Isolation()) != "A":
        pytest.skip("this machine does not give level A")
    found = quick_results()
    assert found.get("", []) == []
    assert found[attack] == []


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("level", "user"), [("A", "root"), ("A", "ordinary"), ("B", "root"), ("B", "ordinary"), ("D", "root")]
)
def test_every_attack_fails(level: str, user: str, family: str) -> None:
    if user == "root" and not machine().root:
        pytest.skip("only root can run as root")
    if level == "A" and level_here(Isolation()) != "A":
        pytest.skip("this machine does not give level A")
    found = results(level, user)
    assert found.get("", []) == []
    wanted = [a for a in ATTACKS if a.family == family and not (level == "D" and a.ends_run)]
    assert {attack.id for attack in wanted} <= found.keys()
    wrong = {attack.id: found[attack.id] for attack in wanted if found[attack.id]}
    if level == "D":
        wrong = {
            name: said
            for name, told in wrong.items()
            if (said := [p for p in told if p.startswith(OF_SCORES)])
        }
    assert wrong == {}
