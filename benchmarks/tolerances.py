"""Measures the margin of the checks' tolerances:

    python benchmarks/tolerances.py [--task NAME ...] [--write docs/tolerances.md]

Each comparison's error is taken in units of its tolerance. Right versions (the solutions on many seeds,
every equivalent of the tests) must stay below 1, wrong ones (the tests' mutants) above; the page says how far. With `--task`, only these tasks are
measured, and the page keeps its other rows.
"""

import argparse
import math
import platform
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import torch
from equivalents import EQUIVALENTS
from mutants import MUTANTS, apply

from grader.assignment import TASKS
from grader.compare import ATOL, RTOL
from grader.examine import close, examine, prepare
from grader.outcomes import Outcome
from grader.submission import Submission, read_folder

SEEDS = 40


def errors_of(submission: Submission, secret: bytes, tasks: list[str] | None = None) -> dict[str, float]:
    """The largest error of each check in units of its tolerance; infinite where more than values differ."""
    worst: dict[str, float] = defaultdict(float)

    def observe(check: str, error: float) -> None:
        worst[check] = max(worst[check], error)

    report = examine(submission, hidden=True, secret=secret, tasks=tasks, observe=observe)
    failed = {c.id for task in report.tasks for c in task.checks if c.outcome is Outcome.FAILED}
    return {check: error if check in failed or error <= 1 else math.nan for check, error in worst.items()}


def measure(tasks: list[str]) -> dict[str, str]:
    """The page's row of each task: the largest error of a right version, the smallest of a wrong one."""
    mutants = [mutant for mutant in MUTANTS if mutant.loses in tasks]
    prepare(submissions=len(mutants))
    right: dict[str, float] = defaultdict(float)
    solutions = read_folder(ROOT / "solutions")
    runs = [(Submission(f"seed {seed}", solutions.files), b"seed %d" % seed) for seed in range(SEEDS)]
    runs += [(Submission(version.name, version.files), b"equivalents") for version in EQUIVALENTS]
    for submission, secret in runs:
        for check, error in errors_of(submission, secret, tasks).items():
            task = check.split("/")[1]
            right[task] = max(right[task], error)
    wrong: dict[str, float] = {}
    which: dict[str, str] = {}
    for mutant in mutants:
        found = errors_of(Submission(mutant.name, apply(mutant)), b"mutants", [mutant.loses])
        # what catches a mutant is its clearest failure; one that shape, type or an exception gives away has none
        if any(math.isinf(error) for error in found.values()):
            continue
        clearest = max((error for error in found.values() if error > 1), default=math.inf)
        if clearest < wrong.get(mutant.loses, math.inf):
            wrong[mutant.loses], which[mutant.loses] = clearest, mutant.name
    close()
    rows = {}
    for task in tasks:
        smallest = f"{wrong[task]:,.0f}" if task in wrong else "none by values alone"
        count = sum(mutant.loses == task for mutant in mutants)
        rows[task] = f"| {task} | {right[task]:.3f} | {smallest} | {which.get(task, '')} | {count} |"
    return rows


def page(rows: dict[str, str]) -> str:
    """The Markdown page. rows: by task; what has none was not measured."""
    lines = [
        "# Tolerances",
        "",
        f"A number x agrees with the wanted y when |x - y| <= atol + rtol |y|: rtol {RTOL:g}, atol {ATOL:g}, unless a check",
        "says otherwise (logits of 1e4 and training steps have a larger atol). Errors below are in units of that bound:",
        f"the largest of a right version ({SEEDS} seeds of the solutions, {len(EQUIVALENTS)} right versions in unlike styles),",
        f"and the smallest by which a wrong version ({len(MUTANTS)} mutants) gives itself away in values.",
        "",
        "Made by `python benchmarks/tolerances.py --write docs/tolerances.md`"
        f" (torch {torch.__version__}, Python {platform.python_version()}, {platform.machine()}).",
        "",
        "| task | largest right | smallest wrong | which | mutants |",
        "| --- | ---: | ---: | --- | ---: |",
        *(rows[task.name] for task in TASKS if task.name in rows),
        "",
        "An accuracy is compared exactly (within the same bound): it can only differ where two logits of a test image",
        "lie within the float32 error of each other. With errors of 1e-7 and some 400 images a submission, a right version",
        "that sums in another order meets such a tie about once in 25,000 submissions.",
        "",
    ]
    return "\n".join(lines)


def rows_of(text: str) -> dict[str, str]:
    """The rows of a page that was written before, by task."""
    return {
        task.name: line for task in TASKS for line in text.splitlines() if line.startswith(f"| {task.name} |")
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", action="append", choices=[task.name for task in TASKS], metavar="NAME")
    parser.add_argument("--write", type=Path, metavar="FILE")
    options = parser.parse_args()
    rows = measure(options.task or [task.name for task in TASKS])
    if options.write is None:
        print(page(rows))
    else:
        before = options.write.read_text(encoding="utf-8") if options.write.exists() and options.task else ""
        options.write.write_text(page(rows_of(before) | rows), encoding="utf-8")
