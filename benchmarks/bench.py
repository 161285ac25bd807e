"""The kit's figures, measured side by side in one run, as a Markdown page.

    python benchmarks/bench.py [--only NAME ...] [--write FILE]

Every figure of the page comes from this run; none is typed in. nbgrader and otter are installed beside, in
`.venv-bench`. A whole run takes some twenty minutes on a quiet machine with two processors.
"""

import argparse
import csv
import itertools
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles

import alike
import class_records
import cluster
import course as our_course
import memory
import nbgrader_course
import notebooks
import otter_course
import samples
import training
from timing import ROUNDS, Times, environ, in_turn, seconds
from watching import seconds_after_saves

from grader.assignment import TOTAL_POINTS
from grader.report import Report, decode
from grader.reproduce.experiments import BATCH_SIZE

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
JOBS = 2
CLASS = 100
STUDENTS = range(5)  # of the nbgrader course: right, stub, wrong, right, right
ZIPS = range(6)  # for otter: these and one more, for three pairs
CLUSTER_ROUNDS = 3
LARGE, RECORDS = 400, 500
REPORTED = 1_500  # records that `grade report` and `grade export` read
ALIKE = 300  # submissions that `grade similar` compares
COPIES = ((1, 2), (30, 41))  # of them: whose work is whose, with other names
BESIDE = 10  # students from submissions to feedback, beside nbgrader
SCALE = (10, 100, 1_000, 2_000)
PAIRED = 60  # submissions, for one job against two
GRADED = (0, 1)  # exit statuses of `grade`: something may fail, and does in the sample class

_ADAM_STEP = """\
import torch
weight = torch.nn.Parameter(torch.ones(3))
optimizer = torch.optim.Adam([weight])
weight.sum().backward()
optimizer.step()
"""

_POLICY = """\
due = 2026-05-01T23:59:00
zone = "Europe/Berlin"
late_days = 1
penalty_per_day = "10%"
cap = "50%"
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table; `asked` and `met` where something is asked."""

    what: str
    measured: str
    asked: str = ""
    met: bool | None = None


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    how: str
    commands: tuple[str, ...]
    rows: tuple[Row, ...]


def at_most(what: str, value: float, limit: float, measured: str, unit: str = "") -> Row:
    return Row(what, measured, f"at most {limit:g}{unit}", value <= limit)


def at_least(what: str, value: float, limit: float, measured: str, unit: str = "") -> Row:
    return Row(what, measured, f"at least {limit:g}{unit}", value >= limit)


def grade(*arguments: str | Path) -> list[str]:
    return [str(BIN / "grade"), *map(str, arguments)]


def run_grade(*arguments: str | Path) -> float:
    return seconds(grade(*arguments), cwd=ROOT, accept=GRADED)


_largest = max(SCALE)


# -- the sections -----------------------------------------------------------------------------------


def measure_check(scratch: Path) -> list[Section]:
    python = str(BIN / "python")
    found = in_turn(
        {
            "import": lambda: seconds([python, "-c", "import torch"], cwd=ROOT),
            "one": lambda: run_grade("check", "conv2d", "--submission", "solutions"),
            "step": lambda: seconds([python, "-c", _ADAM_STEP], cwd=ROOT),
            "all": lambda: run_grade("check", "--submission", "solutions"),
        }
    )
    one, every = found["one"].over(found["import"]), found["all"].over(found["step"])
    return [
        Section(
            "`grade check`, beside what importing torch costs",
            "The commands take turns, after a round to warm up.",
            (
                'python -c "import torch"',
                "grade check conv2d --submission solutions",
                'python -c "' + "; ".join(_ADAM_STEP.splitlines()) + '"',
                "grade check --submission solutions",
            ),
            (
                Row("import torch", found["import"].text(" s")),
                Row("`grade check conv2d`", found["one"].text(" s")),
                at_most("`grade check conv2d` / import torch", one.median, 1.5, one.text()),
                Row("import torch, one step of Adam", found["step"].text(" s")),
                Row("`grade check`, all tasks", found["all"].text(" s")),
                at_most("`grade check` / import torch and one step of Adam", every.median, 1.3, every.text()),
            ),
        )
    ]


def measure_watch(scratch: Path) -> list[Section]:
    copy = scratch / "watched"
    shutil.copytree(ROOT / "solutions", copy)
    command = grade("check", "conv2d", "--watch", "--submission", copy)
    values = seconds_after_saves(command, copy / "layers.py", 2 * ROUNDS, cwd=ROOT, env=environ())
    times = Times(tuple(values))
    return [
        Section(
            "`grade check --watch`",
            "From saving `layers.py` until the answer stands on the screen, "
            f"{2 * ROUNDS} saves after the first check.",
            ("grade check conv2d --watch --submission COPY",),
            (at_most("each further check of one task", times.median, 0.3, times.text(" s"), " s"),),
        )
    ]


def measure_show(scratch: Path) -> list[Section]:
    python, libraries = (
        str(BIN / "python"),
        "import torch, matplotlib.figure, matplotlib.backends.backend_agg",
    )
    tasks = ("conv2d", "elu", "LeNet5", "fit")
    found = in_turn(
        {
            "import": lambda: seconds([python, "-c", libraries], cwd=ROOT),
            **{
                task: lambda task=task: run_grade(
                    "show", task, "--submission", "solutions", "--out", scratch / "picture.png"
                )
                for task in tasks
            },
        }
    )
    rows = [Row("import torch and what matplotlib draws with", found["import"].text(" s"))]
    for task in tasks:
        pairs = zip(found[task].values, found["import"].values, strict=True)
        beyond = Times(tuple(whole - imported for whole, imported in pairs))
        rows.append(at_most(f"`grade show {task}`, beyond that", beyond.median, 1, beyond.text(" s"), " s"))
    return [
        Section(
            "`grade show`, beyond importing torch and matplotlib",
            "The commands take turns, after a round to warm up; the difference is taken in each round.",
            (f'python -c "{libraries}"', "grade show TASK --submission solutions --out PICTURE.png"),
            tuple(rows),
        )
    ]


def measure_class(scratch: Path) -> list[Section]:
    notebooks.make_environment()
    folder = scratch / "class"
    samples.write_class(folder, range(CLASS))
    course = scratch / "nbgrader"
    nbgrader_course.make_course(course, STUDENTS)
    zips = otter_course.make_course(scratch / "otter", ZIPS)
    out = {path: scratch / f"otter-{path.stem}" for path in zips}
    for path in out.values():
        path.mkdir()
    graded, single, paired = itertools.count(), itertools.count(), itertools.count()

    def grade_all() -> float:
        fresh = scratch / f"results{next(graded)}"
        return run_grade("all", folder, "--out", fresh, "--jobs", str(JOBS)) / CLASS

    def nbgrader() -> float:
        command = nbgrader_course.autograde_command()
        return seconds(command, cwd=course, env=notebooks.environ()) / len(STUDENTS)

    def nbgrader_api() -> float:
        return nbgrader_course.api_seconds(course, STUDENTS)

    def otter(path: Path) -> float:
        command = otter_course.run_command(path, out[path])
        return seconds(command, cwd=scratch, env=notebooks.environ())

    def otter_in_turn() -> float:
        return otter(zips[next(single) % len(STUDENTS)])

    def otter_two() -> float:
        pair = next(paired) % (len(zips) // 2)
        with ThreadPoolExecutor(2) as both:
            return max(both.map(otter, zips[2 * pair : 2 * pair + 2])) / 2

    nbgrader()
    for path in zips:
        otter(path)
    _make_sure_of_scores(course, out)
    found = in_turn(
        {
            "grade": grade_all,
            "nbgrader": nbgrader,
            "api": nbgrader_api,
            "otter": otter_in_turn,
            "otter two": otter_two,
        },
        warm_up=False,
    )
    rows = [
        at_most(f"`grade all`, {JOBS} jobs", found["grade"].median, 0.3, found["grade"].text(" s", 3), " s"),
        Row(f"`nbgrader autograde`, one call for {len(STUDENTS)} students", found["nbgrader"].text(" s")),
        Row("nbgrader's API, a call for each student, its import not counted", found["api"].text(" s")),
        Row("`otter run`", found["otter"].text(" s")),
        Row("`otter run`, two at a time", found["otter two"].text(" s")),
    ]
    for name, what, asked in (
        ("nbgrader", "`nbgrader autograde`", True),
        ("api", "nbgrader's API", True),
        ("otter", "`otter run`", True),
        ("otter two", "`otter run`, two at a time", False),
    ):
        times = found[name].over(found["grade"])
        what = f"submissions a minute, `grade all` / {what}"
        rows.append(
            at_least(what, times.median, 40, times.text(digits=0))
            if asked
            else Row(what, times.text(digits=0))
        )
    return [
        Section(
            "A class, beside nbgrader and otter",
            f"Wall time for each submission. `grade all` grades {CLASS} submissions (seven of ten right, one"
            " of ten a stub, two of ten with a mistake) with public and hidden checks, from nothing. nbgrader"
            " and otter grade the same kinds of submissions with tests of the same 15 names that cover the"
            " same (`benchmarks/plain_tests.py`), each with one thread, which is faster for them here. In"
            " this run both gave all points to the solutions and none to a stub, and gave equal points where"
            " both graded the same submission. The commands take turns.",
            (
                f"grade all CLASS --out FRESH --jobs {JOBS}",
                "nbgrader autograde lenet5 --force",
                'NbGraderAPI(config=config).autograde("lenet5", student, force=True)',
                "otter run student0000.zip -a autograder.zip -o OUT --no-logo",
            ),
            tuple(rows),
        )
    ]


def _make_sure_of_scores(course: Path, otter_out: dict[Path, Path]) -> None:
    """Raise where one of them does not really grade: they agree, solutions have all points, the stub none."""
    by_nbgrader = nbgrader_course.scores(course)
    by_otter = {path.stem: otter_course.scores(out) for path, out in otter_out.items()}
    for student, points in by_nbgrader.items():
        if points != by_otter[student]:
            raise RuntimeError(f"{student}: nbgrader gave {points}, otter {by_otter[student]}")
    totals = [sum(by_nbgrader[f"student{number:04}"].values()) for number in STUDENTS]
    if totals[0] != TOTAL_POINTS or totals[1] != 0 or not 0 < totals[2] < TOTAL_POINTS:
        raise RuntimeError(f"the solutions, the stub and the wrong submission got {totals} points")


def measure_records(scratch: Path) -> list[Section]:
    folder, results = scratch / "many", scratch / "many-results"
    command = grade("all", folder, "--jobs", str(JOBS), "--out")
    samples.write_class(folder, range(CLASS))
    small = memory.watch([*command, str(scratch / "few")], cwd=ROOT, env=environ(), accept=GRADED)
    samples.write_class(folder, range(CLASS, LARGE))
    large = memory.watch([*command, str(results)], cwd=ROOT, env=environ(), accept=GRADED)
    samples.write_class(folder, range(LARGE, RECORDS))
    run_grade("all", folder, "--jobs", str(JOBS), "--out", results)
    again = in_turn({"again": lambda: run_grade("all", folder, "--out", results, "--jobs", str(JOBS))})[
        "again"
    ]
    workers = Times(small.workers + large.workers) if small.workers + large.workers else None
    growth = large.main_peak / small.main_peak
    return [
        Section(
            "A second run with nothing changed",
            f"{RECORDS} records lie in OUT; after a run to warm up.",
            (f"grade all CLASS --out OUT --jobs {JOBS}",),
            (at_most(f"`grade all`, {RECORDS} records", again.median, 2, again.text(" s"), " s"),),
        ),
        Section(
            "Memory",
            "Read from /proc while `grade all` runs. A worker's own memory: the private dirty pages of its"
            " `smaps_rollup`, the most that was seen of each worker. The main process: its peak resident"
            " memory.",
            (f"grade all CLASS --out OUT --jobs {JOBS}",),
            (
                Row("a worker beyond the shared pages", "not to be read here (other user's processes)")
                if workers is None
                else at_most(
                    f"a worker beyond the shared pages, the largest of {len(workers.values)}",
                    max(workers.values),
                    40,
                    f"{max(workers.values):.1f} MB (median {workers.median:.1f} MB)",
                    " MB",
                ),
                Row(f"main process, {CLASS} submissions", f"{small.main_peak:.0f} MB"),
                Row(f"main process, {LARGE} submissions", f"{large.main_peak:.0f} MB"),
                Row(
                    "main process, growth",
                    f"{growth - 1:+.1%}",
                    "does not grow (5 % either way)",
                    growth < 1.05,
                ),
            ),
        ),
    ]


def measure_scale(scratch: Path) -> list[Section]:
    folder = scratch / "class"
    rows: list[Row] = []
    found: dict[int, memory.Course] = {}
    written = 0
    for size in (size for size in SCALE if size <= _largest):
        samples.write_mixed_class(folder, range(written, size))
        written = size
        results = scratch / f"results{size}"
        command = grade("all", folder, "--out", results, "--jobs", str(JOBS))
        course = found[size] = memory.follow(command, cwd=ROOT, env=environ(), accept=GRADED)
        if wrong := samples.wrong_totals(results / "grades.csv", range(size)):
            raise RuntimeError(f"of {size}, {len(wrong)} rows are wrong: {wrong[:5]}")
        print(f"  {size}: {course}", file=sys.stderr, flush=True)
        again = run_grade("all", folder, "--out", results, "--jobs", str(JOBS))
        rows.append(
            Row(
                f"{size:,} submissions",
                f"{course.seconds / size:.3f} s each, {course.seconds:.0f} s; main process {course.main:.0f} MB (at half"
                f" time {course.half:.0f}), largest other {course.others:.0f} MB; again with nothing to do {again:.1f} s",
            )
        )
    sizes = sorted(found)
    if len(sizes) > 2:
        before, last = found[sizes[-2]], found[sizes[-1]]
        a, b = f"{sizes[-2]:,}", f"{sizes[-1]:,}"
        # the start, some seconds, is in both
        cost = (last.seconds / sizes[-1]) / (before.seconds / sizes[-2])
        rows.append(at_most(f"cost of a submission, {b} / {a}", cost, 1.1, f"{cost:.2f}"))
        growth = last.main / before.main
        rows.append(at_most(f"memory of the main process, {b} / {a}", growth, 1.1, f"{growth:.2f}"))
    return [
        Section(
            "A large course, with hostile ones",
            "Each class is graded from nothing, once. Of twenty submissions one is hostile: it ends its process, prints"
            " 20 MB, asks for 25 GB, writes to every descriptor that is open, or is a zip cut short; one of five"
            " hundred hangs until its deadline. In this run every row of every class had the points that it should.",
            (f"grade all CLASS --out FRESH --jobs {JOBS}",),
            tuple(rows),
        )
    ]


def measure_jobs(scratch: Path) -> list[Section]:
    folder = scratch / "class"
    samples.write_class(folder, range(PAIRED))
    fresh = itertools.count()
    whole: dict[int, list[float]] = {1: [], JOBS: []}

    def steady(jobs: int) -> float:
        """Seconds a submission from the first record to the last."""
        results = scratch / f"results{next(fresh)}"
        whole[jobs].append(run_grade("all", folder, "--out", results, "--jobs", str(jobs)))
        times = sorted(path.stat().st_mtime_ns for path in (results / "records").iterdir())
        return (times[-1] - times[0]) / 1e9 / (len(times) - 1)

    found = in_turn({"one": lambda: steady(1), "two": lambda: steady(JOBS)}, rounds=3, warm_up=False)
    ratio = found["one"].over(found["two"])
    all_in = Times(tuple(whole[1])).over(Times(tuple(whole[JOBS])))
    return [
        Section(
            "Two jobs on two processors",
            f"{PAIRED} submissions, from the first record to the last; in turn.",
            ("grade all CLASS --out FRESH --jobs 1", f"grade all CLASS --out FRESH --jobs {JOBS}"),
            (
                Row("one job, a submission", found["one"].text(" s", 3)),
                Row("two jobs, a submission", found["two"].text(" s", 3)),
                at_least("throughput, two jobs / one job", ratio.median, 1.7, ratio.text()),
                Row("the same with the start, which is one process's work", all_in.text()),
            ),
        )
    ]


def measure_course(scratch: Path) -> list[Section]:
    notebooks.make_environment()
    small = _course(scratch / "small", range(BESIDE))
    theirs = scratch / "nbgrader"
    nbgrader_course.make_course(theirs, range(BESIDE))
    fresh = itertools.count()

    def ours(*names: str) -> float:
        course = scratch / f"small{next(fresh)}"
        shutil.copytree(small.parent / "course", course)
        commands = our_course.steps(grade()[0], course, small)
        return sum(seconds(commands[name], cwd=ROOT) for name in names) / BESIDE

    def nbgrader() -> float:
        both = (nbgrader_course.autograde_command(), nbgrader_course.feedback_command())
        return sum(seconds(command, cwd=theirs, env=notebooks.environ()) for command in both) / BESIDE

    beside = in_turn(
        {
            "ours": lambda: ours("at once"),
            "nbgrader": nbgrader,
            "three": lambda: ours("all", "publish", "feedback"),
        },
        rounds=9,
    )
    ratio = beside["nbgrader"].over(beside["ours"])

    large = _course(scratch / "large", range(RECORDS))
    commands = our_course.steps(grade()[0], large.parent / "course", large)
    whole = seconds(commands["at once"], cwd=ROOT) / RECORDS
    found = in_turn(
        {
            name: lambda name=name: seconds(commands[name], cwd=ROOT) / RECORDS
            for name in ("publish", "feedback")
        },
        rounds=3,
        warm_up=False,
    )
    peaks = {
        name: our_course.peak_memory(commands[name], ROOT, environ()) for name in ("publish", "feedback")
    }
    peak = max(peaks.values())
    return [
        Section(
            f"An nbgrader course of {RECORDS}",
            "Wall time for each student, nbgrader's import included. Every second report has all answers and"
            " figures. The first `publish` makes the students' rows, further ones find them. Memory: the command and"
            " its child processes together, shared pages counted for each.",
            tuple(" ".join(["grade", *commands[name][1:-1], "COURSE"]) for name in ("publish", "feedback")),
            (
                at_most(
                    "`grade course publish`",
                    found["publish"].median,
                    0.1,
                    found["publish"].text(" s", 3),
                    " s",
                ),
                at_most(
                    "`grade feedback`", found["feedback"].median, 0.15, found["feedback"].text(" s", 3), " s"
                ),
                Row("from submissions to feedback: `grade all COURSE --feedback`", f"{whole:.3f} s"),
                at_most(
                    "memory",
                    peak,
                    500,
                    f"{peak:.0f} MB ({', '.join(f'{n} {p:.0f}' for n, p in peaks.items())})",
                    " MB",
                ),
            ),
        ),
        Section(
            f"From submissions to feedback, beside nbgrader, {BESIDE} students",
            "Wall time for each student. Ours: `grade all --feedback` from nothing; or in three commands, with time for"
            " graders between them. nbgrader's: `autograde` with its kernel on the same tasks"
            " (`benchmarks/plain_tests.py`), and `generate_feedback`. They take turns.",
            (
                "grade all COURSE --jobs 2 --feedback",
                "nbgrader autograde lenet5 --force; nbgrader generate_feedback lenet5 --force",
                "grade all COURSE --jobs 2; grade course publish COURSE; grade feedback COURSE",
            ),
            (
                Row("ours", beside["ours"].text(" s", 3)),
                Row("nbgrader's", beside["nbgrader"].text(" s")),
                at_least("nbgrader's / ours", ratio.median, 20, ratio.text(digits=1)),
                Row("ours in three commands", beside["three"].text(" s", 3)),
                Row(
                    "nbgrader's / ours in three commands",
                    beside["nbgrader"].over(beside["three"]).text(digits=1),
                ),
                Row(
                    f"nbgrader's for {BESIDE} / ours for {RECORDS}",
                    f"{beside['nbgrader'].median / whole:.1f}",
                ),
            ),
        ),
    ]


def _course(folder: Path, students: range) -> Path:
    """A course in `folder/course` with these students' submissions collected; the submissions' folder."""
    submissions = folder / "class"
    our_course.write_submissions(submissions, students)
    run_grade("course", "init", folder / "course")
    seconds(our_course.steps(grade()[0], folder / "course", submissions)["collect"], cwd=ROOT)
    return submissions


def measure_cluster(scratch: Path) -> list[Section]:
    folder = scratch / "class"
    samples.write_class(folder, range(CLASS))
    fresh = itertools.count()

    def grade_all(*options: str) -> float:
        out = scratch / f"results{next(fresh)}"
        return run_grade("all", folder, "--out", out, *options) / CLASS

    local: list[float] = []
    first: list[float] = []
    again: list[float] = []
    for _ in range(CLUSTER_ROUNDS):
        local.append(grade_all("--jobs", str(JOBS)))
        with cluster.started((JOBS,)) as address:
            first.append(grade_all("--scheduler", address))
            again.append(grade_all("--scheduler", address))
    alone, fresh_worker, warm_worker = (Times(tuple(found)) for found in (local, first, again))
    cold, warm = alone.over(fresh_worker), alone.over(warm_worker)
    return [
        Section(
            "A class on a Dask cluster of the same two cores",
            f"Wall time for each of {CLASS} submissions, from nothing, start of `grade` included; {CLUSTER_ROUNDS}"
            " rounds. Scheduler, workers and `grade all` share the two cores. A worker that was just started"
            " imports torch and collects the checks within the time, as the local pool does.",
            (
                f"grade all CLASS --out FRESH --jobs {JOBS}",
                "dask scheduler; dask worker tcp://127.0.0.1:PORT --nthreads 2",
                "grade all CLASS --out FRESH --scheduler tcp://127.0.0.1:PORT",
            ),
            (
                Row(f"local pool, {JOBS} jobs", alone.text(" s", 3)),
                Row(f"a Dask worker of {JOBS} threads, just started", fresh_worker.text(" s", 3)),
                Row("the same worker, a second time", warm_worker.text(" s", 3)),
                at_least("throughput, just started / local pool", cold.median, 0.8, cold.text()),
                Row("throughput, a second time / local pool", warm.text()),
            ),
        )
    ]


def measure_sandbox(scratch: Path) -> list[Section]:
    command = [str(BIN / "python"), "benchmarks/layers.py"]
    text = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    found = {name: Times(tuple(values)) for name, values in json.loads(text).items()}

    def more(what: str) -> Times:
        pairs = zip(found[f"{what} A"].values, found[f"{what} D"].values, strict=True)
        return Times(tuple(a - d for a, d in pairs))

    def told(times: Times) -> str:
        """The median, and the range of the middle half: among so many, a few are somebody else's."""
        low, _, high = quantiles(times.values, n=4)
        return f"{times.median:.2f} ms ({low:.2f} to {high:.2f})"

    return [
        Section(
            "The sandbox's layers",
            "Level A beside level D (no Landlock, no seccomp), in turn: medians, in brackets the middle half of"
            f" {len(found['layers'].values)} children and {len(found['submission A'].values)} submissions.",
            ("python benchmarks/layers.py",),
            (
                Row("a child, from its fork to its end, level D", told(found["child D"])),
                Row("the same, level A", told(found["child A"])),
                at_most(
                    "what Landlock and seccomp add to a child",
                    more("child").median,
                    5,
                    told(more("child")),
                    " ms",
                ),
                at_most(
                    "all layers together, within a child",
                    found["layers"].median,
                    5,
                    told(found["layers"]),
                    " ms",
                ),
                Row("the solutions, all checks, level D", told(found["submission D"])),
                Row("the same, level A", told(found["submission A"])),
                Row("what level A adds to a submission", told(more("submission"))),
            ),
        )
    ]


def measure_help(scratch: Path) -> list[Section]:
    times = in_turn({"help": lambda: run_grade("--help")}, rounds=2 * ROUNDS)["help"]
    return [
        Section(
            "`grade --help`",
            "After one run to warm up.",
            ("grade --help",),
            (at_most("`grade --help`", times.median, 0.333, times.text(" s"), " s"),),
        )
    ]


def measure_similar(scratch: Path) -> list[Section]:
    folder, out = scratch / "class", scratch / "similar"
    alike.write_class(folder, ALIKE, COPIES)
    command = ("similar", folder, "--out", out, "--jobs", str(JOBS))
    times = in_turn({"similar": lambda: run_grade(*command)})["similar"]
    with (out / "similar.csv").open(encoding="utf-8", newline="") as file:
        found = {(row["first"], row["second"]) for row in csv.DictReader(file)}
    if found != {(f"student{a:04}", f"student{b:04}") for a, b in COPIES}:
        raise RuntimeError(f"`grade similar` lists {sorted(found)}")
    size = (out / "similar.html").stat().st_size / 1e6
    return [
        Section(
            f"`grade similar`, {ALIKE} submissions",
            "Right versions in unlike styles, of which two are another's with other names; only these two pairs were"
            " listed. After one run to warm up.",
            (f"grade similar CLASS --out OUT --jobs {JOBS}",),
            (
                at_most(f"all {ALIKE * (ALIKE - 1) // 2:,} pairs", times.median, 60, times.text(" s"), " s"),
                Row("the page", f"{size:.1f} MB"),
            ),
        )
    ]


def measure_report(scratch: Path) -> list[Section]:
    folder = scratch / "class"
    class_records.write(folder, class_records.reports(_real_reports(scratch), REPORTED))
    (folder / "policy.toml").write_text(_POLICY, encoding="utf-8")
    students = [decode(path.read_bytes()).student for path in sorted((folder / "records").glob("*.json"))]
    sheets = {"canvas": scratch / "canvas.csv", "moodle": scratch / "moodle.csv"}
    class_records.write_sheets(students, sheets["canvas"], sheets["moodle"])
    found = in_turn(
        {
            "report": lambda: run_grade("report", folder),
            "csv": lambda: run_grade("export", "csv", folder),
            "json": lambda: run_grade("export", "json", folder),
            "canvas": lambda: run_grade("export", "canvas", sheets["canvas"], folder, "--column", "LeNet-5"),
            "moodle": lambda: run_grade("export", "moodle", sheets["moodle"], folder),
        }
    )
    page = folder / "report.html"
    size = page.stat().st_size / 1e6
    opening = json.loads(
        subprocess.run(
            [sys.executable, ROOT / "benchmarks" / "opening.py", page],
            check=True, capture_output=True, text=True,
        ).stdout
    )  # fmt: skip
    exports = ("csv", "json", "canvas", "moodle")
    return [
        Section(
            f"`grade report` and `grade export`, {REPORTED:,} records",
            "Records mixed of real reports of right, empty and wrong submissions, with messages and pictures, under a"
            " policy. After one run to warm up; the page in headless Chromium, until it is painted.",
            ("grade report CLASS", "grade export csv CLASS (and json, canvas, moodle)", "python benchmarks/opening.py PAGE"),
            (
                at_most("`grade report`", found["report"].median, 5, found["report"].text(" s"), " s"),
                at_most("the page", size, 5, f"{size:.1f} MB", " MB"),
                at_most("the page opens", opening["open"], 2, f"{opening['open']:.2f} s", " s"),
                Row("its table is sorted", f"{opening['sort']:.2f} s"),
                Row("a name is searched", f"{opening['search']:.2f} s"),
                *(
                    at_most(f"`grade export {name}`", found[name].median, 1, found[name].text(" s"), " s")
                    for name in exports
                ),
            ),
        )
    ]  # fmt: skip


def _real_reports(scratch: Path) -> list[Report]:
    """Reports of a right submission, an empty one and six with mistakes, examined here."""
    folder, out = scratch / "real", scratch / "real-out"
    for number, files in enumerate(
        [samples.right(), samples.stub(), *(samples.wrong(n) for n in range(len(samples.MISTAKES)))]
    ):
        student = folder / f"student{number}"
        student.mkdir(parents=True)
        for name, text in files.items():
            (student / name).write_text(text, encoding="utf-8")
    run_grade("all", folder, "--out", out, "--jobs", str(JOBS))
    return [decode(path.read_bytes()) for path in sorted((out / "records").glob("*.json"))]


def measure_training(scratch: Path) -> list[Section]:
    training.write_mnist(scratch)
    script = str(ROOT / "benchmarks" / "training.py")

    def number(*arguments: str) -> float:
        command = [sys.executable, script, *arguments]
        done = subprocess.run(command, cwd=ROOT, env=environ(), check=True, capture_output=True, text=True)
        return float(done.stdout)

    def at_once(way: str) -> list[float]:
        with ThreadPoolExecutor(JOBS) as both:
            return list(both.map(lambda part: number(way, "--part", str(part)), range(JOBS)))

    def ordinary(workers: int) -> float:
        return number("ordinary", "--folder", str(scratch), "--workers", str(workers))

    rates: list[float] = []

    def floor() -> float:
        rates.append(sum(at_once("sgemm")))
        images = training.TRAIN + training.TEST / 3
        return images * training.FLOP_AN_IMAGE / rates[-1] / 1e9

    found = in_turn(
        {
            "ordinary": lambda: ordinary(0),
            "ordinary, 2 workers": lambda: ordinary(2),
            "plain": lambda: number("plain"),
            "stack": lambda: max(at_once("stack")) / 6,
            "floor": floor,
        },
        warm_up=False,
    )
    best = min(("ordinary", "ordinary, 2 workers"), key=lambda name: found[name].median)
    usual, fast = found[best].over(found["stack"]), found["plain"].over(found["stack"])
    scale = 60_000 / training.TRAIN
    epochs = {name: Times(tuple(scale * value for value in times.values)) for name, times in found.items()}
    return [
        Section(
            "Training on the processor: six settings of MNIST",
            f"Seconds of an epoch of 60,000 images and a test on 10,000, for one network; measured on"
            f" {training.TRAIN:,} drawn digits in MNIST's files and scaled. Batches of {BATCH_SIZE}. The floor is"
            f" the arithmetic of the network alone, at the rate of large matrix products of two processes of one"
            f" thread each (median {median(rates):.0f} GFLOP/s).",
            (
                "python benchmarks/training.py ordinary --folder MNIST --workers 0 (and 2)",
                "python benchmarks/training.py plain",
                "python benchmarks/training.py stack --part 0 & python benchmarks/training.py stack --part 1",
                "python benchmarks/training.py sgemm & python benchmarks/training.py sgemm",
            ),
            (
                Row("ordinary: PIL, transforms, DataLoader, no workers", epochs["ordinary"].text(" s")),
                Row("the same with 2 workers", epochs["ordinary, 2 workers"].text(" s")),
                Row("plain tensors, fused Adam, one network after the other", epochs["plain"].text(" s")),
                Row("`grade reproduce`: two processes, a stack of three each", epochs["stack"].text(" s")),
                Row("floor", epochs["floor"].text(" s")),
                at_least("times as fast as the better ordinary way", usual.median, 4, usual.text()),
                at_least("times as fast as plain tensors", fast.median, 2.5, fast.text()),
                Row("times the floor", found["stack"].over(found["floor"]).text()),
            ),
        )
    ]


SECTIONS: dict[str, Callable[[Path], list[Section]]] = {
    "help": measure_help,
    "sandbox": measure_sandbox,
    "check": measure_check,
    "watch": measure_watch,
    "show": measure_show,
    "class": measure_class,
    "records": measure_records,
    "scale": measure_scale,
    "jobs": measure_jobs,
    "course": measure_course,
    "similar": measure_similar,
    "report": measure_report,
    "cluster": measure_cluster,
    "training": measure_training,
}


# -- the page ---------------------------------------------------------------------------------------


def machine() -> list[str]:
    """What the figures were measured with, one line each."""
    lines = [f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}, {platform.machine()}"]
    if sys.platform == "linux":
        names = [
            line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")
        ]
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        lines.append(f"{names[0].partition(': ')[2] if names else 'processor unknown'}")
        lines.append(f"{os.cpu_count()} processors, {pages / 2**30:.0f} GB of memory")
        lines.append(f"load before the run: {os.getloadavg()[0]:.1f}")
    own = ", ".join(f"{name} {version(name)}" for name in ("torch", "pytest"))
    lines.append(f"Python {platform.python_version()}, {own}")
    return lines


def other_versions() -> str:
    """The versions in the environment of nbgrader and otter."""
    code = (
        "import importlib.metadata as m, sys; print(*(f'{p} {m.version(p)}' for p in sys.argv[1:]), sep=', ')"
    )
    command = [
        notebooks.BIN / "python",
        "-c",
        code,
        "nbgrader",
        "otter-grader",
        "nbconvert",
        "ipykernel",
        "torch",
    ]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def page(about: Sequence[str], sections: Sequence[Section], command: str) -> str:
    """The Markdown page."""
    lines = [
        "# Benchmarks",
        "",
        f"Written by `{command}` on {date.today().isoformat()}; no figure is typed in.",
        f"Times and ratios are medians of at least {ROUNDS} rounds, with the range of all rounds in",
        "brackets; a ratio is taken in each round.",
        "",
        *(f"- {line}" for line in about),
    ]
    for section in sections:
        lines += ["", f"## {section.title}", "", section.how, "", "```", *section.commands, "```", ""]
        lines += ["| | measured | asked | |", "| --- | --- | --- | --- |"]
        for row in section.rows:
            verdict = "" if row.met is None else "met" if row.met else "**missed**"
            lines.append(f"| {row.what} | {row.measured} | {row.asked} | {verdict} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Exit status 0 where all that is asked was met, 1 where something was missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only", nargs="+", choices=SECTIONS, metavar="NAME", help=f"of {', '.join(SECTIONS)}"
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the page there, too")
    parser.add_argument(
        "--largest", type=int, default=max(SCALE), metavar="N", help="of `scale`: no class larger than this"
    )
    options = parser.parse_args()
    global _largest
    _largest = options.largest
    about = machine()
    sections: list[Section] = []
    for name in options.only or SECTIONS:
        print(f"measuring: {name} ...", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
            sections += SECTIONS[name](Path(scratch))
        if name in ("class", "course") and not about[-1].startswith("beside"):
            about.append(f"beside: {other_versions()}")
    command = " ".join(["python benchmarks/bench.py", *sys.argv[1:]])
    text = page(about, sections, command)
    print(text)
    if options.write:
        options.write.write_text(text, encoding="utf-8")
    return int(any(row.met is False for section in sections for row in section.rows))


if __name__ == "__main__":
    sys.exit(main())
