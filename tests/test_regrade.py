"""After a change only what depends on it is examined again, and a table says who moved, because of what."""

import csv
import functools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, prepare
from test_batch import hand_in, run, stand_in, table

from grader.assignment import BUILDS_ON, TASKS
from grader.instructor import basis, batch
from grader.instructor.changes import keep_before
from grader.instructor.records import read_record, write_whole
from grader.outcomes import Outcome
from grader.report import Report
from grader.submission import Submission

ALL = {task.name for task in TASKS}
OF_MODULE = {name: {task.name for task in TASKS if task.module == name} for name in {t.module for t in TASKS}}


# -- what depends on what


@pytest.fixture
def kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the kit, to be changed."""
    root = tmp_path / "kit"
    for name in ("grader", "solutions"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "*.npz"))
    checks = {"public": root / "grader/checks/public", "hidden": root / "grader/instructor/checks"}
    monkeypatch.setattr(basis, "ROOT", root)
    monkeypatch.setattr(basis, "_GRADER", root / "grader")
    monkeypatch.setattr(basis, "_SOLUTIONS", root / "solutions")
    monkeypatch.setattr(basis, "_MISTAKES", root / "grader/instructor/mistakes.py")
    monkeypatch.setattr(basis, "_CHECKS", checks)
    return root


def forget() -> None:
    for cached in (
        basis._engine,
        basis._check_files,
        basis._imported,
        basis._mistakes,
        basis.points_by_check,
    ):
        cached.cache_clear()


@pytest.fixture(autouse=True)
def _forget() -> object:
    yield
    forget()


def depending(kit: Path, change: Callable[[], object]) -> set[str]:
    """The tasks of which the basis differs after the change."""
    forget()
    before = basis.bases(b"secret")
    change()
    forget()
    after = basis.bases(b"secret")
    return {name for name in ALL if before[name] != after[name]}


STRIDE = '@check("conv2d", points=0.5, needs="values")\ndef test_conv2d__stride('
# file, what stands there, what comes in its place, and the tasks that depend on it
CHANGES: dict[str, tuple[str, str, str, set[str]]] = {
    "a check": ("grader/checks/public/test_layers.py", "s.conv2d(x, weight, stride=2)", "s.conv2d(x, weight, stride=3)", {"conv2d"}),
    "a sentence of a check": ("grader/checks/public/test_layers.py", "conv2d moves the kernel", "conv2d shifts the kernel", {"conv2d"}),
    "a hidden check": ("grader/instructor/checks/test_transforms.py", "def test_Invert__", "def test_Invert__new_", {"Invert"}),
    "points": ("grader/checks/public/test_layers.py", STRIDE, STRIDE.replace("0.5", "4"), set()),
    "what a check needs": ("grader/checks/public/test_layers.py", STRIDE, STRIDE.replace('"values"', '"bias"'), {"conv2d"}),
    "points that are computed": ("grader/checks/public/test_layers.py", STRIDE, STRIDE.replace("0.5", "1 / 2"), ALL),
    "a helper of checks": ("grader/instructor/checks/test_layers.py", "def _not_contiguous(x):", "def _not_contiguous(x, y=0):", OF_MODULE["layers"]),
    "experiments that checks share": ("grader/checks/experiments.py", "LEARNT = 2e-4", "LEARNT = 3e-4", ALL - OF_MODULE["layers"]),
    "a mistake": ("grader/instructor/mistakes.py", "def conv2d_flipped(", "def conv2d_turned(", {"conv2d"}),
    # experiments that checks share speak of many tasks: what they import can reach all of these
    "the solutions of a module": ("solutions/transforms.py", "return 1 - image", "return 1.0 - image", ALL - OF_MODULE["layers"]),
    "the layers, which others import": ("solutions/layers.py", "return x.clamp(min=0)", "return x.clamp(min=0.0)", ALL),
    "a comparison": ("grader/compare.py", "RTOL", "RTOL", ALL),
    "the worker": ("grader/worker/probes.py", '"""', '"""', ALL),
    "limits": ("grader/limits.py", "call: float = 10.0", "call: float = 11.0", ALL),
    "what the class's table looks like": ("grader/instructor/outputs.py", "_NOTES = 10", "_NOTES = 11", set()),
    "feedback": ("grader/instructor/course/feedback.py", "_FEW = 16 ", "_FEW = 5 ", set()),
    "the command line": ("grader/cli.py", "Check and grade", "Grade and check", set()),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANGES)
def test_what_depends_on_a_change(kit: Path, case: str) -> None:
    name, old, new, tasks = CHANGES[case]
    text = (kit / name).read_text(encoding="utf-8")
    assert old in text
    changed = text.replace(old, new, 1) if old != new else text + "\n# another line\n"
    assert depending(kit, lambda: (kit / name).write_text(changed, encoding="utf-8")) == tasks


def test_a_new_file_of_the_grader_counts_for_all(kit: Path) -> None:
    assert depending(kit, lambda: (kit / "grader" / "new.py").touch()) == ALL


def test_a_new_check_counts_for_its_task(kit: Path) -> None:
    path = kit / "grader/instructor/checks/test_layers.py"
    new = '\n\n@check("relu", points=1)\ndef test_relu__again(agree, draw):\n    """It works."""\n'
    assert depending(kit, lambda: path.write_text(path.read_text() + new)) == {"relu"}
    assert basis.points_by_check()["hidden/relu/again"] == 1


def test_a_mistake_that_another_calls_counts_for_both(kit: Path) -> None:
    path = kit / "grader/instructor/mistakes.py"
    text = path.read_text() + (
        '\n\n@mistake("relu", "No.")\ndef relu_a(x):\n    return x\n'
        '\n\n@mistake("elu", "No.")\ndef elu_a(x, alpha=1.0):\n    return relu_a(x)\n'
    )
    path.write_text(text)
    change = text.replace("def relu_a(x):\n    return x", "def relu_a(x):\n    return -x")
    assert depending(kit, lambda: path.write_text(change)) == {"relu", "elu"}


def test_another_secret_counts_for_all() -> None:
    one, other = basis.bases(b"one"), basis.bases(b"other")
    assert all(one[name] != other[name] for name in ALL)


def test_what_the_source_says_of_checks_is_what_pytest_collects() -> None:
    """Points are read from the source where nothing has to run; they have to be the real ones."""
    items = prepare().suite(hidden=True)._items
    collected = {}
    for item in items:
        info = item.obj.check_info
        visibility = "public" if item.path.parent.name == "public" else "hidden"
        collected[f"{visibility}/{info.task}/{item.name.partition('__')[2]}"] = info.points
    assert basis.points_by_check() == collected
    for name, found in basis.bases(b"").items():
        assert {key for key in found if "/" in key} == {key for key in collected if key.split("/")[1] == name}


@pytest.mark.slow
def test_all_that_an_examination_imports_counts() -> None:
    """Else a verdict could outlive what it was made by."""
    code = """
import json, sys
from grader.examine import close, examine
from grader.submission import Submission, read_folder
from pathlib import Path
files = dict(read_folder(Path("solutions")).files)
files["layers.py"] = files["layers.py"].replace(b"return x.clamp(min=0)", b"return x.abs()")
report = examine(Submission("a", files), hidden=True, secret=b"x")
assert 0 < report.earned < 55
close()
print(json.dumps([m.__file__ for n, m in sys.modules.items() if n.partition(".")[0] in ("grader", "solutions") and m.__file__]))
"""
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    imported = {Path(name) for name in json.loads(ran.stdout)}
    counted = {*basis.engine_files(), basis._MISTAKES, *(ROOT / "solutions").glob("*.py")}
    counted |= {path for folder in basis._CHECKS.values() for path in folder.glob("*.py")}
    counted |= {Path(basis.__file__).parents[1] / name for name in ("assignment.py", "checks/experiments.py")}
    assert {path.relative_to(ROOT).as_posix() for path in imported - counted} <= {
        "grader/checks/__init__.py", "grader/instructor/__init__.py"
    }  # fmt: skip


# -- who moved


def moved(out: Path) -> dict[str, list[tuple[str, str, str, str]]]:
    found: dict[str, list[tuple[str, str, str, str]]] = {}
    with (out / "changes.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            line = (row["total_before"], row["total"], row["check"], row["why"])
            found.setdefault(row["student"], []).append(line)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("anna", "ben", "carl"):
        hand_in(tmp_path / "class", name, "ok")
    return tmp_path / "class"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "results"


@pytest.fixture
def changed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Changes parts of a task's basis."""
    bases = batch.bases

    def change(task: str, **parts: str) -> None:
        def changed_bases(secret: bytes) -> Mapping[str, Any]:
            found = dict(bases(secret))
            found[task] = {**found[task], **{name.replace("__", "/"): value for name, value in parts.items()}}
            return found

        monkeypatch.setattr(batch, "bases", changed_bases)

    return change


def test_a_first_run_moves_nobody(folder: Path, out: Path) -> None:
    assert run(folder, out).moved is None
    assert not (out / "changes.csv").exists()
    assert run(folder, out).moved is None


def test_a_submission_that_changed_moves_its_student(folder: Path, out: Path) -> None:
    run(folder, out)
    hand_in(folder, "ben", "fail conv2d relu")
    result = run(folder, out)
    assert moved(out) == {
        "ben": [
            ("55", "48", "hidden/conv2d/values", "the submission changed"),
            ("55", "48", "hidden/relu/values", "the submission changed"),
        ]
    }
    assert result.moved is not None
    assert [one.student for one in result.moved] == ["ben"]
    assert not (out / "before").exists()
    assert run(folder, out).moved is None  # and the table stays
    assert "ben" in (out / "changes.txt").read_text()


def test_who_moved_in_earlier_runs_is_kept(folder: Path, out: Path) -> None:
    run(folder, out)
    for words in ("fail conv2d relu", "fail conv2d"):
        hand_in(folder, "ben", words)
        for path in out.glob("changes.*"):  # as if it were written a day earlier
            os.utime(path, (path.stat().st_mtime - 86_400,) * 2)
        run(folder, out)
    kept = sorted((out / "changes").iterdir())
    assert [path.suffix for path in kept] == [".csv", ".txt"]
    assert "48" in kept[0].read_text()
    assert moved(out)["ben"][0][:2] == ("48", "49")


def test_a_check_that_changed_examines_its_task_only(
    folder: Path, out: Path, changed: Callable[..., None], tmp_path: Path
) -> None:
    run(folder, out)
    changed("relu", hidden__relu__values="another")
    assert run(folder, out, examine=noting(tmp_path, "relu")).examined == 3
    assert noted(tmp_path) == {("relu",)}
    line = ("55", "54", "hidden/relu/values", "the check changed")
    assert moved(out) == {name: [line] for name in ("anna", "ben", "carl")}
    assert {row["total"] for row in table(out).values()} == {"54"}
    assert run(folder, out).examined == 0


def noting(folder: Path, task: str) -> Callable[..., Report]:
    return functools.partial(_noted, folder=folder, task=task)


def _noted(submission: Submission, *, tasks: Sequence[str], folder: Path, task: str, **_: object) -> Report:
    (folder / f"examined-{submission.student}").write_text(" ".join(tasks))
    strict = stand_in(Submission(submission.student, {"layers.py": f"fail {task}".encode()}), tasks=tasks)
    return Report(submission.student, submission.digest, "kit", strict.tasks)


def noted(folder: Path) -> set[tuple[str, ...]]:
    return {tuple(path.read_text().split()) for path in folder.glob("examined-*")}


@pytest.mark.parametrize(
    ("part", "why"),
    [
        ("solutions", "the solutions changed"), ("grader", "the grader or its libraries changed"),
        ("secret", "the course's secret changed"), ("helpers", "helpers of the checks changed"),
        ("hidden__relu__other", "another check of the task changed"),
    ],
)  # fmt: skip
def test_the_table_says_why(
    folder: Path, out: Path, changed: Callable[..., None], tmp_path: Path, part: str, why: str
) -> None:
    run(folder, out)
    changed("relu", **{part: "another"})
    run(folder, out, examine=noting(tmp_path, "relu"))
    assert moved(out)["anna"] == [("55", "54", "hidden/relu/values", why)]


def test_points_that_changed_examine_nothing(
    folder: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_in(folder, "ben", "fail conv2d")
    run(folder, out)
    monkeypatch.setattr(batch, "points_by_check", lambda: {"hidden/conv2d/values": 10.0})
    assert run(folder, out).examined == 0
    assert {name: row["total"] for name, row in table(out).items()} == {
        "anna": "59",
        "ben": "49",
        "carl": "59",
    }
    line = ("55", "59", "hidden/conv2d/values", "its points changed")
    assert moved(out) == {name: [line] for name in ("anna", "carl")}
    record = read_record(out / "records", "ben")
    assert record is not None
    assert record.points == 59


def test_nobody_moving_is_said(folder: Path, out: Path) -> None:
    run(folder, out)
    result = run(folder, out, force=True)
    assert result.moved == ()
    assert "Nobody's points changed." in (out / "changes.txt").read_text()


def test_a_verdict_after_none_is_a_move(folder: Path, out: Path) -> None:
    hand_in(folder, "ben", "raise")
    run(folder, out)
    (folder / "ben" / "layers.py").write_text("raise")
    result = run(folder, out, examine=noting(out, "relu"))
    assert result.moved is not None
    (ben,) = result.moved
    assert (ben.total_before, ben.total) == (None, 54)
    assert {change.why for change in ben.changes} <= {
        "it had no verdict before",
        "the check is gone",
        "the check is new",
    }


class Stop(Exception):
    pass


@pytest.mark.parametrize("stops", [(1,), (1, 0), (0, 0, 0)])
def test_the_table_after_a_stop_says_all_who_moved_since_the_last_finished_run(
    folder: Path, out: Path, stops: Sequence[int]
) -> None:
    run(folder, out)
    for name, order in (("anna", "fail relu"), ("ben", "fail linear"), ("carl", "fail elu")):
        hand_in(folder, name, order)
    for most in stops:

        def stop(done: int, total: int, student: str, most: int = most) -> None:
            if done > most:
                raise Stop

        with pytest.raises(Stop):
            run(folder, out, jobs=1, on_progress=stop)
        assert not (out / "changes.csv").exists()
    run(folder, out)
    assert {name: lines[0][:2] for name, lines in moved(out).items()} == {
        "anna": ("55", "54"), "ben": ("55", "53"), "carl": ("55", "54"),
    }  # fmt: skip


def test_a_student_who_moved_there_and_back_did_not_move(folder: Path, out: Path) -> None:
    run(folder, out)
    hand_in(folder, "anna", "fail relu")

    def stop(done: int, total: int, student: str) -> None:
        if done:
            raise Stop

    with pytest.raises(Stop):
        run(folder, out, on_progress=stop)
    hand_in(folder, "anna", "ok")
    assert run(folder, out).moved == ()


def test_only_the_oldest_record_is_kept(folder: Path, out: Path) -> None:
    run(folder, out)
    keep_before(out, "anna")
    first = (out / "before" / "anna.json").read_bytes()
    write_whole(out / "records" / "anna.json", b"another")
    keep_before(out, "anna")
    assert (out / "before" / "anna.json").read_bytes() == first


def test_a_record_that_is_partly_outdated_says_so(
    folder: Path, out: Path, changed: Callable[..., None]
) -> None:
    """A run for one task must not pass off another's stale verdict as current."""
    run(folder, out)
    changed("relu", solutions="another")
    assert run(folder, out, tasks=["conv2d"]).examined == 0
    assert {row["status"] for row in table(out).values()} == {"outdated"}
    run(folder, out)
    assert {row["status"] for row in table(out).values()} == {"graded"}


def test_advice_that_names_another_task_is_given_anew(
    folder: Path, out: Path, changed: Callable[..., None], tmp_path: Path
) -> None:
    """A LeNet5 that fails is told to mend conv2d first: whether that still fails is a new question."""
    hand_in(folder, "ben", "fail LeNet5")
    run(folder, out)
    assert "conv2d" in BUILDS_ON["LeNet5"]
    changed("conv2d", hidden__conv2d__values="another")
    run(folder, out, examine=noting(tmp_path, "LeNet5"))
    assert {path.name: path.read_text() for path in tmp_path.glob("examined-*")} == {
        "examined-anna": "conv2d", "examined-ben": "conv2d LeNet5", "examined-carl": "conv2d",
    }  # fmt: skip


# -- for real


@pytest.mark.slow
def test_a_check_changed_in_a_real_kit(tmp_path: Path) -> None:
    """Only its task is examined again, and the records are those of a run from nothing."""
    kit, out = tmp_path / "kit", tmp_path / "results"
    for name in ("grader", "solutions"):
        shutil.copytree(ROOT / name, kit / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "datasets.py", kit)
    for name, old, new in (
        ("right", "", ""),
        ("flipped", "windows, weight)", "windows, weight.flip(-2, -1))"),
        ("positive", "return x.clamp(min=0)", "return x.abs()"),
    ):
        shutil.copytree(
            ROOT / "solutions", tmp_path / "class" / name, ignore=shutil.ignore_patterns("__pycache__")
        )
        path = tmp_path / "class" / name / "layers.py"
        path.write_text(path.read_text().replace(old, new) if old else path.read_text())

    def grade(results: Path) -> str:
        command = [sys.executable, "-m", "grader", "all", tmp_path / "class", "--out", results, "--jobs", "2"]
        environ = {**os.environ, "PYTHONPATH": str(kit), "GRADE_SECRET": "autumn", "COLUMNS": "120"}
        done = subprocess.run(command, cwd=kit, env=environ, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def seconds() -> dict[tuple[str, str], list[float]]:
        return {
            (student, task.task): [check.seconds for check in task.checks]
            for student in ("right", "flipped", "positive")
            if (record := read_record(out / "records", student)) is not None
            for task in record.tasks
        }

    grade(out)
    before = seconds()
    path = kit / "grader" / "checks" / "public" / "test_layers.py"
    text = path.read_text()
    assert "agree(lambda s: s.relu(x))" in text
    path.write_text(text.replace("agree(lambda s: s.relu(x))", "agree(lambda s: s.relu(x) + 1 - 1)"))
    text = path.read_text()
    path.write_text(text.replace(STRIDE, STRIDE.replace("0.5", "1")))
    assert "3 examined now" in (said := grade(out))
    assert "conv2d/stride +0.5: its points changed" in said
    after = seconds()
    again = {task for (student, task) in before if before[student, task] != after[student, task]}
    assert "relu" in again
    assert again <= {"relu", "LeNet5"}  # a LeNet5 of whom relu fails gets its advice anew
    grade(tmp_path / "fresh")
    for student in ("right", "flipped", "positive"):
        regraded, fresh = (
            read_record(out / "records", student),
            read_record(tmp_path / "fresh" / "records", student),
        )
        assert regraded is not None
        assert fresh is not None
        assert told(regraded) == told(fresh)
    assert "3 submissions, 0 examined now." in grade(out)


def told(report: Report) -> list[tuple[str, float, Outcome, str, str]]:
    checks = [check for task in report.tasks for check in task.checks]
    return [(check.id, check.points, check.outcome, check.message, check.diagnosis) for check in checks]
