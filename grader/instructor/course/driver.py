"""Drives nbgrader in this process: its API does not raise, so that its failures become `CourseError` here.

nbgrader is imported within the functions. Its API takes seconds to import and asks the operating system about
users and exchanges; its converters alone are lighter.
"""

import contextlib
import importlib.util
import logging
import os
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grader.instructor.course import CourseError
from grader.instructor.course.layout import ASSIGNMENT, CONFIG, Course
from grader.worker import collector
from grader.worker.when_needed import WhenNeeded


def require_nbgrader() -> None:
    """Raise `CourseError`, with what to install, where nbgrader is not there. Does not import it."""
    if importlib.util.find_spec("nbgrader") is None:
        raise CourseError(
            "This needs nbgrader, which is not installed here. Install the instructor's extras: "
            'pip install -e ".[instructor]"  (or: make setup)'
        )


def need_nbgrader() -> None:
    """Import nbgrader. Raises `CourseError`, with what to install, where it is not there."""
    require_nbgrader()
    _import_lightly()


# grammars that jsonschema compiles where they are installed, for formats that the schema of notebooks does not have
_LEFT_OUT = ("rfc3987_syntax", "rfc3986_validator", "isoduration")
_WHEN_USED = ("requests", "soupsieve")  # which nbgrader and bs4 import at once, and seldom use


def _import_lightly() -> None:
    """Import nbgrader without what it needs for nothing that we do: two fifths of the whole import."""
    if "nbgrader" in sys.modules:
        return
    instead: dict[str, Any] = {name: WhenNeeded(name) for name in _WHEN_USED}
    if "jsonschema" not in sys.modules:
        instead |= dict.fromkeys(_LEFT_OUT)  # their import fails, which jsonschema foresees
    instead = {name: module for name, module in instead.items() if name not in sys.modules}
    sys.modules.update(instead)
    try:
        with collector.paused():
            import nbgrader
            import nbgrader.apps.api  # noqa: F401
    finally:
        for name, module in instead.items():
            if name in sys.modules and sys.modules[name] is module:
                del sys.modules[name]


def scripts_on_path() -> None:
    """Put this interpreter's script folder first on PATH: nbgrader runs `alembic` from there.

    Without it the first use of a new gradebook fails and leaves half a database, which later runs take for whole.
    """
    scripts = sysconfig.get_path("scripts")
    folders = os.environ.get("PATH", "").split(os.pathsep)
    if folders[:1] != [scripts]:
        os.environ["PATH"] = os.pathsep.join([scripts, *folders])


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without SQLAlchemy's warnings on nbgrader's models, three for each new submission, and old dates."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def load_config(course: Course) -> Any:
    """The course's `nbgrader_config.py` as traitlets' `Config`. Raises `CourseError` where it does not load."""
    need_nbgrader()
    scripts_on_path()
    from traitlets.config import PyFileConfigLoader

    try:
        config = PyFileConfigLoader(CONFIG, path=str(course.root)).load_config()
    except Exception as error:  # it is a program: whatever it raises
        raise CourseError(
            f"{course.config} does not load ({type(error).__name__}: {error}). Mend it, or make it anew with "
            f"grade course init {course.root} --force"
        ) from error
    return config


def api(course: Course) -> Any:
    """nbgrader's API for the course. Raises `CourseError`."""
    config = load_config(course)
    with quiet():
        from nbgrader.apps import NbGraderAPI

        found = NbGraderAPI(config=config)
    found.log_level = "ERROR"
    return found


def succeed(result: dict[str, Any], what: str) -> None:
    """Raise `CourseError` where a call of the API did not succeed: it does not raise itself."""
    if not result["success"]:
        text = (result.get("error") or result.get("log") or "").strip().splitlines()
        last = [line for line in text if line.strip()][-3:]
        raise CourseError(f"nbgrader could not {what}: {' / '.join(last) or 'it gave no reason'}")


def generate_without_database(root: Path, source: Path) -> bytes:
    """The student's version of the notebook `source`, by nbgrader's generate_assignment in the empty folder `root`.

    Raises `CourseError` with nbgrader's own words where it refuses the notebook.
    """
    need_nbgrader()
    with quiet():
        from nbgrader.converters import GenerateAssignment
        from nbgrader.coursedir import CourseDirectory
        from traitlets.config import Config

    folder = root / "source" / ASSIGNMENT
    folder.mkdir(parents=True)
    (folder / source.name).write_bytes(source.read_bytes())
    config = Config()
    config.SaveCells.enabled = False
    config.CourseDirectory.root = str(root.resolve())
    config.CourseDirectory.assignment_id = ASSIGNMENT
    converter = GenerateAssignment(coursedir=CourseDirectory(config=config), config=config)
    converter.no_database = True
    said = _Said()
    log = logging.getLogger("traitlets")
    log.addHandler(said)
    propagate, log.propagate = log.propagate, False
    try:
        with quiet():
            converter.start()
    except Exception as error:
        reason = said.lines[-1] if said.lines else f"{type(error).__name__}: {error}"
        raise CourseError(f"nbgrader cannot make the student's version of {source}: {reason}") from error
    finally:
        log.removeHandler(said)
        log.propagate = propagate
    return (root / "release" / ASSIGNMENT / source.name).read_bytes()


class _Said(logging.Handler):
    """Keeps the lines that name an error, of what is logged at warnings and above."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines += [line.strip() for line in record.getMessage().splitlines() if "Error:" in line]
