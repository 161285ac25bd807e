"""Every right submission gets full points, however it is written."""

import sys

import pytest
from equivalents import EQUIVALENTS, Equivalent

from grader.assignment import TASKS, TOTAL_POINTS
from grader.instructor.authoring.mutation import examine_all
from grader.report import Report

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="examines in forked processes"),
]


@pytest.fixture(scope="module")
def reports(request: pytest.FixtureRequest) -> dict[str, Report]:
    """The reports of those submissions that this run tests."""
    chosen: dict[str, Equivalent] = {}
    for item in request.session.items:
        equivalent = getattr(item, "callspec", None) and item.callspec.params.get("equivalent")
        if isinstance(equivalent, Equivalent):
            chosen[equivalent.name] = equivalent
    tasks = tuple(task.name for task in TASKS)
    return examine_all([(name, equivalent.files, tasks) for name, equivalent in chosen.items()])


@pytest.mark.parametrize("equivalent", EQUIVALENTS, ids=lambda equivalent: equivalent.name)
def test_equivalent_gets_full_points(equivalent: Equivalent, reports: dict[str, Report]) -> None:
    report = reports[equivalent.name]
    lost = [(c.id, c.outcome, c.message, c.location) for t in report.tasks for c in t.checks if not c.earned]
    assert lost == []
    assert report.earned == TOTAL_POINTS
