"""Where things are in a course: nbgrader's own folders, and the kit's records beside them.

    nbgrader_config.py      what makes the folder a course
    source/lenet5/          the notebook with its answers, and stubs
    release/lenet5/         what nbgrader's generate_assignment made of it
    submitted/ID/lenet5/    what was handed in, and timestamp.txt
    autograded/  feedback/  gradebook.db
    roster.csv              who is in the class: nbgrader's columns
    results/                `grade all`: records, grades.csv, the secret

Reads no notebook and imports no nbgrader: `grade all` asks here whether a folder is a course.
"""

import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.instructor.course import CourseError

ASSIGNMENT = "lenet5"
NOTEBOOK = "report"
CONFIG = "nbgrader_config.py"
COLLECTED = "collected.json"  # in a submission's folder: what was wrong with it as it was handed in
CLASS_FILE = "class.txt"  # beside the records: the folder of the submissions that they are of
HANDED_IN = "handed-in.ipynb.txt"  # a notebook that could not be read, as it came
_MAX_ID = 100  # characters: the gradebook's column takes 128


@dataclass(frozen=True, slots=True)
class Course:
    """A course by its folder, an absolute path."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / CONFIG

    @property
    def results(self) -> Path:
        return self.root / "results"

    @property
    def roster(self) -> Path:
        return self.root / "roster.csv"

    @property
    def gradebook(self) -> Path:
        return self.root / "gradebook.db"

    def source(self) -> Path:
        return self.root / "source" / ASSIGNMENT

    def release(self) -> Path:
        return self.root / "release" / ASSIGNMENT

    def submitted(self, student: str) -> Path:
        return self.root / "submitted" / student / ASSIGNMENT

    def autograded(self, student: str) -> Path:
        return self.root / "autograded" / student / ASSIGNMENT

    def feedback(self, student: str) -> Path:
        return self.root / "feedback" / student / ASSIGNMENT

    def published(self) -> list[str]:
        """Whose notebook was written to `autograded/`."""
        return sorted(
            path.parents[1].name for path in self.root.glob(f"autograded/*/{ASSIGNMENT}/{NOTEBOOK}.ipynb")
        )

    def students(self) -> list[str]:
        """Who handed something in: the folders in `submitted/` that hold the assignment."""
        folder = self.root / "submitted"
        if not folder.is_dir():
            return []
        return sorted(path.name for path in folder.iterdir() if (path / ASSIGNMENT).is_dir())


def find_course(folder: Path) -> Course | None:
    """The course in `folder`, None where it is none."""
    return Course(folder.resolve()) if (folder / CONFIG).is_file() else None


def results_of(submissions: Path, out: Path | None) -> Path:
    """Where the records of these submissions go: `out`, or else a course's own folder, or `results`."""
    if out is not None:
        return out
    course = find_course(submissions)
    return course.results if course is not None else Path("results")


def course_in(folder: Path) -> Course:
    """The course in `folder`. Raises `CourseError` where it is none."""
    course = find_course(folder)
    if course is None:
        raise CourseError(
            f"{folder} is no course: there is no {CONFIG}. Make one: grade course init {folder}"
        )
    return course


def cache_folder() -> Path:
    """Where things are kept that nobody asked for, and that can be made again: in the user's cache folder."""
    import platformdirs

    return platformdirs.user_cache_path("lenet5-kit", appauthor=False)


def safe_id(name: str) -> str:
    """`name` as a student's id that folders, addresses, file patterns and pages all take as it is.

    Letters, digits, `.`, `-`, `_`, `@` and single inner spaces stay; where anything else had to go, a hash of the
    name keeps it unlike others.
    """
    kept = re.sub(r"[^\w.@ -]", "_", unicodedata.normalize("NFC", name))
    kept = re.sub(r" +", " ", kept).strip(" ")
    kept = re.sub(r"^[.-]+", "_", kept)
    if kept == name and 0 < len(kept) <= _MAX_ID:
        return kept
    digest = hashlib.sha256(name.encode("utf-8", "backslashreplace")).hexdigest()[:8]
    return f"{kept[: _MAX_ID - 9]}-{digest}" if kept.strip("_. ") else f"student-{digest}"


def collected(folder: Path) -> dict[str, list[str]]:
    """What `grade course collect` noted of the submission in `folder`: sentences on "files" and "notebook"."""
    try:
        noted: Any = json.loads((folder / COLLECTED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        noted = {}
    found = {}
    for kind in ("files", "notebook"):
        sentences = noted.get(kind, []) if isinstance(noted, dict) else []
        found[kind] = [s for s in sentences if isinstance(s, str)] if isinstance(sentences, list) else []
    return found
