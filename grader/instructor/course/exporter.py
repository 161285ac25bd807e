"""What nbgrader's generate_feedback makes pages with: the same pages as with its own parts, in half of the time.

* nbconvert parses the finished page once more, to give images without one a text, and to let the keyboard reach the
  cells of a template that feedback does not use. All images of our pages have a text already (`safe.outputs`,
  `results`).
* It compiles its templates for each exporter, and makes HTML of the same locked cell anew for each student.
* nbgrader opens the gradebook for each student, and asks it for each cell.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import jinja2
import nbformat
from jinja2.bccache import Bucket
from nbconvert.exporters import HTMLExporter, html
from nbconvert.filters import Highlight2HTML
from nbconvert.preprocessors import CSSHTMLHeaderPreprocessor
from nbformat import NotebookNode
from nbgrader.api import BaseCell, Grade, Gradebook, MissingEntry
from nbgrader.converters import GenerateFeedback
from nbgrader.preprocessors import GetGrades
from sqlalchemy.orm import undefer, with_polymorphic


class _Unparsed:
    """What stands in for the parsed page: nothing is found in it, and it is written as it came."""

    def __init__(self, markup: str, features: str):
        self._markup = markup

    def select(self, selector: str) -> list[Any]:
        return []

    def __str__(self) -> str:
        return self._markup


class _Compiled(jinja2.BytecodeCache):
    """Templates that this process, or the one it was forked from, has compiled."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if (code := self._kept.get((bucket.key, bucket.checksum))) is not None:
            bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key, bucket.checksum] = bucket.bytecode_to_string()


@lru_cache(maxsize=256)
def _coloured(source: str, language: str | None) -> str:
    return Highlight2HTML(pygments_lexer=language)(source)


class PageExporter(HTMLExporter):
    """Pages as `HTMLExporter` makes them."""

    _compiled: ClassVar = _Compiled()
    _released: ClassVar[dict[str, str]] = {}  # cells that are the same on every page, as HTML

    def _create_environment(self) -> jinja2.Environment:
        environment = super()._create_environment()
        environment.bytecode_cache = self._compiled
        return environment

    @jinja2.pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        return self._released.get(source) or super().markdown2html(context, source)

    def from_notebook_node(
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **options: Any
    ) -> tuple[Any, dict[str, Any]]:  # the page, a string
        about = nb.metadata.get("language_info", {})
        usual = about.get("pygments_lexer", about.get("name"))

        def highlight(source: str, language: str | None = None, metadata: Any = None) -> str:
            return _coloured(source, language or usual)

        self.filters = {"highlight_code": highlight}
        module: Any = html
        parser, module.BeautifulSoup = module.BeautifulSoup, _Unparsed
        try:
            return super().from_notebook_node(nb, resources, **options)
        finally:
            module.BeautifulSoup = parser


@lru_cache(maxsize=1)
def _gradebook(url: str) -> Any:
    """The gradebook, made once in a process, so that its statements are compiled once; to be closed after each use."""
    return Gradebook(url)


class Grades(GetGrades):
    """Scores and comments as `GetGrades` takes them from the gradebook, all of a student's at once."""

    def preprocess(self, nb: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        about = resources["nbgrader"]
        with _gradebook(about["db_url"]) as gradebook:
            self._take_over(nb, about, gradebook)
        return nb, resources

    def _take_over(self, nb: NotebookNode, about: dict[str, Any], gradebook: Any) -> None:
        cells = gradebook.db.query(
            with_polymorphic(BaseCell, "*")
        ).all()  # held, so that none is asked for alone
        notebook = gradebook.find_submission_notebook(
            about["notebook"], about["assignment"], about["student"]
        )
        of_this = gradebook.db.query(Grade).filter(Grade.notebook_id == notebook.id)
        grades = {grade.name: grade for grade in of_this.options(undefer(Grade.max_score))}
        comments = {comment.name: comment for comment in notebook.comments}
        missing = {ours["grade_id"] for ours in _ours(nb)} - {cell.name for cell in cells}
        if missing:
            raise MissingEntry(f"The gradebook has no cell {sorted(missing)[0]}")
        for ours in _ours(nb):
            if ours.get("solution") or ours.get("task"):
                ours["comment"] = comments[ours["grade_id"]].comment
            if ours.get("grade") or ours.get("task"):
                ours["score"] = grades[ours["grade_id"]].score
                ours["points"] = grades[ours["grade_id"]].max_score
        penalty = notebook.late_submission_penalty or 0
        if penalty:
            self.log.warning("Late submission penalty: %s", penalty)
        about |= {
            "score": notebook.score - penalty,
            "max_score": notebook.max_score,
            "late_penalty": penalty,
        }


def _ours(nb: NotebookNode) -> list[dict[str, Any]]:
    """nbgrader's metadata of the cells that the gradebook knows."""
    found = [cell.metadata.get("nbgrader", {}) for cell in nb.cells]
    return [ours for ours in found if ours.get("solution") or ours.get("grade") or ours.get("task")]


class _EmptyPage(PageExporter):
    """Remembers what the cells of the released notebook are as HTML."""

    @jinja2.pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        return self._released.setdefault(source, super().markdown2html(context, source))


def empty_page(driven: Any, path: Path) -> str:
    """The page of the released notebook as one that got no points; `driven` is nbgrader's API.

    What is done for it is not done again for the pages of students.
    """
    converter = GenerateFeedback(coursedir=driven.coursedir, parent=driven)
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if "nbgrader" in cell.metadata:
            cell.metadata["nbgrader"] |= {"score": 0.0, "points": 1.0, "comment": ""}
    resources = {
        "nbgrader": {"score": 0.0, "max_score": 1.0, "late_penalty": 0.0, "notebook": path.stem},
        "metadata": {"name": path.stem},
    }
    exporter = _EmptyPage(parent=converter, config=converter.config)
    exporter.register_preprocessor(CSSHTMLHeaderPreprocessor, enabled=True)
    return exporter.from_notebook_node(notebook, resources)[0]
