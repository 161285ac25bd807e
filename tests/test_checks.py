"""The checks as a whole: they are worth the table's points, solutions pass them all, stubs none."""

import random

import pytest
from conftest import ROOT, SOLUTIONS, checks_of, earned, solution_files, with_body

from grader.assignment import BUILDS_ON, BY_NAME, TASKS, TOTAL_POINTS
from grader.examine import examine
from grader.outcomes import Outcome
from grader.reference import RecordedReference, load_solutions
from grader.report import Report, decode, encode
from grader.submission import Submission, read_folder


@pytest.fixture(scope="module")
def solved() -> Report:
    return examine(read_folder(SOLUTIONS), hidden=True, secret=b"course")


@pytest.fixture(scope="module")
def untouched() -> Report:
    return examine(read_folder(ROOT / "student"), hidden=True, secret=b"course")


def test_solutions_get_all_points(solved: Report) -> None:
    wrong = [
        (c.id, c.message) for task in solved.tasks for c in task.checks if c.outcome is not Outcome.PASSED
    ]
    assert wrong == []
    assert solved.earned == TOTAL_POINTS == 55


def test_stubs_get_none_and_every_check_says_missing(untouched: Report) -> None:
    assert untouched.earned == 0
    assert {check.outcome for task in untouched.tasks for check in task.checks} == {Outcome.MISSING}


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_checks_are_worth_the_points_of_the_table(solved: Report, task) -> None:
    checks = checks_of(solved, task.name)
    assert sum(check.points for check in checks) == task.points
    assert {check.visibility for check in checks} == {"public", "hidden"}


def test_names_of_checks_are_unique_and_their_needs_exist(solved: Report) -> None:
    import importlib.util

    names = [check.id.split("/", 1)[1] for task in solved.tasks for check in task.checks]
    assert len(names) == len(set(names))
    folders = (ROOT / "grader/checks/public", ROOT / "grader/instructor/checks")
    for path in (path for folder in folders for path in folder.glob("test_*.py")):
        spec = importlib.util.spec_from_file_location(f"check_{path.parent.name}_{path.stem}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for value in vars(module).values():
            info = getattr(value, "check_info", None)
            if info is not None and info.needs:
                assert f"{info.task}/{info.needs}" in names


@pytest.mark.parametrize("seed", range(6))
def test_solutions_pass_on_any_seed(seed: int) -> None:
    student = f"student {random.Random(seed).random()}"
    report = examine(Submission(student, solution_files()), hidden=True, secret=bytes([seed]))
    assert [c.message for task in report.tasks for c in task.checks if c.outcome is not Outcome.PASSED] == []


def test_signatures_are_those_of_the_table() -> None:
    import inspect

    modules = load_solutions()
    for task in TASKS:
        parameters = [
            name
            for name, parameter in inspect.signature(
                getattr(modules[task.module], task.name)
            ).parameters.items()
            if parameter.kind is not inspect.Parameter.KEYWORD_ONLY
        ]
        assert tuple(parameters) == task.parameters


def test_tasks_build_on_tasks() -> None:
    assert {name for names in BUILDS_ON.values() for name in names} <= BY_NAME.keys()


def test_a_report_survives_its_record(solved: Report) -> None:
    assert decode(encode(solved)) == solved


def test_the_same_verdicts_come_from_recordings(tmp_path) -> None:
    """A student's kit has no solutions: recordings give outcome, message and diagnosis alike."""
    from grader.instructor.recordings import write_recordings

    write_recordings(tmp_path / "expectations.npz")
    recorded = RecordedReference(tmp_path / "expectations.npz")
    submission = with_body("layers", "conv2d", "return F.unfold(x, 2).sum() * weight.flip(-1).sum()")
    wrong = with_body(
        "layers",
        "conv2d",
        "w = weight.flip(-1, -2)\n"
        "patches = F.unfold(x, weight.shape[-2:], padding=padding, stride=stride)\n"
        "y = (w.flatten(1) @ patches).unflatten(-1, ((x.shape[2] + 2 * padding - w.shape[2]) // stride + 1, -1))\n"
        "return y if bias is None else y + bias[:, None, None]",
    )
    for case in (read_folder(SOLUTIONS), submission, wrong):
        live, replayed = examine(case), examine(case, reference=recorded)
        assert [(c.id, c.outcome, c.message, c.diagnosis) for t in live.tasks for c in t.checks] == [
            (c.id, c.outcome, c.message, c.diagnosis) for t in replayed.tasks for c in t.checks
        ]
    assert "true convolution" in checks_of(replayed, "conv2d")[0].diagnosis


def test_a_mistake_in_a_layer_is_pointed_out_where_it_shows_again() -> None:
    report = examine(with_body("layers", "relu", "return x.abs()"), tasks=["relu", "LeNet5"])
    logits = next(check for check in checks_of(report, "LeNet5") if check.id.endswith("logits"))
    assert "relu" in logits.diagnosis
    assert earned(report)["relu"] == 0
