"""What `grade check` remembers of a folder, and its hints in steps."""

import os
import shutil
from pathlib import Path

import pytest
from conftest import SOLUTIONS

from grader.nudges import NUDGES, steps_of
from grader.outcomes import Outcome
from grader.progress import STATE_VARIABLE, Progress
from grader.report import CheckResult, Report, TaskResult
from grader.suite import Suite


def result(name: str, outcome: str, diagnosis: str = "") -> CheckResult:
    task = name.partition("/")[0]
    return CheckResult(f"public/{name}", task, "?", "public", 0.5, Outcome(outcome), diagnosis=diagnosis)


def report(**outcomes: str) -> Report:
    """Of checks named `task__check`."""
    tasks: dict[str, list[CheckResult]] = {}
    for name, outcome in outcomes.items():
        check = result(name.replace("__", "/"), outcome)
        tasks.setdefault(check.task, []).append(check)
    found = tuple(TaskResult(task, 0.5 * len(checks), tuple(checks)) for task, checks in tasks.items())
    return Report("me", "", "", found)


def progress_after(folder: Path, *reports: Report) -> Progress:
    for one in reports:
        progress = Progress.of(folder)
        progress.remember(one)
        progress.save()
    return Progress.of(folder)


CHANGES = {
    "the first time": ([], report(relu__values="failed"), []),
    "better": (
        [report(relu__values="failed")],
        report(relu__values="passed"),
        ["Better than last time: relu/values (+0.5 points)."],
    ),
    "worse": (
        [report(relu__values="passed")],
        report(relu__values="error"),
        ["Worse than last time: relu/values (-0.5 points)."],
    ),
    "both, whole tasks by their names": (
        [report(linear__values="passed", linear__gradients="passed", conv2d__values="failed", conv2d__bias="skipped")],
        report(linear__values="failed", linear__gradients="skipped", conv2d__values="passed", conv2d__bias="passed"),
        ["Better than last time: conv2d (+1 point).", "Worse than last time: linear (-1 point)."],
    ),
    "nothing": ([report(relu__values="failed")], report(relu__values="failed"), ["Neither better nor worse than last time."]),
    "begun": ([report(relu__values="missing")], report(relu__values="failed"), []),
    "all as right as before": ([report(relu__values="passed")], report(relu__values="passed"), []),
    "another task": ([report(elu__values="failed")], report(relu__values="failed"), []),
    "a run of another task between": (
        [report(relu__values="failed"), report(elu__values="failed")],
        report(relu__values="passed"),
        ["Better than last time: relu/values (+0.5 points)."],
    ),
    "the kit failed between": (
        [report(relu__values="passed"), report(relu__values="no verdict")],
        report(relu__values="passed"),
        [],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("before", "now", "lines"), CHANGES.values(), ids=CHANGES.keys())
def test_what_got_better_or_worse_is_said(
    tmp_path: Path, before: list[Report], now: Report, lines: list[str]
) -> None:
    assert progress_after(tmp_path, *before).since(now) == lines


def test_folders_do_not_share_what_is_remembered(tmp_path: Path) -> None:
    progress_after(tmp_path / "one", report(relu__values="failed"))
    assert Progress.of(tmp_path / "two").since(report(relu__values="passed")) == []


def test_a_folder_is_the_same_by_any_of_its_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    progress_after(tmp_path, report(relu__values="failed"))
    monkeypatch.chdir(tmp_path)
    assert Progress.of(Path(".")).since(report(relu__values="passed"))


DAMAGED = {
    "nothing": b"",
    "no JSON": b"{",
    "other JSON": b'["a"]',
    "an unknown outcome": b'{"outcomes": {"relu/values": "perfect"}}',
    "no text": b"\xff\xfe\0",
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_file_is_as_none_and_is_mended(tmp_path: Path, data: bytes) -> None:
    first = progress_after(tmp_path, report(relu__values="failed"))
    assert first.path is not None
    first.path.write_bytes(data)
    assert Progress.of(tmp_path).since(report(relu__values="passed")) == []
    assert progress_after(tmp_path, report(relu__values="failed")).since(report(relu__values="passed"))


@pytest.mark.slow
def test_where_nothing_can_be_written_a_check_runs_all_the_same(grade, tmp_path: Path) -> None:
    shutil.copytree(SOLUTIONS, tmp_path / "student")
    (tmp_path / "state").write_text("a file in the folder's place")
    done = grade("check", "relu", **{STATE_VARIABLE: str(tmp_path / "state")})
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.mark.slow
def test_nothing_is_left_in_the_submission(grade, tmp_path: Path) -> None:
    folder = shutil.copytree(SOLUTIONS, tmp_path / "student")
    before = sorted(os.listdir(folder))
    grade("check", "relu")
    assert sorted(os.listdir(folder)) == before


@pytest.mark.slow
def test_a_check_command_says_what_got_better_and_worse(grade, tmp_path: Path) -> None:
    layers = Path(shutil.copytree(SOLUTIONS, tmp_path / "student")) / "layers.py"
    right = layers.read_text()
    layers.write_text(right.replace("return x.clamp(min=0)", "return x"))
    assert "last time" not in grade("check", "relu", "linear").stdout
    layers.write_text(right.replace("y = x @ weight.T", "y = x @ weight.T + 1"))
    said = grade("check", "relu", "linear").stdout
    assert "Better than last time: relu/values (+0.5 points)." in said
    assert "Worse than last time: linear (-1 point)." in said


# -- hints ------------------------------------------------------------------------------------------


def test_hints_come_one_by_one_and_stay(tmp_path: Path) -> None:
    check = result("conv2d/values", "failed", "The kernel is flipped.")
    labels = [label for label, _ in steps_of(check)]
    assert labels == ["nudge", "likely", "read"]
    counts = []
    for _ in range(4):
        progress = Progress.of(tmp_path)
        counts.append(progress.next_step(check, len(labels)))
        progress.save()
    assert counts == [1, 2, 3, 3]


def test_another_failure_begins_with_a_nudge_again(tmp_path: Path) -> None:
    progress = Progress.of(tmp_path)
    flipped = result("conv2d/values", "failed", "The kernel is flipped.")
    assert [progress.next_step(flipped, 3) for _ in range(2)] == [1, 2]
    assert progress.next_step(result("conv2d/values", "error", "A name is not defined."), 3) == 1


def test_what_passed_and_fails_again_begins_anew(tmp_path: Path) -> None:
    check = result("relu/values", "failed")
    progress = Progress.of(tmp_path)
    progress.next_step(check, 2)
    progress.remember(report(relu__values="passed"))
    assert progress.next_step(check, 2) == 1


def test_where_there_is_no_diagnosis_reading_follows_the_nudge() -> None:
    assert [label for label, _ in steps_of(result("relu/values", "failed"))] == ["nudge", "read"]


@pytest.mark.parametrize(
    "outcome", ["failed", "error", "timeout", "memory", "crashed", "forbidden", "no verdict"]
)
def test_every_outcome_has_a_nudge(outcome: str) -> None:
    (_, nudge), *_ = steps_of(result("relu/no-such-check", outcome))
    assert nudge


def test_nudges_are_for_checks_that_there_are() -> None:
    public = {check_id.partition("/")[2] for check_id in Suite(["public"]).checks()}
    assert set(NUDGES) - public == set()


@pytest.mark.slow
def test_hint_withholds_the_diagnosis_at_first(grade, tmp_path: Path) -> None:
    layers = Path(shutil.copytree(SOLUTIONS, tmp_path / "student")) / "layers.py"
    layers.write_text(layers.read_text().replace("windows, weight)", "windows, weight.flip(-1, -2))"))
    first, second, third = (" ".join(grade("check", "conv2d", "--hint").stdout.split()) for _ in range(3))
    flipped = "the kernel is flipped"
    assert NUDGES["conv2d/values"] in first
    assert flipped not in first
    assert "grade check conv2d/values --hint" in first
    assert flipped in second
    assert "grade explain conv2d" not in second
    assert "grade explain conv2d" in third
    assert "--hint" not in third
    assert flipped in " ".join(grade("check", "conv2d").stdout.split())  # without the option: all at once


@pytest.mark.slow
def test_a_failure_without_a_diagnosis_says_how_to_get_a_hint(grade, tmp_path: Path) -> None:
    layers = Path(shutil.copytree(SOLUTIONS, tmp_path / "student")) / "layers.py"
    layers.write_text(layers.read_text().replace("return x.clamp(min=0)", "return x.sin() + 3"))
    assert "grade check relu/values --hint" in grade("check", "relu").stdout


@pytest.mark.slow
def test_a_stub_is_told_where_to_begin(grade, tmp_path: Path) -> None:
    shutil.copytree(SOLUTIONS.parent / "student", tmp_path / "student")
    assert "grade explain relu" in grade("check", "relu", "--hint").stdout


@pytest.mark.parametrize("other", ["--watch", "--json"])
def test_hint_goes_with_neither_watch_nor_json(grade, tmp_path: Path, other: str) -> None:
    (tmp_path / "student").mkdir()
    done = grade("check", "--hint", other)
    assert done.returncode == 2
    assert "--hint goes with neither" in done.stderr
