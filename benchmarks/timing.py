"""Times of commands that take turns, and what is told of them: medians, ranges, ratios.

On a machine that others use, times drift by a factor of two within minutes. So what is compared takes turns
(A B A B ...), a ratio is one of neighbours in time, and a median stands for all rounds.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROUNDS = 5


def environ() -> dict[str, str]:
    """This process's environment variables; Python keeps its compiled files, as it does by default."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def seconds(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None, accept: Sequence[int] = (0,)
) -> float:
    """Wall time of one command.

    Raises `RuntimeError` with its output where its exit status is not accepted.
    """
    start = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environ() if env is None else env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    taken = time.perf_counter() - start
    if done.returncode not in accept:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-4000:]}")
    return taken


@dataclass(frozen=True, slots=True)
class Times:
    """One measurement, or ratio, of each round."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.values)

    def text(self, unit: str = "", digits: int = 2) -> str:
        """The median, and the range that all rounds lie in."""
        low, high = min(self.values), max(self.values)
        return f"{self.median:.{digits}f}{unit} ({low:.{digits}f} to {high:.{digits}f})"

    def over(self, other: "Times") -> "Times":
        """This one's share of the other in each round."""
        return Times(tuple(a / b for a, b in zip(self.values, other.values, strict=True)))


def in_turn(
    measures: Mapping[str, Callable[[], float]], rounds: int = ROUNDS, warm_up: bool = True
) -> dict[str, Times]:
    """Call each measure in every round, one after the other; a first round may only warm up.

    Says on stderr what it measured, since a round may take minutes.
    """
    if warm_up:
        for measure in measures.values():
            measure()
    found: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            found[name].append(measure())
            print(f"  {name}: {found[name][-1]:.3f} s", file=sys.stderr, flush=True)
    return {name: Times(tuple(values)) for name, values in found.items()}
