"""Which hints can be heard: each known mistake as a student who makes just this one.

The checks run once, on the solutions. Each experiment is tried with every mistake of its task, and the mistake
whose result comes first among those that look alike is the one that is told, as `grader.checking` does it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from grader import compare
from grader.instructor.mistakes import MISTAKES
from grader.reference import Experiment, LiveReference, Mistaken, run_local


@dataclass(frozen=True, slots=True)
class _Verdict:
    """How a check ends for a student who makes one mistake: the hint that it tells, "" for none."""

    told: str


@dataclass
class Heard:
    """A reference that notes, by check and mistake, how the first experiment that goes wrong ends."""

    verdicts: dict[tuple[str, str], _Verdict] = field(default_factory=dict)  # by check id and mistake
    live: LiveReference = field(default_factory=LiveReference)

    def wanted(self, key: str, experiment: Experiment) -> Any:
        """What the solutions give, after all mistakes of the task were tried."""
        wanted = self.live.wanted(key, experiment)
        check = key.partition("#")[0]
        task = check.split("/")[1]
        results: list[tuple[str, str, Any]] = []
        for mistake in MISTAKES.get(task, ()):
            implementation = SimpleNamespace(**{**vars(self.live.solutions), task: mistake.function})
            try:
                result = run_local(experiment, implementation)
            except Exception:  # a student would read what it raised, and no hint
                self.verdicts.setdefault((check, mistake.name), _Verdict(""))
                continue
            if compare.difference(result, wanted) is not None:
                results.append((mistake.name, mistake.hint, result))
        for name, _, result in results:
            if (check, name) not in self.verdicts:
                self.verdicts[check, name] = _Verdict(_first_alike(result, results))
        return wanted

    def mistaken(self, key: str, task: str, experiment: Experiment, wanted: Any) -> Mistaken:
        return self.live.mistaken(key, task, experiment, wanted)

    def unheard(self, needs: dict[str, str]) -> Iterator[str]:
        """The names of the mistakes whose hint nobody hears. needs: by check id, the id of the one it needs."""
        for task, mistakes in MISTAKES.items():
            for mistake in mistakes:
                told = {
                    verdict.told
                    for (check, name), verdict in self.verdicts.items()
                    if name == mistake.name and check.split("/")[1] == task and self._runs(check, name, needs)
                }
                if mistake.hint not in told:
                    yield mistake.name

    def _runs(self, check: str, mistake: str, needs: dict[str, str]) -> bool:
        """Do all checks that this one needs pass with the mistake?"""
        while check := needs.get(check, ""):
            if (check, mistake) in self.verdicts:
                return False
        return True


def _first_alike(result: Any, results: list[tuple[str, str, Any]]) -> str:
    for _, hint, other in results:
        if compare.difference(result, other, 10 * compare.RTOL, 10 * compare.ATOL) is None:
            return hint
    return ""
