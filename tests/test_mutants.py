"""Every mutant loses points where it is wrong and nowhere else, and hears what the mistake was."""

import sys
from collections.abc import Callable

import pytest
from mutants import MUTANTS, Mutant, apply

from grader.assignment import BY_NAME, TASKS
from grader.instructor.authoring import mutation
from grader.instructor.mistakes import MISTAKES
from grader.report import Report

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="examines in forked processes"),
]

HINTS = {mistake.name: mistake.hint for mistakes in MISTAKES.values() for mistake in mistakes}


@pytest.fixture(scope="module")
def reports(request: pytest.FixtureRequest) -> dict[str, Report]:
    """The reports of those mutants that this run tests, on the tasks that their change can reach."""
    chosen: dict[str, Mutant] = {}
    for item in request.session.items:
        mutant = getattr(item, "callspec", None) and item.callspec.params.get("mutant")
        if isinstance(mutant, Mutant):
            chosen[mutant.name] = mutant
    jobs = [(name, apply(mutant), mutation.reached(mutant)) for name, mutant in chosen.items()]
    return mutation.examine_all(jobs)


@pytest.fixture
def report_of(reports: dict[str, Report]) -> Callable[[Mutant], Report]:
    return lambda mutant: reports[mutant.name]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_loses_points_where_it_is_wrong_and_nowhere_else(mutant: Mutant, report_of) -> None:
    assert mutation.wrong_points(mutant, report_of(mutant)) == ""


@pytest.mark.parametrize("mutant", [m for m in MUTANTS if m.hint], ids=lambda mutant: mutant.name)
def test_mutant_hears_what_the_mistake_was(mutant: Mutant, report_of) -> None:
    assert mutation.wrong_hint(mutant, report_of(mutant)) == ""


@pytest.mark.parametrize("mutant", [m for m in MUTANTS if m.outcome], ids=lambda mutant: mutant.name)
def test_mutant_ends_as_it_must(mutant: Mutant, report_of) -> None:
    assert mutation.wrong_outcome(mutant, report_of(mutant)) == ""


def test_every_name_has_mutants_and_known_mistakes() -> None:
    assert {mutant.loses for mutant in MUTANTS} == set(MISTAKES) == set(BY_NAME)
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    assert len(HINTS) == sum(map(len, MISTAKES.values())), "two mistakes have the same name"


def test_every_ban_has_cheats() -> None:
    cheated = {mutant.loses for mutant in MUTANTS if mutant.outcome == "forbidden"}
    assert cheated == {task.name for task in TASKS if task.bans}
