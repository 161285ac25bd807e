"""A batch that is stopped at random moments, again and again: a program for test_crash, which imports no torch.

    python killed_batches.py FOLDER SEED KILLS INTERRUPTS

The class changes between two runs, so that there is always something to do. Prints what went wrong, nothing if all
was right. Each batch is a process of its own; this one adopts what it leaves behind, and sees it end.
"""

import csv
import ctypes
import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from grader.assignment import BY_NAME, TASKS
from grader.instructor.batch import grade_all
from grader.instructor.records import read_record
from grader.outcomes import Outcome
from grader.report import CheckResult, Report, TaskResult
from grader.submission import Submission

STUDENTS = [f"s{number:02}" for number in range(24)]
_PR_SET_CHILD_SUBREAPER = 36


def examine(submission: Submission, *, tasks: Sequence[str], **_: object) -> Report:
    """Fails the tasks that the submission names; takes a few milliseconds."""
    failed = submission.files["layers.py"].decode().split()
    time.sleep(0.005)
    results = []
    for name in tasks:
        outcome = Outcome.FAILED if name in failed else Outcome.PASSED
        worth = float(BY_NAME[name].points)
        check = CheckResult(f"public/{name}/all", name, "It works.", "public", worth, outcome, "x" * 500)
        results.append(TaskResult(name, worth, (check,)))
    return Report(submission.student, submission.digest, "kit", tuple(results))


def hand_in(folder: Path, student: str, chance: random.Random) -> None:
    (folder / student).mkdir(parents=True, exist_ok=True)
    failed = " ".join(chance.sample([task.name for task in TASKS], 2))
    (folder / student / "layers.py").write_text(failed)


def grade(folder: Path, out: Path) -> None:
    grade_all(folder, out, jobs=2, examine=examine)


def stopped(folder: Path, out: Path, seconds: float, number: int) -> None:
    """Run a batch and stop it after so many seconds."""
    # an interrupt is not for the hooks that Python runs around a fork
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            grade(folder, out)
            status = 0
        except KeyboardInterrupt:
            status = 0
        finally:
            os._exit(status)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    time.sleep(seconds)
    os.kill(child, number)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        print(f"a batch ended with {os.WEXITSTATUS(status)}")


def all_ended(seconds: float = 30.0) -> bool:
    """Do all processes end that a batch has left? They are this one's children now."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.01)
        except ChildProcessError:
            return True
    return False


def totals(out: Path) -> dict[str, float]:
    found = {}
    for path in (out / "records").iterdir():
        report = read_record(out / "records", path.stem)
        if path.suffix == ".json":
            if report is None:
                print(f"{path.name} is half a record")
            else:
                found[report.student] = report.earned
    return found


def main(folder: Path, seed: int, kills: int, interrupts: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    chance = random.Random(seed)
    students, out = folder / "class", folder / "results"
    for student in STUDENTS:
        hand_in(students, student, chance)
    grade(students, out)
    finished = totals(out)
    numbers = [signal.SIGKILL] * kills + [signal.SIGINT] * interrupts
    chance.shuffle(numbers)
    for number in numbers:
        for student in chance.sample(STUDENTS, 8):
            hand_in(students, student, chance)
        stopped(students, out, chance.uniform(0, 0.25), number)
        if not all_ended():
            print("a process is left")
        if totals(out).keys() != finished.keys():
            print("a record is lost")
        if not (out / "before").exists():  # it came to its end
            finished = totals(out)
    for student in STUDENTS[:8]:
        hand_in(students, student, chance)
    grade(students, out)
    grade(students, folder / "undisturbed")
    now = totals(out)
    if now != totals(folder / "undisturbed"):
        print("the grades are not those of an undisturbed run")
    with (out / "changes.csv").open(newline="") as file:
        moved = {
            row["student"]: (float(row["total_before"]), float(row["total"])) for row in csv.DictReader(file)
        }
    expected = {name: (finished[name], now[name]) for name in STUDENTS if finished[name] != now[name]}
    if {name: pair for name, pair in moved.items() if pair[0] != pair[1]} != expected:
        print(f"the table of who moved is wrong: {moved} for {expected}")
    left = {path.name for path in out.iterdir()} | {path.name for path in (out / "records").iterdir()}
    wanted = {"secret", "lock", "class.txt", "records", "grades.csv", "changes.csv", "changes.txt"}
    left.discard("changes")  # tables of those runs that came to their end
    if left != wanted | {f"{student}.json" for student in STUDENTS}:
        print(f"files are left or lost: {sorted(left)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
