"""Both sides of the wall made ready at the same time: the untrusted program and this process each import torch."""

from grader.isolation import Isolation
from grader.limits import Limits
from grader.untrusted import Workers, start_workers
from grader.worker import collector


def get_ready(limits: Limits | None = None, isolation: Isolation | None = None) -> Workers:
    """Start the program that workers come from, and import here what `grader.examine` needs."""
    workers = start_workers(limits or Limits(), isolation=isolation)
    with collector.paused():
        import grader.examine  # noqa: F401
    return workers
