"""`grade all`: what is examined, what is kept, and what happens when something dies.

Where the point is the batch's own mechanics, `stand_in` takes the place of the examination: what a
submission's layers.py says is what it does. The last tests grade the sample class for real.
"""

import csv
import functools
import io
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ROOT
from rich.console import Console

from grader.assignment import BY_NAME, TASKS, TOTAL_POINTS
from grader.instructor import basis, batch, examiners
from grader.instructor.batch import course_secret, grade_all
from grader.instructor.outputs import Summary, print_summary
from grader.instructor.records import read_record, record_path
from grader.instructor.rows import Row, Status, row_of, write_grades_csv
from grader.outcomes import Outcome
from grader.report import CheckResult, Report, TaskResult
from grader.submission import Submission, SubmissionError

NAMES = tuple(task.name for task in TASKS)


def stand_in(submission: Submission, *, tasks: Sequence[str], **_: object) -> Report:
    """Full points, or what the submission's first line orders."""
    order, _, detail = submission.files["layers.py"].decode().strip().partition(" ")
    match order:
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "die-once" if not Path(detail).exists():
            Path(detail).touch()
            os._exit(3)
        case "raise":
            raise RuntimeError("no such check \udcff")
        case "exit":
            sys.exit(0)
        case "hang":
            time.sleep(600)
    failed = detail.split() if order == "fail" else []
    message = "\ud800" if order == "odd" else ""
    results = []
    for name in tasks:
        outcome = Outcome.FAILED if name in failed else Outcome.PASSED
        points = float(BY_NAME[name].points)
        check = CheckResult(f"hidden/{name}/values", name, "It works.", "hidden", points, outcome, message)
        results.append(TaskResult(name, points, (check,)))
    return Report(submission.student, submission.digest, "kit", tuple(results), output=str(os.getpid()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A class of three, each of which gets full points."""
    for name in ("anna", "ben", "carl"):
        hand_in(tmp_path / "class", name, "ok")
    return tmp_path / "class"


def hand_in(folder: Path, name: str, order: str) -> None:
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / name / "layers.py").write_text(order)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "results"


run = functools.partial(grade_all, jobs=2, examine=stand_in)


def table(out: Path) -> dict[str, dict[str, str]]:
    with (out / "grades.csv").open(newline="", encoding="utf-8") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def statuses(out: Path) -> dict[str, str]:
    return {student: row["status"] for student, row in table(out).items()}


# -- what is examined


def test_a_class_gets_records_and_a_table(folder: Path, out: Path) -> None:
    hand_in(folder, "dora", "fail conv2d relu")
    result = run(folder, out)
    assert (result.submissions, result.examined, result.without_verdict) == (4, 4, ())
    rows = table(out)
    assert list(rows) == ["anna", "ben", "carl", "dora"]
    assert list(rows["anna"]) == ["student", *NAMES, "total", "status", "isolation", "handed_in", "note"]
    assert rows["anna"]["total"] == "55"
    assert [rows["dora"][name] for name in ("conv2d", "relu", "fit", "total")] == ["0", "0", "5", "48"]
    assert sorted(path.name for path in (out / "records").iterdir()) == [f"{name}.json" for name in rows]
    record = read_record(out / "records", "dora")
    assert record is not None
    assert record.earned == 48


def test_a_second_run_examines_only_what_changed(folder: Path, out: Path) -> None:
    run(folder, out)
    assert run(folder, out).examined == 0
    hand_in(folder, "ben", "fail fit")
    hand_in(folder, "dora", "ok")
    assert run(folder, out).examined == 2
    assert table(out)["ben"]["total"] == "50"


def test_another_kit_or_another_secret_examines_everything(
    folder: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(folder, out)
    monkeypatch.setattr(basis, "_engine", lambda: (b"another",))
    assert run(folder, out).examined == 3
    monkeypatch.setenv("GRADE_SECRET", "another")
    assert run(folder, out).examined == 3
    assert run(folder, out).examined == 0


def test_force_examines_again(folder: Path, out: Path) -> None:
    run(folder, out)
    assert run(folder, out, force=True).examined == 3
    assert run(folder, out, force=True, students=["ben"]).examined == 1


def test_a_cut_record_is_made_again(folder: Path, out: Path) -> None:
    run(folder, out)
    path = record_path(out / "records", "ben")
    path.write_bytes(path.read_bytes()[:100])
    assert run(folder, out).examined == 1
    assert statuses(out)["ben"] == "graded"


def test_one_task_first_and_the_others_later_make_a_whole_record(folder: Path, out: Path) -> None:
    result = run(folder, out, tasks=["fit", "conv2d"])
    assert statuses(out)["anna"] == "partly graded"
    assert [table(out)["anna"][name] for name in ("conv2d", "relu", "fit", "total")] == ["6", "", "5", ""]
    assert result.summary.totals == [11.0] * 3
    assert run(folder, out, tasks=["conv2d"]).examined == 0
    assert run(folder, out).examined == 3
    assert table(out)["anna"]["total"] == "55"
    run(folder, out, tasks=["relu"], force=True)
    assert statuses(out) == dict.fromkeys(("anna", "ben", "carl"), "graded")


def test_one_student_leaves_the_others_as_they_are(folder: Path, out: Path) -> None:
    run(folder, out, students=["ben"])
    assert statuses(out) == {"anna": "not graded", "ben": "graded", "carl": "not graded"}
    run(folder, out)
    hand_in(folder, "carl", "fail fit")
    assert run(folder, out, students=["anna"]).without_verdict == ()
    assert statuses(out)["carl"] == "outdated"


def test_an_unknown_student_is_answered_with_names_like_it(folder: Path, out: Path) -> None:
    with pytest.raises(SubmissionError, match=r"no submission of bem\. Did you mean ben\?"):
        run(folder, out, students=["bem"])
    with pytest.raises(SubmissionError, match=r"no submission of Xaver\.$"):
        run(folder, out, students=["Xaver"])


def test_a_submission_that_is_gone_leaves_the_table_and_keeps_its_record(folder: Path, out: Path) -> None:
    run(folder, out)
    (folder / "ben" / "layers.py").unlink()
    (folder / "ben").rmdir()
    assert run(folder, out).gone == 1
    assert list(table(out)) == ["anna", "carl"]
    assert record_path(out / "records", "ben").exists()


def test_results_inside_the_class_are_no_submission(folder: Path) -> None:
    for _ in range(2):
        assert run(folder, folder / "results").submissions == 3


def test_bad_submissions_are_rows(folder: Path, out: Path) -> None:
    (folder / "broken.zip").write_bytes(b"PK")
    (folder / "empty").mkdir()
    (folder / "old.rar").write_bytes(b"Rar!")
    with zipfile.ZipFile(folder / "zoe.zip", "w") as archive:
        archive.writestr("zoe/layers.py", "ok")
    result = run(folder, out)
    assert statuses(out) == {
        "anna": "graded", "ben": "graded", "broken": "unreadable", "carl": "graded", "empty": "unreadable",
        "old": "unreadable", "zoe": "graded",
    }  # fmt: skip
    assert table(out)["broken"]["total"] == "0"
    assert result.without_verdict == ()
    assert [student for student, _ in result.summary.notes] == ["broken", "empty", "old"]
    assert result.summary.totals == [55.0] * 4
    assert run(folder, out).examined == 0


# -- what dies


def test_a_process_that_dies_takes_only_its_own_submission_along(
    folder: Path, out: Path, tmp_path: Path
) -> None:
    hand_in(folder, "dora", "die")
    hand_in(folder, "emil", f"die-once {tmp_path / 'died'}")
    for number in range(6):
        hand_in(folder, f"fay{number}", "ok")
    result = run(folder, out)
    assert result.without_verdict == ("dora",)
    assert statuses(out).pop("dora") == "no verdict"
    assert list(statuses(out).values()).count("graded") == 10
    assert (table(out)["dora"]["conv2d"], table(out)["dora"]["total"]) == ("", "")
    assert "ended twice" in result.summary.notes[0][1]
    hand_in(folder, "dora", "ok")
    assert (run(folder, out).examined, table(out)["dora"]["total"]) == (1, "55")


@pytest.mark.parametrize("order", ["raise", "exit", "odd"])
def test_a_failure_of_the_kit_is_no_verdict_and_is_tried_again(folder: Path, out: Path, order: str) -> None:
    hand_in(folder, "ben", order)
    assert run(folder, out).without_verdict == ("ben",)
    assert statuses(out) == {"anna": "graded", "ben": "no verdict", "carl": "graded"}
    assert run(folder, out).examined == 1


def test_an_examination_that_hangs_is_ended(folder: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hand_in(folder, "ben", "hang")
    watchdog = examiners._watchdog
    monkeypatch.setattr(examiners, "_watchdog", lambda seconds: watchdog(1.0))
    assert run(folder, out).without_verdict == ("ben",)


METHODS = ("fork", "spawn") if sys.platform == "linux" else ("spawn",)
SLOW = """
import os, sys, time
from pathlib import Path
from grader.instructor import basis, batch, examiners
from grader.report import CheckResult, Report, TaskResult
from grader.submission import SubmissionError

def slow(submission, *, tasks, **_):
    time.sleep(float(os.environ["SECONDS"]))
    tasks = tuple(TaskResult(name, 1.0, ()) for name in tasks)
    return Report(submission.student, submission.digest, "kit", tasks, output=str(os.getpid()))

if __name__ == "__main__":
    graded = batch.grade_all
    batch.grade_all = lambda *args, **options: graded(*args, **options, examine=slow)
    examiners.HOSTED = os.environ["METHOD"] == "fork"
    try:
        sys.exit(batch.command(Path(sys.argv[1]), Path(sys.argv[2]), jobs=2))
    except SubmissionError as error:
        sys.exit(str(error))
"""


@pytest.fixture
def slow_batch(tmp_path: Path, out: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a batch of 30 in a process of its own; each submission takes `seconds`."""
    for number in range(30):
        hand_in(tmp_path / "class", f"s{number:02}", "ok")
    script = tmp_path / "slow.py"
    script.write_text(SLOW)
    started = []

    def start(seconds: float, method: str = METHODS[0]) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, script, tmp_path / "class", out],
            env={**os.environ, "PYTHONPATH": str(ROOT), "SECONDS": str(seconds), "METHOD": method},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def records_of(out: Path) -> list[Path]:
    return sorted((out / "records").glob("*.json"))


def wait_for(condition: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("method", METHODS)
def test_a_killed_batch_goes_on_where_it_was(
    slow_batch: Callable[..., subprocess.Popen[str]], out: Path, method: str
) -> None:
    first = slow_batch(0.1, method)
    wait_for(lambda: len(records_of(out)) >= 5)
    first.kill()
    first.wait()
    kept = {path: path.read_bytes() for path in records_of(out)}
    assert 5 <= len(kept) < 30
    again = slow_batch(0.0, method)
    output, errors = again.communicate(timeout=60)
    assert again.returncode == 0, errors
    assert f"30 submissions, {30 - len(kept)} examined now." in output
    assert len(records_of(out)) == 30
    assert {path: path.read_bytes() for path in kept} == kept  # the finished ones as they were


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_killed_batch_leaves_no_process_behind(
    slow_batch: Callable[..., subprocess.Popen[str]], out: Path
) -> None:
    first = slow_batch(0.1)
    wait_for(lambda: len(records_of(out)) >= 4)
    first.kill()
    first.wait()
    reports = [read_record(out / "records", path.stem) for path in records_of(out)]
    pool = {int(report.output) for report in reports if report is not None}
    assert pool
    wait_for(lambda: not any(running(pid) for pid in pool))


def test_ctrl_c_keeps_what_is_finished(slow_batch: Callable[..., subprocess.Popen[str]], out: Path) -> None:
    process = slow_batch(0.2)
    wait_for(lambda: len(records_of(out)) >= 4)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to every process
    start = time.monotonic()
    output, errors = process.communicate(timeout=30)
    assert time.monotonic() - start < 5
    assert process.returncode == 130
    said, kept = re.match(r"Stopped: (\d+) of 30 examined", output), len(records_of(out))
    assert said
    assert kept - 1 <= int(said[1]) <= kept < 30  # stopped between a record and its count, perhaps
    assert "Traceback" not in errors


@pytest.mark.skipif(sys.platform == "win32", reason="no such locks")
def test_a_second_batch_on_the_same_folder_is_told(
    slow_batch: Callable[..., subprocess.Popen[str]], out: Path
) -> None:
    slow_batch(0.2)
    wait_for(lambda: len(records_of(out)) >= 1)
    second = slow_batch(0.0)
    _, errors = second.communicate(timeout=30)
    assert "Another `grade all` is writing" in errors


def test_a_place_that_cannot_be_written_is_explained(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SubmissionError, match="File exists"):
        run(folder, tmp_path / "file")


def test_a_full_disk_stops_with_a_message(folder: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes, mode: int = 0) -> None:
        raise OSError(28, "No space left on device", str(path))

    course_secret(out if out.exists() else (out.mkdir(), out)[1])
    monkeypatch.setattr(batch, "write_whole", full)
    with pytest.raises(SubmissionError, match="No space left"):
        run(folder, out)


# -- how much it takes


def test_no_more_is_read_ahead_than_twice_the_pool(
    folder: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        hand_in(folder, f"s{number:02}", "ok")
    read, done, ahead = 0, 0, []
    original = batch.read

    def counted(handed: batch.Handed) -> Submission:
        nonlocal read
        read += 1
        ahead.append(read - 43 - done)  # after the 43 that were read to compare digests
        return original(handed)

    def progress(finished: int, total: int, student: str) -> None:
        nonlocal done
        done = finished

    monkeypatch.setattr(batch, "read", counted)
    run(folder, out, on_progress=progress)
    assert done == 43
    assert max(ahead) <= 4 + 1


def test_a_run_with_nothing_to_do_imports_no_torch(folder: Path, out: Path) -> None:
    run(folder, out)
    code = (
        "import sys; from pathlib import Path; from grader.instructor.batch import command;"
        "command(Path(sys.argv[1]), Path(sys.argv[2]), jobs=2);"
        "sys.exit('torch' in sys.modules or 'pytest' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code, folder, out], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "3 submissions, 0 examined now." in ran.stdout


def test_progress_counts_up_and_names_students(folder: Path, out: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    run(folder, out, on_progress=lambda *event: seen.append(event))
    named = [event for event in seen if event[2]]
    assert seen[0] == (0, 3, "")
    assert [event[:2] for event in named] == [(1, 3), (2, 3), (3, 3)]
    assert {event[2] for event in named} == {"anna", "ben", "carl"}


def test_without_a_terminal_a_line_a_minute_says_how_far_it_is() -> None:
    lines = batch.ProgressLines(0.0)
    seen = [
        (second, line) for second in range(300) if (line := lines.line(2 * max(second - 10, 0), 2000, second))
    ]
    assert seen == [
        (60, "100 of 2000 examined, some 16 min left"),
        (120, "220 of 2000 examined, some 15 min left"),
        (180, "340 of 2000 examined, some 14 min left"),
        (240, "460 of 2000 examined, some 13 min left"),
    ]


# -- the secret


def test_the_secret_is_made_once_and_kept_from_others(tmp_path: Path) -> None:
    secret = course_secret(tmp_path)
    assert len(secret) == 64
    assert course_secret(tmp_path) == secret
    if sys.platform != "win32":
        assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_the_secret_of_the_environment_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADE_SECRET", "autumn")
    assert course_secret(tmp_path) == b"autumn"
    assert not (tmp_path / "secret").exists()


def test_an_empty_secret_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").touch()
    with pytest.raises(SubmissionError, match="is empty"):
        course_secret(tmp_path)


# -- outputs


def full_row(student: str, lost: float = 0.0) -> Row:
    earned: dict[str, float | None] = {task.name: float(task.points) for task in TASKS}
    return Row(student, earned | {"conv2d": 6 - lost}, Status.GRADED)


@pytest.mark.parametrize(
    ("student", "cell"),
    [
        ("anna", "anna"),
        ("Berg, Anna", '"Berg, Anna"'),
        ('Anna "A" Berg', '"Anna ""A"" Berg"'),
        ("Zoë 山田", "Zoë 山田"),
        ("a\nb", "a b"),
        ("a\r\n=1", "a  =1"),
        ("\n=1", "' =1"),
        ("\t=1", "' =1"),
        (" =1", "' =1"),
        ("\u2028x\x1b[31m", " x [31m"),
        ("＝1", "'＝1"),
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("O'Neil", "O'Neil"),
        ("a=b", "a=b"),
    ],
)
def test_names_are_quoted_and_never_a_formula(tmp_path: Path, student: str, cell: str) -> None:
    write_grades_csv(tmp_path / "grades.csv", [full_row(student)])
    lines = (tmp_path / "grades.csv").read_text("utf-8").split("\n", 1)
    assert lines[0] == f"student,{','.join(NAMES)},total,status,isolation,handed_in,note"
    assert lines[1].startswith(f"{cell},6,4,2,")
    assert lines[1].endswith(",55,graded,,,\n")


def test_points_are_written_as_people_write_them(tmp_path: Path) -> None:
    write_grades_csv(
        tmp_path / "grades.csv", [full_row("anna", 0.5), full_row("ben", 0.1 + 0.2), full_row("carl", 6)]
    )
    rows = table(tmp_path)
    assert [(row["conv2d"], row["total"]) for row in rows.values()] == [
        ("5.5", "54.5"),
        ("5.7", "54.7"),
        ("0", "49"),
    ]


def test_the_summary_fits_a_terminal_and_shows_names_as_text(folder: Path, out: Path) -> None:
    hostile = "[red]x\x1b[31m\x07[/nothing] " + "y" * 100
    hand_in(folder, "dora", "fail conv2d fit")
    hand_in(folder, "emil", "fail conv2d")
    result = run(folder, out)
    record = read_record(out / "records", "anna")
    assert record is not None
    unreadable = replace(record, student=hostile, problems=("[bold]\x1b]0;title\x07odd",))
    result.summary.add(replace(row_of(hostile, unreadable), status=Status.UNREADABLE), unreadable)
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    print_summary(console, result.summary)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, text.splitlines())) <= 80
    assert "Mean 51.6 of 55 points, median 55, over 5 graded submissions." in text
    assert text.index("conv2d") < text.index("fit")
    assert "2 of 5" in text
    assert "[red]x" in text
    assert "[/nothing]" in text
    assert "\x1b" not in text
    assert "\x07" not in text


def test_an_empty_summary_prints_nothing() -> None:
    console = Console(file=io.StringIO())
    print_summary(console, Summary(NAMES))
    assert console.file.getvalue() == ""  # type: ignore[attr-defined]


# -- for real

FULL = {task.name: float(task.points) for task in TASKS}
LAYERS = ("conv2d", "max_pool2d", "linear", "relu", "leaky_relu", "elu", "softmax", "cross_entropy")
TRANSFORMS = ("Invert", "mean_and_std", "with_negatives")
# student -> tasks with no point, tasks with full points (those in neither lose some or none)
SAMPLES: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "ada": ((), NAMES),
    "ben": (NAMES, ()),
    "chloe": (("train_epoch", "evaluate", "fit", *TRANSFORMS), (*LAYERS, "LeNet5")),
    "dan": (("conv2d",), (*LAYERS[1:], *TRANSFORMS)),
    "eve": ((), (*LAYERS, "LeNet5", "evaluate", *TRANSFORMS)),
    "finn": (("conv2d",), (*LAYERS[1:], *TRANSFORMS)),
    "gita": (("softmax",), (*LAYERS[:6], "cross_entropy", "LeNet5", *TRANSFORMS)),
    "hugo": (LAYERS, TRANSFORMS),
    "iris": (TRANSFORMS, (*LAYERS, "LeNet5", "train_epoch", "evaluate", "fit")),
    "jack": (("conv2d", "relu"), ("linear", *TRANSFORMS)),
    "kim": ((), NAMES),
    "leo": ((), NAMES),
    "mia": ((), NAMES),
    "noor": (("mean_and_std",), (*LAYERS, "LeNet5", "Invert", "with_negatives")),
    "olga": (NAMES, ()),
}


def grade_for_real(folder: Path, out: Path) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys; from pathlib import Path; from grader.instructor.batch import command;"
        "sys.exit(command(Path(sys.argv[1]), Path(sys.argv[2]), jobs=2))"
    )
    return subprocess.run(
        [sys.executable, "-c", code, folder, out], cwd=ROOT, capture_output=True, text=True, timeout=300
    )


@pytest.mark.slow
def test_the_sample_class_is_graded_as_its_readme_says(tmp_path: Path, out: Path) -> None:
    make = [sys.executable, ROOT / "examples" / "make.py", tmp_path / "class"]
    subprocess.run(make, check=True)
    ran = grade_for_real(tmp_path / "class", out)
    assert ran.returncode == 0, ran.stderr
    assert "failed most" in ran.stdout
    rows = table(out)
    assert list(rows) == list(SAMPLES)
    for student, (none, full) in SAMPLES.items():
        assert {name: rows[student][name] for name in none} == dict.fromkeys(none, "0"), student
        assert {name: float(rows[student][name]) for name in full} == {name: FULL[name] for name in full}, (
            student
        )
        assert rows[student]["status"] == ("unreadable" if student == "olga" else "graded")
    assert float(rows["eve"]["train_epoch"]) < 4
    outcomes = {
        student: {task.task: task.outcome for task in record.tasks}
        for student in SAMPLES
        if (record := read_record(out / "records", student)) is not None
    }
    assert set(outcomes["ben"].values()) == {Outcome.MISSING}
    assert outcomes["finn"]["conv2d"] is Outcome.FORBIDDEN
    assert outcomes["gita"]["softmax"] is Outcome.TIMEOUT
    assert outcomes["hugo"]["relu"] is Outcome.ERROR
    assert outcomes["jack"]["relu"] is Outcome.CRASHED
    subprocess.run(make, check=True)  # the same bytes again
    start = time.monotonic()
    again = grade_for_real(tmp_path / "class", out)
    assert time.monotonic() - start < 5
    assert "15 submissions, 0 examined now." in again.stdout


def test_three_submissions_for_real(tmp_path: Path, out: Path) -> None:
    """The whole way from folder to table in its shortest form, with the real examination."""
    for name in ("anna", "ben"):
        (tmp_path / "class" / name).mkdir(parents=True)
        for path in (ROOT / "solutions").glob("*.py"):
            text = path.read_text()
            if name == "ben":
                text = text.replace("return x.clamp(min=0)", "return x.abs()")
            (tmp_path / "class" / name / path.name).write_text(text)
    (tmp_path / "class" / "carl.zip").write_bytes(b"broken")
    ran = grade_for_real(tmp_path / "class", out)
    assert ran.returncode == 0, ran.stderr
    rows = table(out)
    assert rows["anna"]["total"] == str(TOTAL_POINTS)
    assert (rows["ben"]["relu"], rows["ben"]["conv2d"]) == ("0", "6")
    assert rows["carl"]["status"] == "unreadable"
