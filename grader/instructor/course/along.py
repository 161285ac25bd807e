"""Publishing and feedback along with grading: what `grade all --feedback` does beside examining.

    examiners ──► record ──► publish (here, while others are examined) ──► ... all done ──► pages

nbgrader is imported while the examiners get ready, and a student is published as soon as the record is written: so
that the processors have something to do all the time.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from grader.instructor.course.layout import Course

if TYPE_CHECKING:  # these import long, and the examiners' program is to start first
    from grader.instructor.course.feedback import Feedback
    from grader.instructor.course.publish import Published, Publisher


_ANSWERS = 10  # more than the notebook has in Markdown


class Along:
    """A context around the grading of a course. What fails here is told by `finish`: grading goes on."""

    def __init__(self, course: Course):
        self._course = course
        self._publisher: Publisher | None = None
        self._problem: BaseException | None = None

    def __enter__(self) -> Along:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._publisher is not None:
            publisher, self._publisher = self._publisher, None
            publisher.__exit__(kind, error, trace)

    def begin(self, ready: Callable[[], bool]) -> None:
        """Open the gradebook, and do once what the first student and page would; then look ahead until it is `ready`."""
        from grader.instructor.course.feedback import warm_up
        from grader.instructor.course.publish import course_publisher
        from grader.instructor.course.safe import KEPT

        try:
            self._publisher = course_publisher(self._course).__enter__()
        except Exception as error:
            self._problem = error
            return
        warm_up(self._course)
        self._publisher.rehearse()
        from grader.instructor.course.exporter import colour  # nbgrader is there

        for student in self._course.students()[: KEPT // _ANSWERS]:
            if ready():
                return
            self._publisher.look_ahead(student, colour)

    def record(self, student: str) -> None:
        """Publish the student, whose record is written now."""
        if self._publisher is None:
            return
        from grader.instructor.course.entries import course_entry

        try:
            self._publisher.write(course_entry(self._course, student))
        except Exception as error:
            self._fail(error)

    def finish(self) -> tuple[Published, Feedback]:
        """Publish the rest, and write all pages. Raises `CourseError`, also for what went wrong before."""
        from grader.instructor.course.feedback import renewed, write_pages
        from grader.instructor.course.publish import publish_rest

        if self._publisher is None and self._problem is None:  # nothing was to be examined
            self.begin(lambda: True)
        if self._publisher is not None:
            try:
                published = publish_rest(self._course, self._publisher)
                standing = renewed(self._course, self._publisher.config, self._publisher.gradebook)
                self.__exit__(None, None, None)
            except Exception as error:
                self._fail(error)
        if self._problem is not None:
            raise self._problem
        return published, write_pages(self._course, standing)

    def _fail(self, error: Exception) -> None:
        try:
            self.__exit__(type(error), error, error.__traceback__)
            self._problem = error
        except Exception as explained:  # the gradebook says what is wrong with it
            self._problem = explained
