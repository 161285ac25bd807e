"""What several seeds of one setting say together."""

import math
import statistics
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from grader.reproduce.checkpoint import RunState
from grader.reproduce.experiments import EXPERIMENTS, Run


@dataclass(frozen=True)
class Group:
    """The finished runs that differ in their seeds alone, by seed."""

    states: tuple[RunState, ...]

    @property
    def run(self) -> Run:
        """The first of them, for what they have in common."""
        return self.states[0].run

    @property
    def epochs_to_target(self) -> list[float]:
        """Of each seed; infinite where the target was not reached."""
        found = (state.run.reached_after(state.test_accuracy) for state in self.states)
        return [math.inf if epochs is None else epochs for epochs in found]

    @property
    def median(self) -> float:
        """The median of `epochs_to_target`, the upper one of two: infinite where most did not reach it."""
        return statistics.median_high(self.epochs_to_target)

    @property
    def range(self) -> tuple[float, float]:
        """The least and the most epochs to the target."""
        return min(self.epochs_to_target), max(self.epochs_to_target)

    def median_of(self, values: Iterable[float]) -> float:
        """The median of one number a seed."""
        return statistics.median(values)

    @property
    def best(self) -> float:
        """The median over the seeds of the best test accuracy."""
        return statistics.median(max(state.test_accuracy) for state in self.states)

    def epochs_in_words(self) -> str:
        """Median and range: "7 (5 to 10)", "not reached in 60"."""
        low, high = self.range
        if math.isinf(low):
            return f"not reached in {max(len(state.history) for state in self.states)}"
        median = "not reached" if math.isinf(self.median) else f"{self.median:g}"
        if low == high:
            return median
        return f"{median} ({low:g} to {'not reached' if math.isinf(high) else format(high, 'g')})"


def groups(states: Collection[RunState]) -> dict[str, list[Group]]:
    """The finished runs by experiment, in the experiments' order, and in each by what is varied."""
    found: dict[str, list[Group]] = {}
    for name in EXPERIMENTS:
        together: dict[tuple[object, ...], list[RunState]] = {}
        of_it = [state for state in states if state.run.experiment == name and state.finished]
        for state in sorted(of_it, key=_order):
            run = state.run
            alike = (run.dataset, run.batch_size, run.setting, run.trained_on, run.remedy)
            together.setdefault(alike, []).append(state)
        if together:
            found[name] = [Group(tuple(of_one)) for of_one in together.values()]
    return found


def _order(state: RunState) -> tuple[object, ...]:
    run = state.run
    remedy = "" if run.remedy is None else str(run.remedy)
    decay_last = -run.setting.lr, run.setting.weight_decay
    return run.dataset, run.batch_size, *decay_last, run.trained_on != "positive", remedy, run.seed
