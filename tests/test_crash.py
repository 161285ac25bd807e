"""A batch that is killed, interrupted, out of disk or left with broken records goes on as if nothing had been."""

import ctypes
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT
from killed_batches import STUDENTS, grade, hand_in, totals

from grader.instructor.records import read_record

resource = pytest.importorskip("resource", reason="no such limits there")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks after orphans as Linux lets it")
PROGRAM = Path(__file__).with_name("killed_batches.py")


@pytest.mark.slow
def test_fifty_kills_and_ten_interrupts_lose_double_and_leave_nothing(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, PROGRAM, tmp_path, "7", "50", "10"], capture_output=True, text=True, timeout=600
    )
    assert (ran.stdout, ran.stderr, ran.returncode) == ("", "", 0)


@pytest.fixture
def students(tmp_path: Path) -> Path:
    chance = random.Random(3)
    for student in STUDENTS:
        hand_in(tmp_path / "class", student, chance)
    return tmp_path / "class"


def test_records_cut_short_anywhere_are_made_again(students: Path, tmp_path: Path) -> None:
    out, chance = tmp_path / "results", random.Random(4)
    grade(students, out)
    whole = totals(out)
    for path in (out / "records").iterdir():
        data = path.read_bytes()
        path.write_bytes(data[: chance.randrange(len(data))])
    grade(students, out)
    assert totals(out) == whole
    assert all(read_record(out / "records", student) is not None for student in STUDENTS)


# -- out of disk

FULL = """
import os, resource, sys
from pathlib import Path
sys.path[:0] = [ROOT, ROOT + "/tests"]
from killed_batches import grade, totals, STUDENTS
from grader.instructor.records import read_record
from grader.submission import SubmissionError
students, out = Path(sys.argv[1]), Path(sys.argv[2])
LIMIT
try:
    grade(students, out)
    sys.exit("the disk did not get full")
except SubmissionError as error:
    print(error)
there = list((out / "records").iterdir())
print(len(there), "records")
if any(path.name.startswith(".") or read_record(out / "records", path.stem) is None for path in there):
    sys.exit("there is half a record")
FREE
grade(students, out)
print(sorted(totals(out).items()) == sorted(totals(Path(sys.argv[3])).items()))
"""


def program(limit: str, free: str) -> str:
    return FULL.replace("ROOT", repr(str(ROOT))).replace("LIMIT", limit).replace("FREE", free)


def test_a_file_that_may_not_grow_stops_with_a_message_and_goes_on(students: Path, tmp_path: Path) -> None:
    grade(students, tmp_path / "undisturbed")
    limit = "before = resource.getrlimit(resource.RLIMIT_FSIZE); resource.setrlimit(resource.RLIMIT_FSIZE, (3000, before[1]))"
    code = program(limit, "resource.setrlimit(resource.RLIMIT_FSIZE, before)")
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    ran = subprocess.run(
        [sys.executable, "-c", code, students, tmp_path / "results", tmp_path / "undisturbed"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "Grading stopped: File too large" in ran.stdout
    assert ran.stdout.endswith("True\n")


def test_a_full_disk_stops_with_a_message_and_goes_on(students: Path, tmp_path: Path) -> None:
    """A small file system of its own, mounted where only this test sees it."""
    out = tmp_path / "results"
    out.mkdir()
    mount = ["unshare", "--mount", "sh", "-c", f'mount -t tmpfs -o size=120k tmpfs "{out}" && exec "$0" "$@"']
    if shutil.which("unshare") is None or subprocess.run([*mount, "true"], capture_output=True).returncode:
        pytest.skip("needs a mount of its own, which only root may make here")
    grade(students, tmp_path / "undisturbed")
    free = f"""assert os.system('mount -o remount,size=50m "{out}"') == 0"""
    ran = subprocess.run(
        [*mount, sys.executable, "-c", program("", free), students, out, tmp_path / "undisturbed"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "Grading stopped: No space left on device" in ran.stdout
    assert "\n0 records" not in ran.stdout
    assert ran.stdout.endswith("True\n")


# -- the real examination

BATCH = """
import sys
from pathlib import Path
from grader.instructor.batch import command
sys.exit(command(Path(sys.argv[1]), Path(sys.argv[2]), jobs=2))
"""


def real_class(folder: Path) -> None:
    """Right ones and wrong ones, and one that hangs for a while."""
    for number in range(6):
        package = folder / f"s{number}"
        package.mkdir(parents=True)
        for path in (ROOT / "solutions").glob("*.py"):
            text = path.read_text(encoding="utf-8") + f"# {number}\n"
            if number == 2:
                text = text.replace("return x.clamp(min=0)", "return x.abs()")
            if number == 4:
                text = text.replace("return 1 - image", "import os; os._exit(0)")
            (package / path.name).write_text(text, encoding="utf-8")


def verdicts(out: Path) -> dict[str, list[tuple[str, str, float]]]:
    found = {}
    for path in sorted((out / "records").glob("*.json")):
        record = json.loads(path.read_bytes())
        checks = [check for task in record["tasks"] for check in task["checks"]]
        found[record["student"]] = [(check["id"], check["outcome"], check["points"]) for check in checks]
    return found


@pytest.mark.slow
def test_kills_of_the_real_batch(tmp_path: Path) -> None:
    """Its pool, the untrusted parents and their workers end, too, and what is left to do is done."""
    real_class(tmp_path / "class")
    out, undisturbed = tmp_path / "results", tmp_path / "undisturbed"
    command = [sys.executable, "-c", BATCH, tmp_path / "class"]
    environ = {**os.environ, "GRADE_SECRET": "autumn", "PYTHONPATH": str(ROOT)}
    started = time.monotonic()
    subprocess.run([*command, undisturbed], env=environ, check=True, capture_output=True, timeout=300)
    seconds = time.monotonic() - started
    chance = random.Random(5)
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(36, 1, 0, 0, 0) == 0  # PR_SET_CHILD_SUBREAPER: orphans become our children
    try:
        before = children()
        for number in (signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM):
            batch = subprocess.Popen(
                [*command, out], env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            time.sleep(chance.uniform(0.3, 1.0) * seconds)
            batch.send_signal(number)
            batch.wait(60)
            deadline = time.monotonic() + 60
            while left := children() - before:
                assert time.monotonic() < deadline, [command_of(pid) for pid in left]
                for pid in left:
                    try:
                        os.waitpid(pid, os.WNOHANG)
                    except ChildProcessError:
                        pass
                time.sleep(0.05)
            assert all(
                read_record(out / "records", path.stem) is not None
                for path in (out / "records").glob("*.json")
            )
    finally:
        libc.prctl(36, 0, 0, 0, 0)
    done = subprocess.run([*command, out], env=environ, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert verdicts(out) == verdicts(undisturbed)
    assert not list(out.rglob(".*"))


def children() -> set[int]:
    """The processes that this one is the parent of."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")[:200]
    except OSError:
        return ""
