"""`python -m grader` is `grade`."""

from grader.program import program

program()
