"""The program that examiners are forked from: what the untrusted parent that it forks first can know, and endings."""

import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cluster_stand_in
import pytest
from conftest import ROOT, solution_files

from grader.instructor import early, hosted
from grader.instructor.course.layout import CONFIG
from grader.instructor.examiners import Terms, Work, start_here
from grader.instructor.hosted import Host
from grader.instructor.pool import ENDED_TWICE, LocalPool
from grader.isolation import Isolation
from grader.limits import Limits
from grader.outcomes import Outcome
from grader.report import Report, decode
from grader.submission import Submission, SubmissionError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is no such program elsewhere")

HIDDEN = ROOT / "grader" / "instructor" / "checks" / "test_layers.py"


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def memory(pid: int) -> bytes:
    """All that the process can write to."""
    found = []
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as held:
        for line in maps:
            addresses, access = line.split()[:2]
            if access.startswith("rw") and "[v" not in line:
                start, end = (int(address, 16) for address in addresses.split("-"))
                held.seek(start)
                found.append(held.read(end - start))
    return b"".join(found)


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root may read its memory")
def test_the_untrusted_parent_holds_neither_secrets_nor_hidden_checks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secret, variable = os.urandom(20).hex().encode(), os.urandom(20).hex()
    monkeypatch.setenv("A_TOKEN", variable)
    hidden = HIDDEN.read_text().partition("def test_")[2].partition("(")[0].encode()
    terms = Terms(None, secret, "kit", Limits())
    with Host(terms.isolation) as host, LocalPool(1, terms, 1, host) as pool:
        work = [Work(Submission("s", solution_files()), ("relu",))]
        (found,) = [result for result in pool.each(work) if result is not None]
        assert all(check.outcome is Outcome.PASSED for check in decode(found[1]).tasks[0].checks)
        program = host._process.pid
        (parent,) = [child for child in children(program) if os.getsid(child) == child]
        known, kept = memory(program), memory(parent)
    for what in (secret, variable.encode(), hidden):
        assert what in known  # else this test looks in the wrong place
        assert what not in kept
    assert b"grader.worker" in kept


def reports(work: Sequence[tuple[str, str]], processes: int = 2) -> dict[str, Report]:
    """Of submissions that order what happens (`cluster_stand_in`), by student."""
    terms = Terms(cluster_stand_in.examine, b"", "kit", Limits())
    items = [Work(Submission(name, {"layers.py": order.encode()}), ("relu",)) for name, order in work]
    with Host(Isolation()) as host, LocalPool(processes, terms, len(items), host) as pool:
        results = [result for result in pool.each(iter(items)) if result is not None]
    assert sorted(item.submission.student for item, _ in results) == sorted(name for name, _ in work)
    return {item.submission.student: decode(report) for item, report in results}


def without_verdict(found: dict[str, Report]) -> set[str]:
    return {
        name
        for name, report in found.items()
        if any(ENDED_TWICE in check.message for task in report.tasks for check in task.checks)
    }


@pytest.mark.parametrize("order", ["end-examiner", "end-host"])
def test_an_ending_costs_its_own_submission_alone(order: str) -> None:
    many = [(f"s{number}", "sleep 0.02") for number in range(6)]
    assert without_verdict(reports([many[0], ("anna", order), *many[1:]])) == {"anna"}


def test_what_waited_in_an_examiner_that_ended_is_examined_by_another() -> None:
    work = [("anna", "end-examiner"), *[(f"s{number}", "sleep 0.0") for number in range(5)]]
    found = reports(work, processes=1)
    assert without_verdict(found) == {"anna"}
    assert len({found[f"s{number}"].versions["examiner"] for number in range(5)}) == 1


def test_an_examiner_whose_report_nobody_takes_ends_without_a_word(
    capfd: pytest.CaptureFixture[str],
) -> None:
    connection, process = start_here(Terms(cluster_stand_in.examine, b"", "kit", Limits()), ())
    assert process is not None
    with connection, socket.socket(fileno=os.dup(connection.fileno())) as end:
        end.shutdown(socket.SHUT_RD)  # what the examiner sends fails, and what it receives has not ended yet
        connection.send_bytes(pickle.dumps(Work(Submission("anna", {"layers.py": b"sleep 0.0"}), ("relu",))))
        process.join(60)
    assert (process.exitcode, *capfd.readouterr()) == (0, "", "")


def test_a_program_that_cannot_start_is_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosted, "_PROGRAM", ROOT / "no such program.py")
    terms = Terms(None, b"", "kit", Limits())
    work: Any = [Work(Submission("s", solution_files()), ("relu",))]
    with (
        Host(terms.isolation) as host,
        LocalPool(1, terms, 1, host) as pool,
        pytest.raises(SubmissionError, match=r"Nothing can be examined here: the program .* ended before"),
    ):
        list(pool.each(work))


# -- begun on bare arguments -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "begun"),
    [
        ("class", True),
        ("class --jobs 2 --feedback", True),
        ("--feedback --out other class", True),
        ("course --require-isolation A", True),
        ("class -o graded", False),  # records are there
        ("class --out=graded", False),
        ("graded-course", False),
        ("nowhere", False),
        ("", False),
        ("class --help", False),
        ("class -o", False),
        ("class --scheduler tcp://127.0.0.1:1", False),
        ("class --box=bubblewrap", False),
    ],
)
def test_it_is_begun_for_a_first_run_here(
    arguments: str, begun: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("class", "graded/records", "course", "graded-course/results/records"):
        (tmp_path / folder).mkdir(parents=True)
    for course in ("course", "graded-course"):
        (tmp_path / course / CONFIG).touch()
    monkeypatch.chdir(tmp_path)
    early.begin(arguments.split())
    with early.take_over(Isolation()) as host:
        assert (host._process is not None) is begun
        host.close(at_once=True)


def test_a_run_in_a_box_does_not_take_over_what_has_none(tmp_path: Path) -> None:
    early.begin([str(tmp_path), "--out", str(tmp_path / "out")])
    boxed = early.take_over(Isolation(box="bubblewrap"))
    begun = early.take_over(Isolation())
    assert boxed._process is None
    assert begun._process is not None
    begun.close(at_once=True)


_NOTED = """\
import sys
from grader import program
from grader.instructor import early

def begin(arguments, begin=early.begin):
    begin(arguments)
    print(early._begun[0]._process.pid, flush=True)

early.begin = begin
program.program()
"""


def test_what_was_begun_ends_with_a_command_that_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _NOTED, "all", str(tmp_path), "--jobs", "many"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 2
    assert "--jobs" in done.stderr
    assert not Path(f"/proc/{int(done.stdout)}").exists()
