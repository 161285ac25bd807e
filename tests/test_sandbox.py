"""The sandbox's layers: which hold at each level, what they refuse, and what happens where one is missing."""

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import as_ordinary_user
import pytest
from conftest import GRADE, QUICK, ROOT, checks_of, earned, isolated, solution_files, with_body

from grader import examine as examine_module
from grader.assignment import TASKS
from grader.examine import Examiner, examine
from grader.isolation import WITHOUT_VARIABLE, Isolation, bubblewrap, enough, level_of, machine, weaker
from grader.limits import Limits
from grader.outcomes import KitError, Outcome
from grader.report import Report
from grader.submission import Submission
from grader.worker import landlock, sandbox

Run = Callable[..., subprocess.CompletedProcess[str]]
SANDBOXED = ("A", "B")
OLD_KERNEL = [sys.executable, str(ROOT / "tests" / "old_kernel.py")]

pytestmark = pytest.mark.skipif(
    machine(()).kernel_level != "A", reason="needs a kernel with Landlock and seccomp: see grade doctor"
)


def relu(body: str, level: str) -> Report:
    """The report on a `relu` that does this first."""
    with isolated(level):
        return examine(
            with_body("layers", "relu", f"{body}\nreturn x.clamp(min=0)"), tasks=["relu"], limits=QUICK
        )


def outcome(body: str, level: str) -> tuple[Outcome, str]:
    check = checks_of(relu(body, level), "relu")[0]
    return check.outcome, check.message


# -- levels

BELOW = ("session", "descriptors", "no capabilities", "limits", "no new privileges")
LAYERS = {"A": (*BELOW, "landlock", "seccomp"), "B": (*BELOW, "sealed seccomp"), "D": BELOW}


@pytest.mark.parametrize("level", LAYERS)
def test_the_layers_that_hold_are_reported_in_their_order(level: str) -> None:
    report = relu("", level)
    assert tuple(layer for layer in report.isolation if layer != "own user") == LAYERS[level]
    assert report.level == level


@pytest.mark.parametrize("level", LAYERS)
def test_the_solutions_have_full_marks_at_every_level(level: str) -> None:
    with isolated(level):
        report = examine(Submission("s", solution_files()), hidden=True)
    assert earned(report) == {task.name: task.points for task in TASKS}


def test_level_names_the_weaker_of_two() -> None:
    assert (weaker("A", "B"), weaker("D", "A"), weaker("", "A"), weaker("", "")) == ("B", "D", "A", "")
    assert [enough(level, "B") for level in ("A", "B", "C", "D", "", "E")] == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]
    assert [level_of(layers) for layers in (["landlock"], ["seccomp"], ["box"], [])] == ["D", "D", "C", "D"]


# -- what is refused: each line would do harm, or learn something, if it got through

CALL = """
import ctypes, os, signal, struct
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    if getattr(libc, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), name)
def syscall(number, *arguments):
    if libc.syscall(number, *arguments) == -1:
        raise OSError(ctypes.get_errno(), str(number))
"""
HOLES = {
    "a signal to the parent": "os.kill(os.getppid(), signal.SIGKILL)",
    "a signal to everybody": "os.kill(-1, signal.SIGTERM)",
    "a signal to the session's group": "os.killpg(os.getppid(), signal.SIGKILL)",
    "the owner of a descriptor's signal": "import fcntl; fcntl.fcntl(1, fcntl.F_SETOWN, os.getppid())",
    "the signal of a descriptor": "import fcntl; fcntl.fcntl(1, 10, signal.SIGKILL)",
    "asynchronous input": "import fcntl; fcntl.fcntl(1, fcntl.F_SETFL, os.O_ASYNC)",
    "asynchronous input by ioctl": "import fcntl; fcntl.ioctl(1, 0x5452, struct.pack('i', 1))",
    "keys for a terminal": "import fcntl; fcntl.ioctl(1, 0x5412, b'x')",
    "the parent's processors": "os.sched_setaffinity(os.getppid(), {0})",
    "its own processors": "os.sched_setaffinity(0, {0})",
    "the parent's priority": "os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)",
    "the parent's limits": "import resource; resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (0, 0))",
    "its own limits": "call('prlimit', 0, 0, (ctypes.c_ulong * 2)(1, 1), None)",
    "memory outside of its limit": "os.memfd_create('more')",
    "shared memory that outlives it": "call('shmget', 0, 1 << 20, 0o1600)",
    "a process": "os.fork()",
    "a program": "os.execv('/bin/true', ['true'])",
    "a program in a process": "import subprocess; subprocess.run(['/bin/true'])",
    "a new user namespace": "call('unshare', 0x10000000)",
    "a process in new namespaces": "syscall(56 if os.uname().machine == 'x86_64' else 220, 0x30000000 | 17, 0, 0, 0, 0)",
    "a mount": "call('mount', b'none', b'/mnt', b'tmpfs', 0, None)",
    "tracing the parent": "call('ptrace', 16, os.getppid(), None, None)",
    "reading the parent's memory": "call('process_vm_readv', os.getppid(), None, 0, None, 0, 0)",
    "a handle of the parent": "os.pidfd_open(os.getppid())",
    "a session of its own": "os.setsid()",
    "living on without the parent": "call('prctl', 1, 0, 0, 0, 0)",
    "being traced": "call('prctl', 4, 1, 0, 0, 0)",
    "another filter": "call('prctl', 22, 2, None, 0, 0)",
    "being root": "os.setuid(0)",
    "a socket to the network": "import socket; socket.socket(socket.AF_INET, socket.SOCK_STREAM)",
    "a datagram": "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "a socket in the file system": "import socket; socket.socket(socket.AF_UNIX)",
    "a pair of sockets": "import socket; socket.socketpair()",
    "io_uring": "syscall(425, 8, None)",
    "a program for the kernel": "syscall(321 if os.uname().machine == 'x86_64' else 280, 0, None, 0)",
    "another clock": "import time; time.clock_settime(time.CLOCK_REALTIME, 0)",
    "the solutions": f"open({str(ROOT / 'solutions' / 'layers.py')!r}).read()",
    "the hidden checks": f"os.listdir({str(ROOT / 'grader' / 'instructor' / 'checks')!r})",
    "the users": "open('/etc/passwd').read()",
    "its parent's environment": "open(f'/proc/{os.getppid()}/environ').read()",
    "its own environment": "open('/proc/self/environ').read()",
    "the list of processes": "os.listdir('/proc')",
    "a new file": "open('/tmp/grade-test-of-the-sandbox', 'w')",
    "a file without a name": "os.open('/tmp', os.O_TMPFILE | os.O_RDWR)",
    "a device": "open('/dev/tty')",
    "a folder's name": "os.mkdir('/tmp/grade-test-of-the-sandbox')",
}  # fmt: skip


@pytest.mark.parametrize("level", SANDBOXED)
@pytest.mark.parametrize("line", HOLES.values(), ids=HOLES.keys())
def test_what_a_submission_has_no_business_to_do_is_refused(line: str, level: str) -> None:
    found, message = outcome(f"{CALL}\n{line}", level)
    assert (found, "PermissionError" in message) == (Outcome.FORBIDDEN, True), message


CANARY = {
    "mode": "os.chmod({path!r}, 0)",
    "owner": "os.chown({path!r}, os.getuid(), os.getgid())",
    "times": "os.utime({path!r}, (0, 0))",
    "length": "os.truncate({path!r}, 0)",
    "length, opened to be read": "os.open({path!r}, os.O_RDONLY | os.O_TRUNC)",
    "content": "open({path!r}, 'a').write('mine')",
    "name": "os.rename({path!r}, {path!r} + '2')",
    "being": "os.unlink({path!r})",
    "second name": "os.link({path!r}, {path!r} + '2')",
    "attributes": "os.setxattr({path!r}, 'user.x', b'y')",
}


@pytest.mark.parametrize("level", SANDBOXED)
@pytest.mark.parametrize("line", CANARY.values(), ids=CANARY.keys())
def test_a_file_that_it_may_write_as_that_user_stays_as_it_is(tmp_path: Path, line: str, level: str) -> None:
    canary = tmp_path / "canary"
    canary.write_text("untouched")
    canary.chmod(0o666)
    before = canary.stat()
    assert outcome(f"import os; {line.format(path=str(canary))}", level)[0] is Outcome.FORBIDDEN
    after = canary.stat()
    assert canary.read_text() == "untouched"
    assert (after.st_mode, after.st_uid, after.st_mtime, after.st_nlink) == (
        before.st_mode, before.st_uid, before.st_mtime, 1
    )  # fmt: skip
    assert os.listdir(tmp_path) == ["canary"]


OTHER_ARCHITECTURES = {
    "x32": "libc.syscall(0x40000000 + 39)",
    "32 bits": """
import mmap
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(bytes.fromhex('b814000000cd80c3'))  # mov eax, getpid; int 0x80; ret
ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
""",
}


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="x86-64 alone has these")
@pytest.mark.parametrize("level", SANDBOXED)
@pytest.mark.parametrize("line", OTHER_ARCHITECTURES.values(), ids=OTHER_ARCHITECTURES.keys())
def test_a_system_call_of_another_architecture_ends_the_worker(line: str, level: str) -> None:
    found, message = outcome(f"{CALL}\n{line}", level)
    assert found is Outcome.FORBIDDEN
    assert "another architecture" in message


# -- what has to work inside

WORKS = {
    "threads": "import threading; t = threading.Thread(target=len, args=('',)); t.start(); t.join()",
    "a thread pool": "from concurrent.futures import ThreadPoolExecutor as P; list(P(2).map(len, ['a', 'b']))",
    "a DataLoader with processes": """
from torch.utils.data import DataLoader, TensorDataset
batches = list(DataLoader(TensorDataset(x), batch_size=2, num_workers=2, persistent_workers=True, timeout=9))
assert len(batches) == 2
""",
    "a progress bar": "import tqdm; list(tqdm.tqdm(range(3)))",
    "a modules of the standard library": "import decimal, json, csv, statistics, heapq, fractions, unittest",
    "NumPy": "import numpy; numpy.linalg.svd(numpy.ones((3, 3))); numpy.random.default_rng(0); numpy.fft.fft([1, 2])",
    "Pillow": "import PIL.Image; PIL.Image.new('L', (2, 2)).resize((4, 4))",
    "printing": "import sys; print('x'); print('x', file=sys.stderr)",
    "clocks": "import time; time.sleep(0.001); time.perf_counter(); time.localtime(); time.strftime('%Y')",
    "the real path of a link": "import os, pathlib; os.path.realpath('/proc/self'); pathlib.Path('/proc/self').resolve()",
    "a signal to itself": "import os, signal; signal.signal(signal.SIGUSR1, signal.SIG_IGN); os.kill(os.getpid(), signal.SIGUSR1)",
    "random numbers of the system": "import os, secrets; os.urandom(8); secrets.token_hex(8)",
    "an optimizer and its schedule": """
w = torch.nn.Parameter(x.clone())
optimizer = torch.optim.AdamW([w]); schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)
w.sum().backward(); optimizer.step(); schedule.step()
""",
    "linear algebra": "torch.linalg.svd(torch.ones(4, 4)); torch.fft.fft(torch.ones(4))",
    "vmap": "torch.func.vmap(torch.sin)(x)",
}  # fmt: skip


@pytest.mark.parametrize("level", SANDBOXED)
@pytest.mark.parametrize("line", WORKS.values(), ids=WORKS.keys())
def test_honest_code_works_inside(line: str, level: str) -> None:
    assert outcome(f"import torch\n{line}", level) == (Outcome.PASSED, "")


@pytest.mark.slow
@pytest.mark.parametrize("level", SANDBOXED)
@pytest.mark.parametrize(
    "line",
    [
        "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.close()",
        "import torchvision; from torchvision.transforms import v2; v2.Normalize([0.1], [0.3])",
    ],
)
def test_modules_that_take_seconds_are_imported_before_the_fork(line: str, level: str) -> None:
    with isolated(level):
        report = examine(
            with_body("layers", "relu", "return x.clamp(min=0)", preamble=line), tasks=["relu"], limits=QUICK
        )
    assert earned(report)["relu"] == 0.5


# -- a layer that is missing


def test_a_kernel_that_refuses_a_layer_gives_no_verdict_and_runs_nothing(tmp_path: Path) -> None:
    """Probing says that there is Landlock; taking it on fails, as in a container with a filter of its own."""
    folder = tmp_path / "student"
    folder.mkdir()
    for name, data in with_body("layers", "relu", "return x", "print('I ran')").files.items():
        (folder / name).write_bytes(data)
    done = subprocess.run(
        [*OLD_KERNEL, "446", *GRADE, "check", "relu", "-s", str(folder)],
        capture_output=True, text=True, cwd=ROOT, timeout=100,
    )  # fmt: skip
    assert "a layer of the sandbox is missing: landlock (" in " ".join(done.stdout.split())
    assert "no verdict" in done.stdout
    assert "I ran" not in done.stdout + done.stderr
    assert done.returncode == 1


def test_a_missing_layer_is_named() -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    if (child := os.fork()) == 0:
        status = 1
        try:
            sandbox.enter(sandbox.Plan(ruleset=null), os.dup(1), os.open(os.devnull, os.O_WRONLY), 60)
        except sandbox.LayerMissing as missing:
            status = 77 if missing.layer == "landlock" else 2
        finally:
            os._exit(status)
    os.close(null)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 77


def test_a_worker_below_what_is_required_gets_no_submission() -> None:
    with isolated("B") as examiner:
        kept, examiner.isolation = examiner.isolation, Isolation(require="A", without=("landlock",))
        try:
            report = examine(Submission("s", solution_files()), tasks=["relu"])
        finally:
            examiner.isolation = kept
    check = checks_of(report, "relu")[0]
    assert check.outcome is Outcome.NO_VERDICT
    assert "isolation of level B" in check.message


def test_only_layers_that_exist_can_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WITHOUT_VARIABLE, "landlock limits")
    with pytest.raises(KitError, match="only landlock and seccomp"):
        Isolation()


# -- the commands


@pytest.fixture
def a_class(tmp_path: Path) -> Path:
    folder = tmp_path / "class" / "anna"
    folder.mkdir(parents=True)
    for name, data in solution_files().items():
        (folder / name).write_bytes(data)
    return folder.parent


def grade_on(calls: str, *arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """`grade` as on a kernel without these system calls."""
    return subprocess.run(
        [*OLD_KERNEL, calls, *GRADE, *map(str, arguments)],
        cwd=cwd, capture_output=True, text=True, timeout=120, env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80"},
    )  # fmt: skip


def isolation_in(out: Path) -> list[str]:
    """The column of `grades.csv`."""
    with (out / "grades.csv").open(newline="") as file:
        return [row["isolation"] for row in csv.DictReader(file)]


def test_grade_all_refuses_what_is_not_isolated_and_says_what_to_do(a_class: Path, tmp_path: Path) -> None:
    done = grade_on("seccomp", "all", a_class, "--out", tmp_path / "out", cwd=tmp_path)
    assert done.returncode == 2
    for words in ("at level D", "level B or better", "seccomp", "grade doctor", "--unsafe"):
        assert words in done.stderr
    assert not list((tmp_path / "out").glob("records/*"))


@pytest.mark.slow
def test_grade_all_grades_at_a_lower_level_when_told(a_class: Path, tmp_path: Path) -> None:
    done = grade_on(
        "seccomp", "all", a_class, "--out", tmp_path / "out", "--unsafe", "-t", "relu", cwd=tmp_path
    )
    assert done.returncode == 0
    assert "1 at level D" in done.stdout
    assert isolation_in(tmp_path / "out") == ["D"]


@pytest.mark.slow
def test_grade_all_takes_level_b_unless_a_is_asked_for(a_class: Path, tmp_path: Path) -> None:
    asked = ("all", a_class, "--out", tmp_path / "out", "-t", "relu")
    refused = grade_on("444,445,446", *asked, "--require-isolation", "a", cwd=tmp_path)
    assert (refused.returncode, "Landlock" in refused.stderr) == (2, True)
    assert grade_on("444,445,446", *asked, cwd=tmp_path).returncode == 0
    assert isolation_in(tmp_path / "out") == ["B"]


def test_a_level_that_is_none_is_refused(grade: Run) -> None:
    done = grade("all", ROOT, "--require-isolation", "E")
    assert (done.returncode, "A, B, C, D" in done.stderr) == (2, True)


DOCTOR = {  # calls that the kernel lacks -> exit status, words on the screen
    "a kernel of today": ("1000", 0, ("Landlock", "ABI", "level", "A")),
    "no Landlock": ("444,445,446", 0, ("none", "sealed seccomp", "For level A: Linux 5.13")),
    "no seccomp": ("seccomp", 1, ("no filter can be taken on", "For level B")),
    "Landlock that is refused": ("446", 1, ("failed: a layer of the sandbox is missing", "container's own filter")),
}  # fmt: skip


@pytest.mark.parametrize(("calls", "status", "words"), DOCTOR.values(), ids=DOCTOR.keys())
def test_doctor_says_what_a_kernel_gives(
    calls: str, status: int, words: tuple[str, ...], tmp_path: Path
) -> None:
    done = grade_on(calls, "doctor", cwd=tmp_path)
    text = " ".join(done.stdout.split())
    assert (done.returncode, [word for word in words if word not in text]) == (status, [])
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (None, "not installed (only needed for level C)"),
        ("exit 0", "makes a box (only needed for level C)"),
        ("echo no new namespace >&2; exit 1", "installed, but makes no box: no new namespace"),
    ],
)
def test_doctor_tries_a_box(
    script: str | None, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from grader.doctor import sections

    if script is not None:
        (tmp_path / "bwrap").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    lines = [line.found for section in sections() for line in section.lines if line.name == "bubblewrap"]
    assert words in lines[0]


def test_doctor_does_not_import_torch() -> None:
    script = "import sys; from grader.doctor import sections; sections(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT).returncode == 0


# -- other users

ordinary = pytest.mark.skipif(bool(as_ordinary_user.why_not()), reason=as_ordinary_user.why_not() or "-")
TELL = """
import sys; sys.path.insert(0, "tests")
from conftest import checks_of, examine, with_body
report = examine(with_body("layers", "relu", "import os; print('user', os.getuid()); open('/etc/passwd')"), tasks=["relu"])
print(report.level, *report.isolation, sep=",")
print(report.output, checks_of(report, "relu")[0].outcome)
"""


@pytest.mark.slow
@ordinary
@pytest.mark.parametrize("without", ["", "landlock"])
def test_an_ordinary_user_has_the_same_layers(without: str) -> None:
    done = subprocess.run(
        as_ordinary_user.ordinary([sys.executable, "-c", TELL]),
        cwd=ROOT, capture_output=True, text=True, timeout=100, env={**os.environ, WITHOUT_VARIABLE: without},
    )  # fmt: skip
    level = "B" if without else "A"
    assert done.stdout.splitlines()[0] == f"{level},{','.join(LAYERS[level])}", done.stderr
    assert "forbidden" in done.stdout
    assert "user 0" not in done.stdout


@pytest.mark.slow
@ordinary
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a child a user of its own")
def test_root_gives_each_child_a_user_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, as_ordinary_user.__file__, "--root", sys.executable, "-c", TELL],
        cwd=ROOT, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert ",own user," in done.stdout.splitlines()[0], done.stderr
    assert int(done.stdout.split("\nuser ")[1].split()[0]) >= 0x7000_0000


# -- what may be read


def test_no_part_of_the_kit_is_readable_but_the_workers_own() -> None:
    from grader.worker import libraries

    inside = [path for path in libraries.readable() if path.is_relative_to(ROOT)]
    venv = Path(sys.prefix)
    assert [path for path in inside if not path.is_relative_to(venv)] == [
        ROOT / "grader" / "worker", ROOT / "datasets.py"
    ]  # fmt: skip


def test_a_kit_among_the_libraries_is_left_out(tmp_path: Path) -> None:
    from grader.worker.libraries import _without

    for name in ("kit/solutions/layers.py", "numpy/__init__.py", "other/deep/x.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    assert sorted(_without(tmp_path, tmp_path / "kit")) == [tmp_path / "numpy", tmp_path / "other"]


def test_landlock_has_an_abi_here() -> None:
    assert landlock.abi() >= 1


# -- an outer box

needs_bubblewrap = pytest.mark.skipif(bool(bubblewrap()), reason=f"bubblewrap: {bubblewrap()}")


@needs_bubblewrap
@pytest.mark.parametrize(("left_out", "level"), [((), "A"), (("landlock", "seccomp"), "C")])
def test_a_box_hides_the_machine_and_is_reported(left_out: tuple[str, ...], level: str) -> None:
    examiner = Examiner(Limits(call=20.0), isolation=Isolation(box="bubblewrap", without=left_out))
    kept, examine_module._examiner = examine_module._examiner, examiner
    path = str(ROOT / "solutions" / "layers.py")
    try:
        report = examine(
            with_body("layers", "relu", f"import os; print(os.path.exists({path!r}))\nreturn x.clamp(min=0)"),
            tasks=["relu", "elu"],
        )
    finally:
        examine_module._examiner = kept
        examiner.close()
    assert (report.level, report.isolation[0]) == (level, "box: bubblewrap")
    assert earned(report) == {"relu": 0.5, "elu": 0.5}
    assert report.output.split() == ["False"]


@pytest.mark.parametrize(
    ("box", "words"),
    [("chroot", "--box takes bubblewrap"), ("docker:", "--box takes"), ("apptainer:x.sif", "not installed")],
)
def test_a_box_that_is_not_to_be_had_is_named(grade: Run, a_class: Path, box: str, words: str) -> None:
    done = grade("all", a_class, "--box", box)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


# -- spawned workers: what macOS and Windows have, as far as it can be tried here


def test_a_spawned_worker_that_takes_too_much_memory_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    from grader import memory

    monkeypatch.setattr(memory.MemoryWatch.__init__, "__defaults__", (300 << 20,))
    with isolated("D", method="spawn"):
        report = examine(
            with_body("layers", "relu", "kept = bytearray(600 << 20)\nwhile True: pass"),
            tasks=["relu", "elu"], limits=QUICK,
        )  # fmt: skip
    assert checks_of(report, "relu")[0].outcome is Outcome.MEMORY
    assert earned(report)["elu"] == 0.5
    assert report.isolation[-1] == "memory watch"
    assert report.memory > 300 << 20  # the watch saw it pass its limit


def test_output_is_drained_also_where_pipes_cannot_be_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from grader import remote

    monkeypatch.setattr(remote, "PIPES_CAN_BE_WAITED_FOR", False)
    with isolated("D", method="spawn"):
        report = examine(
            with_body("layers", "relu", "print('x' * 500_000)\nreturn x.clamp(min=0)"),
            tasks=["relu"], limits=QUICK,
        )  # fmt: skip
    assert checks_of(report, "relu")[0].outcome is Outcome.PASSED
    assert report.output == "x" * remote.OUTPUT_KEPT


@pytest.mark.slow
@pytest.mark.parametrize("level", SANDBOXED)
def test_a_spawned_worker_takes_the_same_layers(level: str) -> None:
    with isolated(level, method="spawn"):
        report = examine(Submission("s", solution_files()), tasks=["relu", "Invert"])
    assert report.level == level
    assert report.earned == report.points == 3.0
