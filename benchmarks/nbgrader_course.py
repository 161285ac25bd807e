"""The assignment as an nbgrader course: one notebook with a test cell for each of the 15 names.

An ordinary course of ordinary use: `nbgrader generate_assignment` releases the notebook, every student hands
it in with the package `student` beside it, `nbgrader autograde` runs all of a class in one call.
"""

import json
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

from notebooks import BIN, environ, helpers, imports, test_source
from samples import sample

from grader.assignment import TASKS

ASSIGNMENT = "lenet5"
_CONFIG = """\
c = get_config()
c.CourseDirectory.course_id = "benchmark"
c.CourseDirectory.db_url = "sqlite:///gradebook.db"
"""
_API = """\
import sys, time
from nbgrader.apps import NbGraderAPI
from traitlets.config import Config

config = Config()
config.CourseDirectory.db_url = "sqlite:///gradebook.db"
api = NbGraderAPI(config=config)
start = time.perf_counter()
for student in sys.argv[2:]:
    result = api.autograde(sys.argv[1], student, force=True)
    if not result["success"]:
        sys.exit(result["log"] + result["error"])
print(time.perf_counter() - start)
"""


def make_course(folder: Path, students: range) -> None:
    """Write and release the course; the students of `samples` hand in."""
    folder.mkdir()
    (folder / "nbgrader_config.py").write_text(_CONFIG)
    source = folder / "source" / ASSIGNMENT
    source.mkdir(parents=True)
    (source / f"{ASSIGNMENT}.ipynb").write_text(json.dumps(_notebook(), indent=1))
    run("generate_assignment", ASSIGNMENT, folder=folder)
    for number in students:
        submitted = folder / "submitted" / f"student{number:04}" / ASSIGNMENT
        shutil.copytree(folder / "release" / ASSIGNMENT, submitted)
        (submitted / "student").mkdir()
        for name, text in sample(number).items():
            (submitted / "student" / name).write_text(text, encoding="utf-8")


def autograde_command() -> list[str]:
    """Grades the whole class again."""
    return [str(BIN / "nbgrader"), "autograde", ASSIGNMENT, "--force"]


def feedback_command() -> list[str]:
    """Writes the whole class's feedback again."""
    return [str(BIN / "nbgrader"), "generate_feedback", ASSIGNMENT, "--force"]


def api_seconds(folder: Path, students: range) -> float:
    """Seconds for each student when nbgrader is driven in-process, its import not counted."""
    names = [f"student{number:04}" for number in students]
    command = [BIN / "python", "-c", _API, ASSIGNMENT, *names]
    done = subprocess.run(command, cwd=folder, env=environ(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"nbgrader's API failed:\n{done.stdout}{done.stderr}")
    return float(done.stdout.split()[-1]) / len(names)


def scores(folder: Path) -> dict[str, dict[str, float]]:
    """Points by student and task, from the gradebook."""
    with sqlite3.connect(folder / "gradebook.db") as database:
        rows = database.execute(
            """select submitted_assignment.student_id, base_cell.name, grade.auto_score
               from grade
               join base_cell on base_cell.id = grade.cell_id
               join submitted_notebook on submitted_notebook.id = grade.notebook_id
               join submitted_assignment on submitted_assignment.id = submitted_notebook.assignment_id"""
        ).fetchall()
    found: dict[str, dict[str, float]] = {}
    for student, task, points in rows:
        found.setdefault(student, {})[task] = points
    return found


def run(*arguments: str, folder: Path) -> None:
    """Run one nbgrader command in the course's folder."""
    command = [BIN / "nbgrader", *arguments]
    done = subprocess.run(command, cwd=folder, env=environ(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"nbgrader {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")


def _notebook() -> dict[str, Any]:
    cells = [_cell("setup", imports()), _cell("helpers", helpers())]
    for task in TASKS:
        cells.append(
            _cell(task.name, f"{test_source(task.name)}\n\ntest_{task.name}({task.name})\n", task.points)
        )
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}, "cells": cells}


def _cell(name: str, source: str, points: int = 0) -> dict[str, Any]:
    """A locked cell; one with points is a test cell."""
    nbgrader = {
        "grade_id": name,
        "grade": points > 0,
        "points": points,
        "solution": False,
        "locked": True,
        "task": False,
        "schema_version": 3,
        "cell_type": "code",
    }
    if not points:
        del nbgrader["points"]
    return {
        "id": name,
        "cell_type": "code",
        "metadata": {"nbgrader": nbgrader},
        "execution_count": None,
        "outputs": [],
        "source": source,
    }
