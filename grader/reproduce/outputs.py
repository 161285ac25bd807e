"""results.json, curves.csv, figures and report: all made from the runs' states."""

from collections.abc import Collection, Sequence
from pathlib import Path

from grader.reproduce.checkpoint import RunState
from grader.reproduce.package import Package


def write(
    states: Collection[RunState],
    out: Path,
    data_dir: str | None,
    package: Package | None,
    words: Sequence[str],
) -> list[Path]:
    return []
