"""The autograder of the LeNet-5 kit: `grade check` for students, `grade all` for instructors."""

__version__ = "0.1.0"
