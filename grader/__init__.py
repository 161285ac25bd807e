"""The autograder of the LeNet-5 kit: `grade check` for students, `grade all` for instructors."""

from typing import Any

__version__ = "0.1.0"


def load_ipython_extension(ipython: Any) -> None:
    """`%load_ext grader` in a notebook: `%grade` (see `grader.magic`)."""
    from grader.magic import load

    load(ipython)
