"""Records what the public checks expect, for a student's kit, which has no solutions.

The checks run once on `solutions/`; each experiment's wanted result, and what it gives with each known
mistake, are written to one file that `grader.reference.RecordedReference` reads.
"""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from grader.assignment import TASKS
from grader.examine import examine
from grader.outcomes import KitError
from grader.reference import SOLUTIONS, Experiment, LiveReference, Mistaken, to_plain
from grader.show.examples import example_of, has_example, key_of
from grader.submission import read_folder

_EPOCH = (1980, 1, 1, 0, 0, 0)  # fixed, so that the same checks give the same bytes


class _Recorder:
    """A live reference that keeps every answer it gives, those about mistakes asked for right away."""

    def __init__(self) -> None:
        self.experiments: dict[str, Any] = {}
        self.hints: list[str] = []
        self.arrays: dict[str, Tensor] = {}
        self._live = LiveReference()

    def wanted(self, key: str, experiment: Experiment) -> Any:
        wanted = self._live.wanted(key, experiment)
        _, task, _ = key.split("/")
        mistaken = [
            (self._hint(hint), to_plain(result, self.arrays))
            for hint, result in self._live.mistaken(key, task, experiment, wanted)
        ]
        self.experiments[key] = {"wanted": to_plain(wanted, self.arrays), "mistaken": mistaken}
        return wanted

    def mistaken(self, key: str, task: str, experiment: Experiment, wanted: Any) -> Mistaken:
        raise KitError(f"the solutions fail {key}: mend them before recording")

    def _hint(self, hint: str) -> int:
        if hint not in self.hints:
            self.hints.append(hint)
        return self.hints.index(hint)


def write_recordings(out: Path) -> None:
    """Run the public checks, and the examples of `grade show`, on `solutions/` and write the recordings to `out`.

    Raises `KitError` where the solutions do not pass.
    """
    recorder = _Recorder()
    solutions = read_folder(SOLUTIONS)
    report = examine(solutions, reference=recorder)
    if report.earned != report.points:
        wrong = [c for task in report.tasks for c in task.checks if not c.earned]
        raise KitError(f"the solutions fail {wrong[0].id}: {wrong[0].message}")
    for task in TASKS:  # the examples of `grade show`
        if has_example(task.name):
            recorder.wanted(key_of(task.name), example_of(task.name, recorder).experiment)
    arrays = io.BytesIO()
    ordered = {name: recorder.arrays[name].numpy() for name in sorted(recorder.arrays)}
    np.savez(arrays, allow_pickle=False, **ordered)
    manifest = json.dumps({"experiments": recorder.experiments, "hints": recorder.hints}, sort_keys=True)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in (("manifest.json", manifest.encode()), ("arrays.npz", arrays.getvalue())):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data, zipfile.ZIP_DEFLATED)
