"""An examination for tests of a cluster: what a submission's layers.py says is what it does."""

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from grader.assignment import BY_NAME
from grader.outcomes import Outcome
from grader.report import CheckResult, Report, TaskResult
from grader.submission import Submission


def examine(submission: Submission, *, tasks: Sequence[str], **_: object) -> Report:
    """Full points; the process that examined, and its Dask worker, are in `versions`."""
    order, _, detail = submission.files["layers.py"].decode().strip().partition(" ")
    host = os.getppid()
    worker = int(Path(f"/proc/{host}/stat").read_text().rpartition(")")[2].split()[1])
    match order:
        case "sleep":
            time.sleep(float(detail))
        case "end-examiner":
            os.kill(os.getpid(), signal.SIGKILL)
        case "end-host":
            os.kill(host, signal.SIGKILL)
            time.sleep(60)
        case "end-worker":
            os.kill(worker, signal.SIGKILL)
            time.sleep(60)
    results = []
    for name in tasks:
        points = float(BY_NAME[name].points)
        check = CheckResult(f"hidden/{name}/values", name, "It works.", "hidden", points, Outcome.PASSED)
        results.append(TaskResult(name, points, (check,)))
    versions = {"examiner": str(os.getpid()), "worker": str(worker)}
    return Report(submission.student, submission.digest, "kit", tuple(results), versions)
