"""Examines many submissions in two processes, for tests that need hundreds of reports."""

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

from grader.examine import examine, prepare
from grader.report import Report
from grader.submission import Submission

Job = tuple[str, dict[str, bytes], tuple[str, ...]]  # name, files, tasks to examine


def examine_all(jobs: Sequence[Job]) -> dict[str, Report]:
    """The report of each job by its name: public and hidden checks, with one secret for all."""
    prepare(submissions=len(jobs))
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
        reports = pool.map(_examined, jobs, chunksize=4)
    return {name: report for (name, _, _), report in zip(jobs, reports, strict=True)}


def _examined(job: Job) -> Report:
    name, files, tasks = job
    return examine(Submission(name, files), tasks=tasks, hidden=True, secret=b"mutants")
