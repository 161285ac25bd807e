"""What nbgrader's generate_feedback makes pages with: the same pages as with its own parts, sooner.

* nbconvert parses the finished page once more, to give images without one a text, and to let the keyboard reach the
  cells of a template that feedback does not use. All images of our pages have a text already (`safe.outputs`,
  `results`).
* It compiles its templates for each command, and makes HTML of the same locked cell anew for each student.
* It copies the notebook before and checks it after its preprocessors, which ours do not need.
* nbgrader opens the gradebook for each student, and asks it for each cell.
"""

import contextlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import CodeType
from typing import Any, ClassVar

import jinja2
import nbformat
from jinja2.bccache import Bucket, FileSystemBytecodeCache
from nbconvert.exporters import HTMLExporter, html
from nbconvert.filters import Highlight2HTML
from nbconvert.preprocessors import CSSHTMLHeaderPreprocessor
from nbformat import NotebookNode
from nbgrader.api import BaseCell, Comment, Grade, Gradebook, MissingEntry
from nbgrader.converters import GenerateFeedback
from nbgrader.preprocessors import GetGrades

from grader.instructor.course.layout import cache_folder


class _Unparsed:
    """What stands in for the parsed page: nothing is found in it, and it is written as it came."""

    def __init__(self, markup: str, features: str):
        self._markup = markup

    def select(self, selector: str) -> list[Any]:
        return []

    def __str__(self) -> str:
        return self._markup


class _Compiled(FileSystemBytecodeCache):
    """Compiled templates: for later commands in the user's cache folder, and for this process in memory."""

    def __init__(self) -> None:
        folder = cache_folder() / "templates"
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
        super().__init__(str(folder))
        self._kept: dict[tuple[str, str], CodeType | None] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._kept.get((bucket.key, bucket.checksum))
        if bucket.code is None:
            with contextlib.suppress(OSError):
                super().load_bytecode(bucket)
            self._kept[bucket.key, bucket.checksum] = bucket.code

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key, bucket.checksum] = bucket.code
        with contextlib.suppress(OSError):  # a folder that cannot be written to
            super().dump_bytecode(bucket)


@lru_cache(maxsize=256)
def _coloured(source: str, language: str | None) -> str:
    return Highlight2HTML(pygments_lexer=language)(source)


class PageExporter(HTMLExporter):
    """Pages as `HTMLExporter` makes them."""

    _compiled: ClassVar = _Compiled()
    _released: ClassVar[dict[str, str]] = {}  # cells that are the same on every page, as HTML

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        self._usual: str | None = None  # language of the notebook's code
        # set once: each change of the filters makes all templates be loaded anew
        self.filters = {"highlight_code": self._highlight} | self.filters

    def _create_environment(self) -> jinja2.Environment:
        environment = super()._create_environment()
        environment.bytecode_cache = self._compiled
        return environment

    @jinja2.pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        return self._released.get(source) or super().markdown2html(context, source)

    def _highlight(self, source: str, language: str | None = None, metadata: Any = None) -> str:
        return _coloured(source, language or self._usual)

    def _preprocess(self, nb: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        """Without the copy: the notebook was read for this page alone."""
        for preprocessor in self._preprocessors:
            nb, resources = preprocessor(nb, resources)
        return nb, resources

    def from_notebook_node(
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **options: Any
    ) -> tuple[Any, dict[str, Any]]:  # the page, a string
        about = nb.metadata.get("language_info", {})
        self._usual = about.get("pygments_lexer", about.get("name"))
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
        notebook = gradebook.find_submission_notebook(
            about["notebook"], about["assignment"], about["student"]
        )
        grades, comments = _entries(gradebook.db, notebook.id)
        for cell in nb.cells:
            ours = cell.metadata.get("nbgrader", {})
            name, is_task = ours.get("grade_id"), ours.get("task")
            try:
                if ours.get("solution") or is_task:
                    ours["comment"] = comments[name]
                if ours.get("grade") or is_task:
                    ours["score"], ours["points"] = grades[name]
            except KeyError:
                raise MissingEntry(f"The gradebook has no cell {name}") from None
        penalty = notebook.late_submission_penalty or 0
        if penalty:
            self.log.warning("Late submission penalty: %s", penalty)
        about |= {
            "score": notebook.score - penalty,
            "max_score": notebook.max_score,
            "late_penalty": penalty,
        }


def _entries(database: Any, notebook_id: str) -> tuple[dict[str, tuple[float, float]], dict[str, str]]:
    """Score and worth, and the comment, of a submitted notebook's cells by name."""
    # columns and no objects: a page asks only once
    graded = database.query(BaseCell.name, Grade.score, Grade.max_score).filter(
        Grade.cell_id == BaseCell.id, Grade.notebook_id == notebook_id
    )
    commented = database.query(BaseCell.name, Comment.comment).filter(
        Comment.cell_id == BaseCell.id, Comment.notebook_id == notebook_id
    )
    return {name: (score, most) for name, score, most in graded}, dict(commented.all())


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
    with _gradebook(driven.coursedir.db_url) as gradebook:
        _entries(gradebook.db, "")
    return exporter.from_notebook_node(notebook, resources)[0]


def colour(notebook: Mapping[str, Any]) -> None:
    """Colour a notebook's code, for when its page is made."""
    about = notebook["metadata"].get("language_info", {})
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            _coloured("".join(cell["source"]), about.get("pygments_lexer", about.get("name")))
