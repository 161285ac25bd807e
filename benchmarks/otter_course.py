"""The assignment for otter: an autograder with a test file for each of the 15 names, and zips to grade.

An ordinary use of otter without containers: `otter generate` makes the autograder, a submission is a zip of
the notebook with the package `student` beside it, `otter run` grades one.
"""

import json
import subprocess
import zipfile
from pathlib import Path

from notebooks import BIN, environ, helpers, imports, test_source
from samples import sample

from grader.assignment import TASKS

_TEST_FILE = """\
from otter.test_files import test_case

OK_FORMAT = False
name = "{name}"
points = None

{helpers}

@test_case(points={points})
{test}"""


def make_course(folder: Path, students: range) -> list[Path]:
    """Write `autograder.zip` and a submission for each of the students of `samples`; the submissions."""
    tests = folder / "tests"
    tests.mkdir(parents=True)
    for task in TASKS:
        text = _TEST_FILE.format(
            name=task.name, points=task.points, helpers=helpers(), test=test_source(task.name)
        )
        (tests / f"{task.name}.py").write_text(text)
    (folder / "otter_config.json").write_text(json.dumps({"zips": False, "show_hidden": True}))
    command = [BIN / "otter", "generate", "-t", "tests", "-o", "autograder.zip", "-c", "otter_config.json"]
    done = subprocess.run(
        [*command, "--no-environment"], cwd=folder, env=environ(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"otter generate failed:\n{done.stdout}{done.stderr}")
    return [_hand_in(folder / f"student{number:04}.zip", number) for number in students]


def run_command(submission: Path, out: Path) -> list[str]:
    """Grades one submission; its `results.json` goes to the folder `out`."""
    autograder = submission.parent / "autograder.zip"
    return [str(BIN / "otter"), "run", str(submission), "-a", str(autograder), "-o", str(out), "--no-logo"]


def scores(out: Path) -> dict[str, float]:
    """Points by task of the submission whose results went to `out`."""
    found = json.loads((out / "results.json").read_text())
    return {test["name"].split(" ")[0]: test["score"] for test in found["tests"] if "score" in test}


def _hand_in(path: Path, number: int) -> Path:
    checks = [f'grader.check("{task.name}")' for task in TASKS]
    sources = ["import otter\n\ngrader = otter.Notebook()", imports(), *checks]
    cells = [
        {
            "id": f"cell{position}",
            "cell_type": "code",
            "metadata": {},
            "execution_count": None,
            "outputs": [],
            "source": source,
        }
        for position, source in enumerate(sources)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}, "cells": cells}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("lenet5.ipynb", json.dumps(notebook))
        for name, text in sample(number).items():
            archive.writestr(f"student/{name}", text)
    return path
