"""An nbgrader course around the kit's records: made, filled, published to the gradebook, and its feedback.

nbgrader keeps the gradebook, the manual grading and the feedback pages; scores come from records alone, and
nothing in here grades, starts a kernel or runs what a student wrote. nbgrader is imported only by the modules
that drive it, and by none before a command of the course needs it.
"""


class CourseError(Exception):
    """The course cannot be worked on; the text says what to do."""
