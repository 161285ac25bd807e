"""Feedback pages for a class, by nbgrader's own generate_feedback, in one call: its templates compile once.

In a course they are nbgrader's: `feedback/ID/lenet5/report.html`, with what graders wrote. After a plain
`grade all`, a course of its own is made in a cache folder, from the records and the submissions; nothing is asked of
anyone, and the pages go beside the records.
"""

import contextlib
import gc
import hashlib
import multiprocessing
import os
import shutil
import sys
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.instructor.classes import noted_class
from grader.instructor.collect import Handed, read, read_notebooks
from grader.instructor.course import CourseError
from grader.instructor.course.collect import choose_notebook
from grader.instructor.course.driver import api, load_config, quiet, succeed
from grader.instructor.course.entries import Entry, Refused
from grader.instructor.course.gradebook import late_penalty, renew_late_penalties
from grader.instructor.course.init import init_course
from grader.instructor.course.layout import (
    ASSIGNMENT,
    CLASS_FILE,
    CONFIG,
    NOTEBOOK,
    Course,
    cache_folder,
    safe_id,
)
from grader.instructor.course.publish import Published, Publisher, course_gradebook, waiting
from grader.instructor.records import read_record
from grader.submission import SubmissionError

_MAX_JOBS = 2  # each takes some 150 MB
_FEW = 16  # students, for whom a second process costs what it saves


@dataclass(frozen=True, slots=True)
class Feedback:
    """The pages by student, and what was published for them (None in a course, where publishing is a step)."""

    pages: dict[str, Path]
    to_grade: int  # answers that wait for a person
    without_row: tuple[str, ...] = ()  # in autograded/, and not in the gradebook: no page
    published: Published | None = None


@dataclass(frozen=True, slots=True)
class InGradebook:
    """What the gradebook says before pages are made: who has a row, and how many answers wait for a person."""

    rows: frozenset[str]
    to_grade: int


def renewed(course: Course, config: Any, gradebook: Any) -> InGradebook:
    """The gradebook with its late penalties computed anew, since points by hand change what a share is."""
    with quiet():
        renew_late_penalties(gradebook, late_penalty(course, config))
        rows = frozenset(one.student.id for one in gradebook.assignment_submissions(ASSIGNMENT))
        return InGradebook(rows, waiting(gradebook))


def course_feedback(course: Course) -> Feedback:
    """The pages of everybody in the course's `autograded/`. Raises `CourseError`."""
    if not course.published():
        raise CourseError(
            f"Nothing is published in {course.root} yet, so there is no feedback to write. Run: grade course publish"
            f" {course.root}"
        )
    config = load_config(course)
    with course_gradebook(course, config) as gradebook:
        standing = renewed(course, config, gradebook)
    return write_pages(course, standing)


def write_pages(course: Course, standing: InGradebook) -> Feedback:
    """The pages of everybody in the course's `autograded/`; the gradebook is closed. Raises `CourseError`."""
    published = course.published()
    without_row = tuple(student for student in published if student not in standing.rows)
    students = [student for student in published if student in standing.rows]
    with quiet():
        _generate(course, students, without_row)
    pages = {student: course.feedback(student) / f"{NOTEBOOK}.html" for student in students}
    if missing := [student for student, page in pages.items() if not page.is_file()]:
        raise CourseError(
            f"nbgrader wrote no feedback for {', '.join(missing[:5])}: run nbgrader generate_feedback"
        )
    return Feedback(pages, standing.to_grade, without_row)


def _pages_api(course: Course) -> Any:
    """nbgrader's API, with our quicker parts for pages."""
    driven = api(course)
    driven.config.GenerateFeedback.exporter_class = "grader.instructor.course.exporter.PageExporter"
    driven.config.GenerateFeedback.preprocessors = [
        "grader.instructor.course.exporter.Grades",
        "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor",
    ]
    return driven


def warm_up(course: Course) -> None:
    """Compile what the first page would compile, also for processes that are forked from this one."""
    with quiet(), contextlib.suppress(Exception):  # what is wrong is told where pages are made
        from grader.instructor.course.exporter import empty_page

        empty_page(_pages_api(course), course.release() / f"{NOTEBOOK}.ipynb")


def _generate(course: Course, students: Sequence[str], without: Sequence[str]) -> None:
    """nbgrader's generate_feedback for all students, in forked processes where there are many to write.

    It only reads the gradebook, so that processes do not wait for each other. Raises `CourseError`.
    """
    driven = _pages_api(course)
    jobs = min(len(os.sched_getaffinity(0)), _MAX_JOBS) if sys.platform == "linux" else 1
    if jobs == 1 or len(students) < _FEW:
        driven.coursedir.student_id_exclude = ",".join(without)
        succeed(driven.generate_feedback(ASSIGNMENT, force=True), "write the feedback")
        return
    shares = [{*without, *students} - set(students[start::jobs]) for start in range(jobs)]
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("fork")) as pool:
        try:
            for result in pool.map(_generate_without, [driven] * jobs, shares):
                succeed(result, "write the feedback")
        except BrokenProcessPool:
            raise CourseError(
                "A process that wrote feedback ended: is there enough memory? Run it again."
            ) from None


def _generate_without(driven: Any, others: Collection[str]) -> dict[str, Any]:
    """In a process of its own: the feedback of all but `others`."""
    # pages are parsed into trees of many small objects: looking through them for cycles takes a fifth of the time
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    driven.coursedir.student_id_exclude = ",".join(others)
    with quiet():
        return driven.generate_feedback(ASSIGNMENT, force=True)


def plain_feedback(
    results: Path, repository: Path, on_progress: Callable[[str], None] = lambda student: None
) -> Feedback:
    """The pages of a plain `grade all` into `results`, which go to `results/feedback/ID.html`.

    Raises `CourseError` where there are no records, or the submissions are no longer where they were.
    """
    if not (results / "records").is_dir():
        raise CourseError(
            f"There are no records in {results}. Grade first: grade all SUBMISSIONS; or name the course's folder."
        )
    course = _own_course(results, repository)
    with Publisher(course, load_config(course)) as publisher:
        for entry in _entries(results):
            publisher.write(entry)
            on_progress(entry.student)
        published = publisher.done()
    if not published.written:
        why = published.refused[0].why if published.refused else "there is no submission"
        raise CourseError(f"There is no feedback to write: {why}.")
    feedback = course_feedback(course)
    target = results / "feedback"
    target.mkdir(exist_ok=True)
    pages = {}
    for student, page in feedback.pages.items():
        pages[student] = target / f"{student}.html"
        shutil.copyfile(page, pages[student])
    return Feedback(pages, published.to_grade, published=published)


def _own_course(results: Path, repository: Path) -> Course:
    """The course of a folder of results: made once, and anew where the notebook is another."""
    notebook = (repository / "solutions" / f"{NOTEBOOK}.ipynb").read_bytes()
    # no course that an older kit made there, in which answers had points
    name = hashlib.sha256(f"{results.resolve()} of the code".encode() + notebook).hexdigest()[:16]
    course = Course(cache_folder() / "courses" / name)
    if not (course.release() / f"{NOTEBOOK}.ipynb").is_file() or not course.gradebook.is_file():
        shutil.rmtree(course.root, ignore_errors=True)
        init_course(course.root, repository, course_id="lenet5", code_only=True)
    shutil.rmtree(course.root / "autograded", ignore_errors=True)  # who is no longer in the class
    shutil.rmtree(course.root / "feedback", ignore_errors=True)
    return course


def _entries(results: Path) -> Iterator[Entry | Refused]:
    """The submissions of the last `grade all` with their records."""
    with contextlib.ExitStack() as stack:
        try:
            found = stack.enter_context(noted_class(results))
        except OSError:
            raise CourseError(
                f"{results / CLASS_FILE} is not there, which says where the submissions are: run grade all once more."
            ) from None
        except SubmissionError as error:
            raise CourseError(f"The submissions that {results} is of are gone. {error}") from error
        for handed in found.handed:
            yield _entry(results, handed)


def _entry(results: Path, handed: Handed) -> Entry | Refused:
    submission = read(handed)
    student = safe_id(handed.student)
    report = read_record(results / "records", handed.student)
    if report is None or report.digest != submission.digest:
        return Refused(student, "its record is not of the files that are there now: run grade all again")
    notebook, notes = choose_notebook(*read_notebooks(handed))
    return Entry(student, report, notebook, (*submission.problems, *notes), None, None)


# -- handing out --------------------------------------------------------------------------------------


def write_zip(pages: dict[str, Path], target: Path) -> None:
    """One zip with a folder for each student and the page in it; the same pages give the same bytes."""
    try:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for student, page in sorted(pages.items()):
                entry = zipfile.ZipInfo(f"{student}/{NOTEBOOK}.html", (1980, 1, 1, 0, 0, 0))
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, page.read_bytes(), zipfile.ZIP_DEFLATED)
    except OSError as error:
        raise CourseError(f"{target} cannot be written: {error.strerror}.") from error


def release_feedback(course: Course, pages: Mapping[str, Path]) -> list[str]:
    """nbgrader's release_feedback: into the exchange, from where students fetch it.

    Gives the students whose submission did not come through the exchange: nobody could fetch theirs. Raises
    `CourseError` where that is all of them, or there is no exchange.
    """
    needed = ("submission_secret.txt", "timestamp.txt")  # which nbgrader submit writes
    without = [s for s, page in pages.items() if not all((page.parent / name).is_file() for name in needed)]
    if len(without) == len(pages):
        raise CourseError(
            "No submission came through nbgrader's exchange, so nobody could fetch feedback from it. Hand the pages out"
            " with --zip"
        )
    with quiet():
        driven = api(course)
        if driven.exchange_missing:
            raise CourseError(
                "There is no exchange here that students could fetch feedback from. Use --zip, or set up nbgrader's"
                f" exchange in {CONFIG}."
            )
        driven.coursedir.student_id_exclude = ",".join(without)
        succeed(driven.release_feedback(ASSIGNMENT), "release the feedback")
    return without
