"""What `nbgrader autograde` runs in a course of ours, and so formgrader's button: our records in a kernel's place.

A course's `nbgrader_config.py` names these by their dotted paths:

    Autograde.sanitize_preprocessors   TakeAnswers: the graded notebook in the place of the one handed in
    Autograde.autograde_preprocessors  SaveRecordedScores: the record's scores to the gradebook

Both do what `grade course publish` does, by the same functions. A submission without a current record is an error
of that student, with the command that mends it. Nothing of a student's is run.
"""

import os
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters.exporter import ResourcesDict
from nbformat.notebooknode import NotebookNode
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Unicode

from grader.instructor.course.driver import quiet
from grader.instructor.course.entries import Entry, Refused, course_entry, keep_answers, published_answers
from grader.instructor.course.gradebook import late_penalty, open_gradebook, save_scores
from grader.instructor.course.layout import ASSIGNMENT, NOTEBOOK, Course
from grader.instructor.course.publish import grade_entry, read_released, scores_of


class NoRecord(Exception):
    """There is no current record of the submission."""


class _OfCourse(NbGraderPreprocessor):
    """What both share: the course, and the submission in it."""

    course_root = Unicode("", help="The course's folder; the current folder where it is empty").tag(
        config=True
    )

    @property
    def course(self) -> Course:
        return Course(Path(self.course_root or os.getcwd()).resolve())

    def entry(self, resources: ResourcesDict) -> Entry:
        about = resources["nbgrader"]
        if (about["assignment"], about["notebook"]) != (ASSIGNMENT, NOTEBOOK):
            raise NoRecord(
                f"The kit grades {ASSIGNMENT}/{NOTEBOOK} only, not {about['assignment']}/{about['notebook']}"
            )
        entry = course_entry(self.course, about["student"])
        if isinstance(entry, Refused):
            raise NoRecord(f"{entry.student} is not graded: {entry.why}")
        return entry


class TakeAnswers(_OfCourse):
    """Replaces the notebook that was handed in by the graded one."""

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> tuple[NotebookNode, ResourcesDict]:
        graded = grade_entry(read_released(self.course), self.entry(resources))
        return nbformat.from_dict(graded.notebook), resources


class SaveRecordedScores(_OfCourse):
    """Writes the record's scores, late penalty included, to the gradebook."""

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> tuple[NotebookNode, ResourcesDict]:
        entry = self.entry(resources)
        graded = grade_entry(read_released(self.course), entry)
        scores = scores_of(entry, graded, published_answers(self.course, entry.student))
        course_id: Any = self.config.CourseDirectory.get("course_id", "")
        with quiet(), open_gradebook(resources["nbgrader"]["db_url"], str(course_id)) as gradebook:
            save_scores(gradebook, scores, late_penalty(self.course, self.config))
        keep_answers(self.course, entry.student, graded.answers)
        return nb, resources
