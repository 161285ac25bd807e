"""`grade all --scheduler` on a real Dask cluster: its own commands as processes, on loopback.

Where the point is the cluster's own mechanics, `cluster_stand_in.examine` takes the place of the examination.
The last tests grade the sample class and train for real.
"""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import cluster_stand_in
import pytest
from conftest import ROOT

from grader.instructor.batch import Batch, grade_all
from grader.instructor.examiners import Terms
from grader.instructor.pool import Pool
from grader.instructor.records import read_record
from grader.reproduce.checkpoint import RunFolder
from grader.submission import SubmissionError

pytest.importorskip("distributed")
if sys.platform != "linux":
    pytest.skip("workers run on Linux", allow_module_level=True)

from grader.instructor.cluster import on_worker
from grader.instructor.cluster.pool import ClusterPool

DASK = str(Path(sys.executable).parent / "dask")
TESTS = Path(__file__).parent


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


class Dask:
    """A scheduler and workers, as processes in a folder of their own."""

    def __init__(self, folder: Path, *, options: tuple[str, ...] = (), **environment: str):
        folder.mkdir(parents=True)
        self._folder, self._options = folder, options
        self._file = folder / "scheduler.json"
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(TESTS)]),
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",
            **environment,
        }
        self.scheduler = self._start("scheduler", "--port", "0")
        wait_for(lambda: self._file.is_file() and self._file.read_text())
        self.address: str = json.loads(self._file.read_text())["address"]
        self.workers: list[subprocess.Popen[bytes]] = []

    def add_worker(self, *options: str, path: Path | None = None) -> subprocess.Popen[bytes]:
        """A worker of one thread; path: of another kit that it has."""
        environment = {} if path is None else {"PYTHONPATH": str(path)}
        worker = self._start("worker", "--nthreads", "1", *options, **environment)
        self.workers.append(worker)
        return worker

    def log(self) -> str:
        return "".join(path.read_text() for path in sorted(self._folder.glob("*.log")))

    def stop(self) -> None:
        for group in (self.workers, [self.scheduler]):  # workers take their leave of it
            for process in group:
                process.terminate()
            for process in group:
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def _start(self, command: str, *options: str, **environment: str) -> subprocess.Popen[bytes]:
        where = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(self._file)]
        if command == "worker":
            where += ["--local-directory", str(self._folder)]
        with (self._folder / f"{command}{time.monotonic_ns()}.log").open("wb") as log:
            return subprocess.Popen(
                [DASK, command, *where, *options, *self._options],
                env={**self._environment, **environment},
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )


@pytest.fixture
def start_dask(tmp_path: Path) -> Iterator[Callable[..., Dask]]:
    """Starts clusters, and ends them after the test."""
    started: list[Dask] = []

    def start(workers: int = 0, *options: str, **keywords: Any) -> Dask:
        dask = Dask(tmp_path / f"dask{len(started)}", **keywords)
        started.append(dask)
        for _ in range(workers):
            dask.add_worker(*options)
        return dask

    yield start
    for dask in started:
        dask.stop()


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dask]:
    """A cluster of three workers that no test harms."""
    dask = Dask(tmp_path_factory.mktemp("three") / "dask")
    for _ in range(3):
        dask.add_worker()
    yield dask
    dask.stop()


def class_of(folder: Path, **orders: str) -> Path:
    for name, order in orders.items():
        (folder / "class" / name).mkdir(parents=True)
        (folder / "class" / name / "layers.py").write_text(order)
    return folder / "class"


def many(order: str, count: int) -> dict[str, str]:
    return {f"s{number:02}": order for number in range(count)}


def run(
    address: str, folder: Path, out: Path, say: Callable[[str], None] = lambda text: None, **options: Any
) -> Batch:
    def on_cluster(terms: Terms, submissions: int) -> Pool:
        return ClusterPool(address, terms, submissions, say)

    return grade_all(folder, out, jobs=1, examine=cluster_stand_in.examine, open_pool=on_cluster, **options)


def statuses(out: Path) -> dict[str, str]:
    with (out / "grades.csv").open(newline="", encoding="utf-8") as file:
        return {row["student"]: row["status"] for row in csv.DictReader(file)}


def plain_records(out: Path) -> dict[str, Any]:
    """The records without what differs from run to run: times, memory and process ids."""
    found = {}
    for path in (out / "records").iterdir():
        record = json.loads(path.read_text())
        record["seconds"] = record["memory"] = 0
        for name in ("examiner", "worker"):
            record["versions"].pop(name, None)
        for task in record["tasks"]:
            for check in task["checks"]:
                check["seconds"] = 0
        found[path.name] = record
    return found


def by_whom(out: Path, name: str) -> set[str]:
    reports = [read_record(out / "records", path.stem) for path in (out / "records").iterdir()]
    return {report.versions[name] for report in reports if report is not None}


# -- what is examined


@pytest.mark.slow
def test_three_workers_give_the_records_of_a_local_run(three: Dask, tmp_path: Path) -> None:
    folder = class_of(tmp_path, **many("sleep 0.3", 18), zoe="ok")
    (folder / "broken.zip").write_bytes(b"PK")
    wait_for(lambda: three.log().count("Registered to") >= 3)
    result = run(three.address, folder, tmp_path / "out")
    assert (result.submissions, result.examined, result.without_verdict) == (20, 20, ())
    (tmp_path / "local").mkdir()
    shutil.copy(tmp_path / "out" / "secret", tmp_path / "local")
    grade_all(folder, tmp_path / "local", jobs=2, examine=cluster_stand_in.examine)
    assert plain_records(tmp_path / "out") == plain_records(tmp_path / "local")
    assert (tmp_path / "out" / "grades.csv").read_bytes() == (tmp_path / "local" / "grades.csv").read_bytes()
    (tmp_path / "out" / "records" / "broken.json").unlink()
    assert len(by_whom(tmp_path / "out", "worker")) == 3
    assert run(three.address, folder, tmp_path / "out").examined == 1


@pytest.mark.slow
def test_no_more_is_read_ahead_than_twice_what_is_examined_at_once(three: Dask, tmp_path: Path) -> None:
    wait_for(lambda: three.log().count("Registered to") >= 3)
    taken, done, ahead = 0, 0, []

    def work() -> Iterator[Any]:
        nonlocal taken
        for item in items:
            taken += 1
            ahead.append(taken - done)
            yield item

    from grader.instructor.examiners import Work
    from grader.limits import Limits
    from grader.submission import Submission

    items = [Work(Submission(f"s{number}", {"layers.py": b"ok"}), ("fit",)) for number in range(40)]
    terms = Terms(cluster_stand_in.examine, b"secret", "kit", Limits())
    with ClusterPool(three.address, terms, len(items), lambda text: None) as pool:
        for result in pool.each(work()):
            done += result is not None
    assert done == 40
    assert max(ahead) <= 2 * 3 + 1


def test_an_examiner_that_ends_costs_its_own_submission_alone(three: Dask, tmp_path: Path) -> None:
    folder = class_of(tmp_path, anna="end-examiner", ben="end-host", **many("sleep 0.05", 8))
    result = run(three.address, folder, tmp_path / "out")
    assert set(result.without_verdict) == {"anna", "ben"}
    assert list(statuses(tmp_path / "out").values()).count("graded") == 8
    assert all("ended twice" in note for _, note in result.summary.notes)


# -- workers that go and come


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_costs_no_submission(
    start_dask: Callable[..., Dask], tmp_path: Path
) -> None:
    dask = start_dask(3, "--no-nanny")
    folder = class_of(tmp_path, **many("sleep 0.3", 24))
    wait_for(lambda: dask.log().count("Registered to") >= 3)

    def kill_one(done: int, total: int, student: str) -> None:
        if done == 4:
            dask.workers[0].kill()

    result = run(dask.address, folder, tmp_path / "out", on_progress=kill_one)
    assert result.without_verdict == ()
    assert len(plain_records(tmp_path / "out")) == 24
    assert dask.workers[0].poll() is not None


@pytest.mark.slow
def test_a_submission_that_kills_workers_ends_without_a_verdict(
    start_dask: Callable[..., Dask], tmp_path: Path
) -> None:
    dask = start_dask(2)
    folder = class_of(tmp_path, anna="end-worker", **many("sleep 0.05", 6))
    result = run(dask.address, folder, tmp_path / "out")
    assert result.without_verdict == ("anna",)
    assert list(statuses(tmp_path / "out").values()).count("graded") == 6
    assert "2 workers died while they had it" in result.summary.notes[0][1]


@pytest.mark.slow
def test_workers_that_join_later_are_used(start_dask: Callable[..., Dask], tmp_path: Path) -> None:
    dask = start_dask(0)
    folder = class_of(tmp_path, **many("sleep 0.5", 20))
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        if "waiting for some to join" in text:
            dask.add_worker()

    def join(done: int, total: int, student: str) -> None:
        if done == 2 and len(dask.workers) == 1:
            dask.add_worker()

    result = run(dask.address, folder, tmp_path / "out", say, on_progress=join)
    assert result.without_verdict == ()
    assert said[-1] == "Workers have joined."
    assert len(by_whom(tmp_path / "out", "worker")) == 2


# -- what is refused


def another_kit(folder: Path) -> Path:
    """A copy of the kit with another check."""
    for name in ("grader", "solutions"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "grader" / "limits.py").open("a").write("\n# changed\n")
    return folder


def students_kit(folder: Path) -> Path:
    shutil.copytree(
        ROOT / "grader", folder / "grader", ignore=shutil.ignore_patterns("__pycache__", "instructor")
    )
    # an editable install would find the rest of the kit behind it
    (folder / "sitecustomize.py").write_text(
        "import sys\n"
        "sys.meta_path[:] = [f for f in sys.meta_path if 'editable' not in getattr(f, '__module__', '')]\n"
    )
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "why"),
    [(another_kit, "it has another kit: kit 0.1.0, python 3."), (students_kit, "it has no instructor's kit")],
)
def test_a_worker_with_another_kit_is_refused_by_name(
    start_dask: Callable[..., Dask], tmp_path: Path, make: Callable[[Path], Path], why: str
) -> None:
    dask = start_dask(0)
    dask.add_worker(path=make(tmp_path / "kit"))
    wait_for(lambda: "Registered to" in dask.log())
    folder = class_of(tmp_path, **many("ok", 4))
    with pytest.raises(SubmissionError) as raised:
        run(dask.address, folder, tmp_path / "out")
    message = str(raised.value)
    assert "The worker tcp://127.0.0.1:" in message
    assert why in message
    assert "Install the same kit" in message

    dask.add_worker()
    wait_for(lambda: dask.log().count("Registered to") >= 2)
    said: list[str] = []
    assert run(dask.address, folder, tmp_path / "out", said.append).without_verdict == ()
    assert len(said) == 1
    assert why in said[0]
    assert len(by_whom(tmp_path / "out", "worker")) == 1


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("tcp://127.0.0.1:9", "No Dask scheduler answers at tcp://127.0.0.1:9"),
        ("nowhere", "an address is tcp://HOST:PORT"),
        ("http://127.0.0.1:9", "an address is tcp://HOST:PORT"),
        ("tcp://127.0.0.1", "an address is tcp://HOST:PORT"),
        ("tls://127.0.0.1:9", "needs Dask's TLS settings here"),
    ],
)
def test_where_no_scheduler_can_be_asked_it_is_said(
    tmp_path: Path, address: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grader.instructor.cluster.scheduler.CONNECT_SECONDS", 1.0)
    with pytest.raises(SubmissionError, match=message):
        run(address, class_of(tmp_path, anna="ok"), tmp_path / "out")


@pytest.mark.slow
@pytest.mark.parametrize("command", [["all", "class"], ["reproduce", "mnist", "--drawn"]])
def test_without_dask_the_command_says_what_to_install(tmp_path: Path, command: list[str]) -> None:
    class_of(tmp_path, anna="ok")
    code = "import sys; sys.modules['distributed'] = None; from grader.cli import main; main()"
    ran = subprocess.run(
        [sys.executable, "-c", code, *command, "--scheduler", "tcp://127.0.0.1:9"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 2
    assert 'pip install "lenet5-kit[cluster]"' in ran.stderr
    assert "Traceback" not in ran.stderr


# -- when it ends early

BATCH = """
import sys
from functools import partial
from pathlib import Path
import cluster_stand_in
from grader.instructor import batch
from grader.usage import messages

batch.grade_all = partial(batch.grade_all, examine=cluster_stand_in.examine)
with messages():
    sys.exit(batch.command(Path(sys.argv[1]), Path(sys.argv[2]), jobs=1, scheduler=sys.argv[3]))
"""


def start_batch(address: str, folder: Path, out: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", BATCH, folder, out, address],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(TESTS)])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def records(out: Path) -> list[Path]:
    return list((out / "records").glob("*.json"))


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_finished_and_frees_the_workers(three: Dask, tmp_path: Path) -> None:
    folder = class_of(tmp_path, **many("sleep 0.3", 60))
    out = tmp_path / "out"
    batch = start_batch(three.address, folder, out)
    wait_for(lambda: len(records(out)) >= 3)
    batch.send_signal(signal.SIGINT)
    output, errors = batch.communicate(timeout=30)
    assert batch.returncode == 130, errors
    assert "of 60 examined and kept" in output
    assert "Traceback" not in errors
    kept = len(records(out))
    assert 3 <= kept < 60
    again = run(three.address, folder, out)
    assert again.examined == 60 - kept
    assert again.without_verdict == ()


@pytest.mark.slow
def test_a_scheduler_that_is_lost_is_said_and_what_is_finished_is_kept(
    start_dask: Callable[..., Dask], tmp_path: Path
) -> None:
    dask = start_dask(1)
    folder = class_of(tmp_path, **many("sleep 0.2", 30))
    out = tmp_path / "out"
    batch = start_batch(dask.address, folder, out)
    wait_for(lambda: len(records(out)) >= 3)
    dask.scheduler.kill()
    _, errors = batch.communicate(timeout=60)
    assert batch.returncode == 2
    assert f"The connection to the scheduler at {dask.address} is lost" in errors
    assert "Traceback" not in errors
    kept = {path: path.read_bytes() for path in records(out)}
    assert 3 <= len(kept) < 30
    result = grade_all(folder, out, jobs=2, examine=cluster_stand_in.examine)
    assert result.examined == 30 - len(kept)
    assert {path: path.read_bytes() for path in kept} == kept


@pytest.mark.slow
def test_programs_end_with_their_worker(start_dask: Callable[..., Dask], tmp_path: Path) -> None:
    dask = start_dask(1, "--no-nanny")
    run(dask.address, class_of(tmp_path, anna="ok"), tmp_path / "out")
    (examiner,) = by_whom(tmp_path / "out", "examiner")
    assert Path(f"/proc/{examiner}").exists()
    dask.workers[0].kill()
    dask.workers[0].wait()
    wait_for(lambda: not Path(f"/proc/{examiner}").exists(), 10)


@pytest.mark.slow
def test_programs_that_nobody_asks_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_worker, "IDLE", 0.3)
    ours, theirs = Pipe()
    forgotten = threading.Event()
    programs = on_worker.Programs(lambda: ours, forgotten.set)
    theirs.send_bytes(b"answer")
    assert programs.ask(lambda program: program.recv_bytes()) == b"answer"
    assert forgotten.wait(10)
    with pytest.raises(EOFError):
        theirs.recv_bytes()


@pytest.mark.slow
def test_a_trainer_whose_answer_nobody_takes_ends_without_a_word() -> None:
    trainer = f"""
import os
import socket
from multiprocessing import Pipe
from grader.instructor.cluster.trainer import Request, main

ours, theirs = Pipe()
socket.socket(fileno=os.dup(ours.fileno())).shutdown(socket.SHUT_RD)  # what it sends fails, before it is told the end
ours.send(Request((), b"", "{"0" * 64}", "cpu", {{}}, 1.0))
main(theirs)
"""
    ran = subprocess.run(
        [sys.executable, "-c", trainer], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


# -- for real


def grade_for_real(folder: Path, out: Path, *options: str) -> str:
    out.mkdir()
    (out / "secret").write_text("ab" * 32)
    ran = subprocess.run(
        [sys.executable, "-m", "grader", "all", folder, "--out", out, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.slow
def test_the_sample_class_has_the_records_of_a_local_run_with_a_worker_killed_on_the_way(
    start_dask: Callable[..., Dask], tmp_path: Path
) -> None:
    subprocess.run([sys.executable, ROOT / "examples" / "make.py", tmp_path / "class"], check=True)
    dask = start_dask(3)
    wait_for(lambda: dask.log().count("Registered to") >= 3)
    out = tmp_path / "out"
    out.mkdir()
    (out / "secret").write_text("ab" * 32)
    batch = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "grader",
            "all",
            tmp_path / "class",
            "--out",
            out,
            "--scheduler",
            dask.address,
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: len(records(out)) >= 3, 120)
    os.kill(worker_of(dask.workers[0]), signal.SIGKILL)
    _, errors = batch.communicate(timeout=240)
    assert batch.returncode == 0, errors
    assert dask.log().count("Registered to") >= 4
    grade_for_real(tmp_path / "class", tmp_path / "local", "--jobs", "2")
    assert plain_records(out) == plain_records(tmp_path / "local")
    assert (out / "grades.csv").read_bytes() == (tmp_path / "local" / "grades.csv").read_bytes()


def worker_of(nanny: subprocess.Popen[bytes]) -> int:
    """The process of the worker that a nanny looks after; beside it there is a resource tracker."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == nanny.pid and "spawn_main" in (process / "cmdline").read_text():
                found.append(int(process.name))
        except OSError:
            continue
    (worker,) = found
    return worker


@pytest.mark.slow
def test_a_class_travels_by_tls(start_dask: Callable[..., Dask], tmp_path: Path) -> None:
    settings = tls_settings(tmp_path)
    options = ("--protocol", "tls")
    for name in ("ca-file", "cert", "key"):
        options += (f"--tls-{name}", settings[name])
    dask = start_dask(1, options=options)
    assert dask.address.startswith("tls://")
    folder = class_of(tmp_path, anna="ok")
    code = BATCH
    plain = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(TESTS)])}
    ours = plain | {
        "DASK_DISTRIBUTED__COMM__TLS__CA_FILE": settings["ca-file"],
        "DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT": settings["cert"],
        "DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY": settings["key"],
    }
    for environment, status in ((plain, 2), (ours, 0)):
        ran = subprocess.run(
            [sys.executable, "-c", code, folder, tmp_path / "out", dask.address],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert ran.returncode == status, ran.stderr
        assert "Traceback" not in ran.stderr
        assert ("needs Dask's TLS settings here" in ran.stderr) == (status == 2)


def tls_settings(folder: Path) -> dict[str, str]:
    """Files of a certificate that signs itself, as authority and for all who take part."""
    from distributed.security import Security

    made = Security.temporary()
    found = {}
    for name, content in (
        ("ca-file", made.tls_ca_file),
        ("cert", made.tls_scheduler_cert),
        ("key", made.tls_scheduler_key),
    ):
        path = folder / f"{name}.pem"
        path.write_text(content)
        found[name] = str(path)
    return found


# -- experiments


def reproduce(*arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "grader", "reproduce", "mnist", "--drawn", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def numbers(out: Path) -> dict[str, Any]:
    """Each run's history without its times."""
    runs = json.loads((out / "results.json").read_text())["runs"]
    return {
        run["key"]: [{k: v for k, v in epoch.items() if k != "seconds"} for epoch in run["history"]]
        for run in runs
    }


@pytest.mark.slow
def test_runs_are_spread_and_give_what_this_machine_gives(
    start_dask: Callable[..., Dask], tmp_path: Path
) -> None:
    words = ("--settings", "1e-3,5e-4:5e-4,1e-4", "--seeds", "2", "--max-epochs", "3")
    dask = start_dask(3)
    wait_for(lambda: dask.log().count("Registered to") >= 3)
    spread = reproduce(*words, "--out", tmp_path / "spread", "--scheduler", dask.address)
    wait_for(lambda: any((tmp_path / "spread").glob("*/*.pt")), 120)
    os.kill(worker_of(dask.workers[0]), signal.SIGKILL)
    _, errors = spread.communicate(timeout=240)
    assert spread.returncode == 0, errors
    assert "of 3 workers" in errors
    assert "Traceback" not in errors
    here = reproduce(*words, "--out", tmp_path / "here")
    _, errors = here.communicate(timeout=240)
    assert here.returncode == 0, errors
    assert numbers(tmp_path / "spread") == numbers(tmp_path / "here")
    assert len(numbers(tmp_path / "spread")) == 6
    again = reproduce(*words, "--out", tmp_path / "spread", "--scheduler", dask.address)
    _, errors = again.communicate(timeout=120)
    assert "6 of 6 runs are finished already" in errors


@pytest.mark.slow
def test_training_that_lost_its_scheduler_goes_on(start_dask: Callable[..., Dask], tmp_path: Path) -> None:
    dask = start_dask(1)
    out = tmp_path / "out"
    endless = ("--settings", "1e-9", "--max-epochs", "5000")
    first = reproduce(*endless, "--out", out, "--scheduler", dask.address)
    wait_for(lambda: any((out / "unfinished").glob("*.pt")), 120)
    dask.scheduler.kill()
    _, errors = first.communicate(timeout=60)
    assert first.returncode == 2
    assert "the same command goes on from there" in errors
    assert "Traceback" not in errors
    other = start_dask(1)
    (kept,) = RunFolder(out).states().values()
    epochs = str(len(kept.history) + 2)
    words = ("--settings", "1e-9", "--max-epochs", epochs, "--out", out, "--scheduler", other.address)
    second = reproduce(*words)
    _, errors = second.communicate(timeout=120)
    assert second.returncode == 0, errors
    (going_on,) = RunFolder(out).states().values()
    assert len(going_on.history) == len(kept.history) + 2
    assert going_on.history[: len(kept.history)] == kept.history


def test_a_students_fit_is_not_spread(tmp_path: Path) -> None:
    ran = reproduce(
        "--with", ROOT / "solutions", "--scheduler", "tcp://127.0.0.1:9", "--out", tmp_path / "out"
    )
    _, errors = ran.communicate(timeout=60)
    assert ran.returncode == 2
    assert "leave out --with, or --scheduler" in errors
