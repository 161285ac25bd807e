"""The notebook that graders and students see: our released one, with a student's answers and our results in it.

Only answers are taken over, by `grade_id`, so that deleted, doubled, moved and edited cells cannot matter; cells
that a student added come along where they stood. Everything of a student's passes `safe`. The same released
notebook, answers and record give the same notebook, byte for byte: publishing and nbgrader's own autograde share
this. Nothing is run.
"""

import copy
import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grader.assignment import BY_NAME
from grader.instructor.course.results import task_output
from grader.instructor.course.safe import MAX_TEXT, html_text, markdown_html, one_line, outputs, text
from grader.report import Report

MAX_NOTEBOOK_BYTES = 30_000_000
TEXT_STUB = "YOUR ANSWER HERE"
_MAX_ADDED = 200  # cells of a student's own
_MAX_SHOWN = 12_000_000  # characters of a student's, pictures included: a page of more is not for reading

Cell = dict[str, Any]


class UnreadableNotebook(Exception):
    """The bytes are no notebook; the text says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A cell for the student to fill: is there something in it, and what its source hashes to."""

    answered: bool
    digest: str


@dataclass(frozen=True, slots=True)
class Graded:
    """The notebook as JSON data, and the answers by `grade_id`."""

    notebook: dict[str, Any]
    answers: dict[str, Answer]


def read_cells(data: bytes) -> list[Cell]:
    """The cells of a notebook as plain data. Raises `UnreadableNotebook`."""
    if len(data) > MAX_NOTEBOOK_BYTES:
        raise UnreadableNotebook(f"it is larger than {MAX_NOTEBOOK_BYTES // 1_000_000} MB")
    try:
        notebook = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UnreadableNotebook(
            "it is not JSON, as notebooks are: cut short, or saved as something else"
        ) from error
    if not isinstance(notebook, dict):
        raise UnreadableNotebook("it is JSON, but no notebook")
    cells = notebook.get("cells")
    if cells is None and isinstance(notebook.get("worksheets"), list):
        raise UnreadableNotebook("it is a notebook of a format before 2015: save it again with Jupyter")
    if not isinstance(cells, list):
        raise UnreadableNotebook("it is JSON, but no notebook")
    return [cell for cell in cells if isinstance(cell, dict)]


def graded_notebook(
    released: Mapping[str, Any], cells: Sequence[Cell], report: Report, problems: Sequence[str] = ()
) -> Graded:
    """`released` with the answers among a student's `cells`, the results of `report` and notes on `problems`."""
    found, added = _sorted_out(released, cells)
    results = {task.task: task for task in report.tasks}
    notebook = copy.deepcopy(dict(released))
    answers: dict[str, Answer] = {}
    room = _Room()
    made: list[Cell] = _notes(problems) + _added(added.get("", ()), room)
    for cell in notebook["cells"]:
        about = cell["metadata"].get("nbgrader", {})
        name = about.get("grade_id", "")
        if about.get("solution"):
            answers[name] = _fill(cell, found.get(name), room)
        elif about.get("grade"):
            cell["outputs"] = [task_output(name, BY_NAME[name].points, results.get(name))]
            cell["execution_count"] = 1
        made.append(cell)
        made += _added(added.get(name, ()), room)
    notebook["cells"] = _with_own_ids(made)
    return Graded(notebook, answers)


def source_of(cell: Mapping[str, Any]) -> str:
    """The cell's source as one text."""
    source = cell.get("source")
    if isinstance(source, list):
        return "".join(line for line in source if isinstance(line, str))
    return source if isinstance(source, str) else ""


def _grade_id(cell: Mapping[str, Any]) -> str:
    metadata = cell.get("metadata")
    about = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    name = about.get("grade_id") if isinstance(about, dict) else None
    return name if isinstance(name, str) else ""


def _sorted_out(
    released: Mapping[str, Any], cells: Sequence[Cell]
) -> tuple[dict[str, Cell], dict[str, list[Cell]]]:
    """The student's cells that answer one of ours, and their own ones by the cell of ours that they follow."""
    ours = {_grade_id(cell): cell for cell in released["cells"]}
    given = {source_of(cell).strip() for cell in released["cells"]}
    answered: dict[str, Cell] = {}
    added: dict[str, list[Cell]] = {}
    last, count = "", 0
    for cell in cells:
        name, source = _grade_id(cell), source_of(cell).strip()
        if name in ours:
            last = name
        known = name in ours and ours[name]["metadata"]["nbgrader"].get("solution")
        if known and (name not in answered or source_of(answered[name]).strip() in ("", *given)):
            answered[name] = cell  # of doubled cells the first that says something
        elif source and source not in given and not (name in ours and not known) and count < _MAX_ADDED:
            count += 1
            added.setdefault(last, []).append(cell)
    return answered, added


@dataclass(slots=True)
class _Room:
    """How much of a student's is still shown."""

    left: int = _MAX_SHOWN

    def takes(self, shown: object) -> bool:
        self.left -= len(shown) if isinstance(shown, str) else len(json.dumps(shown))
        return self.left >= 0


def _fill(cell: Cell, answer: Cell | None, room: _Room) -> Answer:
    """Put a student's answer into our cell."""
    stub = source_of(cell)
    source = stub if answer is None else source_of(answer)
    answered = source.strip() not in ("", stub.strip(), TEXT_STUB)
    digest = hashlib.sha256(source.strip().encode("utf-8", "backslashreplace")).hexdigest()
    if answered and answer is not None:
        _show(cell, source, answer, room)
    return Answer(answered, digest)


def _show(cell: Cell, source: str, written: Cell, room: _Room) -> None:
    """Make our `cell` show what a student wrote, while there is room."""
    if cell["cell_type"] == "code":
        shown = outputs(written.get("outputs"))
        cell["source"] = (
            text(source) if room.takes(source[:MAX_TEXT]) else "# [left out: the notebook is too large]"
        )
        cell["outputs"] = shown if room.takes(shown) else []
        cell["execution_count"] = None
    else:
        html = markdown_html(source, written.get("attachments"))
        cell["source"] = html if room.takes(html) else "*[left out: the notebook is too large]*"


def _added(cells: Sequence[Cell], room: _Room) -> list[Cell]:
    made = []
    for written in cells:
        kind = "code" if written.get("cell_type") == "code" else "markdown"
        cell: Cell = {"cell_type": kind, "metadata": {}, "source": ""}
        _show(cell, source_of(written), written, room)
        made.append(cell)
    return made


def _notes(problems: Sequence[str]) -> list[Cell]:
    if not problems:
        return []
    items = "".join(f"<li>{html_text(problem, 500)}</li>" for problem in problems[:30])
    html = one_line(f"<p><b>About what was handed in:</b></p><ul>{items}</ul>")
    return [{"cell_type": "markdown", "metadata": {}, "source": html}]


def _with_own_ids(cells: list[Cell]) -> list[Cell]:
    """The cells, each with an id: ours keep theirs, those of a student are numbered."""
    numbers = itertools.count(1)
    for cell in cells:
        if "nbgrader" not in cell["metadata"]:
            cell["id"] = f"added-{next(numbers)}"
    return cells
