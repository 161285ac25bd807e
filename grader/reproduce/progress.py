"""What is seen of training: a bar for each run that is going on, a line for each that is done."""

import math
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from grader.reproduce.checkpoint import RunState
from grader.reproduce.experiments import Run

_SPEED_OVER = 3600.0  # seconds: an epoch takes minutes, and two have to lie within it for a time left


class Board:
    """A context within which training is shown on stderr; a plain line a run where that is no terminal."""

    def __init__(self, runs: Sequence[Run]):
        self._console = Console(stderr=True, soft_wrap=True)
        self._left = {run.key for run in runs}
        self._count = len(runs)
        self._bars: dict[str, TaskID] = {}
        self._done: dict[str, float] = {}  # epochs
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=12),
            TextColumn("{task.fields[epochs]}/{task.total:.0f}"),
            TextColumn("{task.fields[accuracy]:>7}"),
            TimeRemainingColumn(),
            console=self._console,
            speed_estimate_period=_SPEED_OVER,
            transient=True,
            disable=not self._console.is_terminal,
        )

    def __enter__(self) -> "Board":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """A line of its own."""
        self._console.print(text, highlight=False, markup=False)

    def show(self, states: Sequence[RunState]) -> None:
        """Show where runs stand, as they begin and after an epoch."""
        for state in states:
            key = state.run.key
            if key not in self._bars:
                self._bars[key] = self._progress.add_task(
                    _name(state.run), total=state.run.max_epochs, accuracy="", epochs=0
                )
            accuracy = f"{100 * state.test_accuracy[-1]:5.2f} %" if state.history else ""
            self._done[key] = epochs = len(state.history)
            self._progress.update(self._bars[key], completed=epochs, accuracy=accuracy, epochs=epochs)
            if state.finished:
                self._progress.update(self._bars[key], visible=False)
                self._left.discard(key)
                done = self._count - len(self._left)
                self.say(f"[{done}/{self._count}] {_name(state.run)}: {summary(state)}")

    def epochs_of(self, run: Run) -> float:
        """The epochs that its bar shows, the part of the present one included."""
        return self._done[run.key]

    def show_within(self, run: Run, share: float) -> None:
        """Show how much of its epoch a run has done, so that the time left is known before the epoch ends."""
        # never back: a package may go through the training images more than once an epoch
        known = self._done[run.key]
        self._done[run.key] = done = max(known, math.floor(known) + share)
        self._progress.update(self._bars[run.key], completed=done)


def _name(run: Run) -> str:
    return f"{run.experiment} {run.label}, seed {run.seed}"


def summary(state: RunState) -> str:
    """How a finished run ended, in words."""
    epochs = len(state.history)
    if state.diverged:
        return f"diverged in epoch {epochs}"
    reached = state.run.reached_after(state.test_accuracy)
    last = f"{100 * state.test_accuracy[-1]:.2f} % after {epochs} epochs"
    if state.run.target is None:
        return last
    target = f"{100 * state.run.target:g} %"
    if reached is None:
        best = 100 * max(state.test_accuracy)
        return f"{target} not reached in {epochs} epochs, at best {best:.2f} %"
    return f"{target} reached in epoch {reached}; {last}"
