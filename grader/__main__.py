"""`python -m grader` is `grade`."""

from grader.cli import program

program()
