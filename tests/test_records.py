"""Records: written whole or not at all, read strictly, reused where they still answer."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ROOT

from grader.assignment import TASKS
from grader.instructor import records
from grader.instructor.records import (
    brought_up,
    is_current,
    merge,
    read_record,
    record_path,
    remove_temporary,
    to_examine,
    write_whole,
)
from grader.outcomes import Outcome
from grader.report import CheckResult, Report, TaskResult, encode
from grader.submission import Submission

BASES: dict[str, dict[str, str]] = {task.name: {"grader": "g", "checks": task.name} for task in TASKS}


def task(name: str, outcome: Outcome = Outcome.PASSED) -> TaskResult:
    return TaskResult(
        name,
        2.0,
        (CheckResult(f"public/{name}/values", name, "It works.", "public", 2.0, outcome),),
        BASES[name],
    )


REPORT = Report(
    student="anna",
    digest="d",
    kit="k",
    tasks=(task("conv2d"), task("relu", Outcome.FAILED), task("fit", Outcome.NO_VERDICT)),
    isolation=("session", "landlock", "seccomp"),
    seconds=1.5,
    memory=40_000_000,
    loaded={"conv2d": ("layers.py",)},
)
WITH_NET = replace(REPORT, tasks=(task("conv2d"), task("LeNet5", Outcome.FAILED)))


def put(folder: Path, report: Report) -> None:
    write_whole(record_path(folder, report.student), encode(report))


NAMES = [
    "anna", "Anna Berg", "Zoë", "山田", "a/b", "..", ".hidden", "a%2Fb", "a:b*c?", "x" * 300, "x" * 301, "é" * 100,
    "con~1", "\x1b[31mred", "a\nb", " lead", r"caf\xe9",
]  # fmt: skip


def test_every_name_has_a_file_of_its_own_that_any_system_can_hold(tmp_path: Path) -> None:
    paths = [record_path(tmp_path, name) for name in NAMES]
    assert len({path.name.lower() for path in paths}) == len(NAMES)
    for name, path in zip(NAMES, paths, strict=True):
        assert path.parent == tmp_path
        assert len(path.name.encode()) <= 205
        assert path.name.isascii()
        assert not path.name.startswith(".")
        assert not set(path.name) & set('/\\:*?"<>|\n')
        put(tmp_path, replace(REPORT, student=name))
        assert read_record(tmp_path, name) == replace(REPORT, student=name)


@pytest.mark.parametrize("keep", [0, 1, 50, -2])
def test_a_record_that_was_cut_short_is_none(tmp_path: Path, keep: int) -> None:
    record_path(tmp_path, "anna").write_bytes(encode(REPORT)[:keep])
    assert read_record(tmp_path, "anna") is None


@pytest.mark.parametrize(
    "foreign",
    [
        b"{}",
        b'{"student": "anna", "earned": 55}',
        b"\xff\xfe",
        encode(replace(REPORT, student="ben")),
        encode(replace(REPORT, schema=99)),
        encode(REPORT).replace(b'"failed"', b'"wonderful"'),
    ],
)
def test_a_foreign_record_is_none_and_is_replaced(tmp_path: Path, foreign: bytes) -> None:
    record_path(tmp_path, "anna").write_bytes(foreign)
    assert read_record(tmp_path, "anna") is None
    put(tmp_path, REPORT)
    assert read_record(tmp_path, "anna") == REPORT


def test_a_failed_write_leaves_the_old_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, REPORT)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        put(tmp_path, replace(REPORT, digest="new"))
    assert read_record(tmp_path, "anna") == REPORT
    assert [path.name for path in tmp_path.iterdir()] == ["anna.json"]


def test_a_killed_writer_leaves_a_whole_record(tmp_path: Path) -> None:
    put(tmp_path, REPORT)
    code = """
import itertools, sys
from dataclasses import replace
from pathlib import Path
from grader.instructor.records import read_record, record_path, write_whole
from grader.report import encode
folder = Path(sys.argv[1])
report = read_record(folder, "anna")
for i in itertools.count():
    write_whole(record_path(folder, "anna"), encode(replace(report, digest=str(i % 10) * 500_000)))
"""
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", code, tmp_path], cwd=ROOT)
        written, deadline = record_path(tmp_path, "anna").stat().st_mtime_ns, time.monotonic() + 60
        while record_path(tmp_path, "anna").stat().st_mtime_ns == written and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05)
        writer.kill()
        writer.wait()
        report = read_record(tmp_path, "anna")
        assert report is not None
        assert report.digest == report.digest[0] * 500_000


@pytest.mark.skipif(sys.platform == "win32", reason="no such modes")
def test_a_secret_file_is_never_open_to_others(tmp_path: Path) -> None:
    write_whole(tmp_path / "secret", b"x", mode=0o600)
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("record", "digest", "changed", "tasks", "needed"),
    [
        (None, "d", "", ("conv2d",), ("conv2d",)),
        (REPORT, "d", "", ("conv2d", "relu"), ()),
        (REPORT, "d", "", ("conv2d", "fit"), ("fit",)),  # the kit failed there: once more
        (REPORT, "d", "", ("conv2d", "Invert"), ("Invert",)),
        (REPORT, "other", "", ("conv2d",), ("conv2d",)),
        (REPORT, "d", "conv2d", ("conv2d", "relu"), ("conv2d",)),
        (REPORT, "d", "relu", ("conv2d", "relu"), ("relu",)),
        (REPORT, "d", "linear", ("conv2d", "relu"), ()),
        (WITH_NET, "d", "conv2d", ("conv2d", "LeNet5"), ("conv2d", "LeNet5")),  # whose advice names conv2d
        (WITH_NET, "d", "Invert", ("conv2d", "LeNet5"), ()),
        (
            replace(WITH_NET, tasks=(task("conv2d"), task("LeNet5"))),
            "d",
            "conv2d",
            ("conv2d", "LeNet5"),
            ("conv2d",),
        ),
        (
            replace(REPORT, tasks=(replace(task("relu"), basis={}),)),
            "d",
            "",
            ("relu",),
            ("relu",),
        ),  # an older kit's
    ],
)
def test_what_a_record_leaves_to_examine(
    record: Report | None, digest: str, changed: str, tasks: tuple[str, ...], needed: tuple[str, ...]
) -> None:
    bases = {**BASES, changed: {"grader": "g", "checks": "changed"}}
    assert to_examine(record, digest, bases, tasks) == needed
    assert is_current(record, digest, bases, tasks) is (needed == ())


def test_merging_keeps_the_tasks_that_were_not_examined_again() -> None:
    new = replace(
        REPORT, tasks=(task("relu"), task("Invert")), isolation=("session", "seccomp"), seconds=1.0, loaded={}
    )
    merged = merge(REPORT, new, BASES)
    assert [(found.task, found.outcome) for found in merged.tasks] == [
        ("conv2d", Outcome.PASSED),
        ("relu", Outcome.PASSED),
        ("Invert", Outcome.PASSED),  # fit had no verdict: nothing to keep
    ]
    assert merged.isolation == ("session", "seccomp")  # what held every time
    assert (merged.seconds, merged.memory, merged.loaded) == (2.5, 40_000_000, REPORT.loaded)


def test_a_record_from_before_memory_was_in_them_is_read(tmp_path: Path) -> None:
    older = json.loads(encode(REPORT))
    del older["memory"]
    record_path(tmp_path, "anna").write_text(json.dumps(older))
    assert read_record(tmp_path, "anna") == replace(REPORT, memory=0)


@pytest.mark.parametrize("old", [None, replace(REPORT, digest="old")])
def test_nothing_is_merged_from_a_record_of_another_submission(old: Report | None) -> None:
    new = replace(REPORT, tasks=(task("relu"),))
    assert merge(old, new, BASES) is new


def test_nothing_is_merged_that_stands_on_what_is_no_more() -> None:
    new = replace(REPORT, tasks=(task("relu"),))
    assert merge(REPORT, new, {**BASES, "conv2d": {"grader": "new"}}) is new


def test_points_and_what_is_said_of_a_submission_are_brought_up_to_date() -> None:
    submission = Submission("anna", {}, ("a link, left out",), handed_in="2026-05-01T12:00:00+00:00")
    today = brought_up(REPORT, submission, {"public/conv2d/values": 5.0})
    assert (today.problems, today.handed_in) == (("a link, left out",), "2026-05-01T12:00:00+00:00")
    assert [(found.task, found.points, found.earned) for found in today.tasks] == [
        ("conv2d", 5.0, 5.0), ("relu", 2.0, 0.0), ("fit", 2.0, 0.0),
    ]  # fmt: skip
    assert brought_up(today, submission, {"public/conv2d/values": 5.0}) == today


def test_what_a_killed_writer_leaves_is_removed(tmp_path: Path) -> None:
    put(tmp_path, REPORT)
    (tmp_path / ".anna.json.tmp").write_bytes(b"{")
    remove_temporary(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["anna.json"]


def test_reading_a_record_needs_no_torch() -> None:
    code = "import sys, grader.instructor.records; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
    assert records.read_record(Path("/nowhere"), "anna") is None
