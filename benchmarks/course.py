"""A course of ours for the benchmark: made, filled and graded by the commands that an instructor runs."""

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from samples import sample

ROOT = Path(__file__).resolve().parent.parent
_RELEASED = (ROOT / "student" / "report.ipynb").read_text(encoding="utf-8")
_MODEL = (ROOT / "solutions" / "report.ipynb").read_text(encoding="utf-8")


def write_submissions(folder: Path, numbers: range) -> None:
    """Packages of `samples`, each with a report of its own: every second has all answers and figures, the others two."""
    for number in numbers:
        package = folder / f"student{number:04}" / "student"
        package.mkdir(parents=True)
        for name, text in sample(number).items():
            (package / name).write_text(text, encoding="utf-8")
        (package / "report.ipynb").write_text(_report(number), encoding="utf-8")


def _report(number: int) -> str:
    notebook: dict[str, Any] = json.loads(_RELEASED if number % 2 else _MODEL)
    own = f"Student {number} thinks of $x^2$ and of `code`, at **some** length. "
    for cell in notebook["cells"]:
        about = cell["metadata"].get("nbgrader", {})
        if cell["cell_type"] != "markdown" or not about.get("solution"):
            continue
        if number % 2 == 0:
            cell["source"] = "".join(cell["source"]) + f"\n\n{own}"  # no two students write the same
        elif about["grade_id"] in ("a1", "a2"):
            cell["source"] = own * 10
    return json.dumps(notebook, indent=1)


def steps(grade: str, course: Path, submissions: Path) -> dict[str, list[str]]:
    """The instructor's commands after `grade course init`, by name; "at once" is the last three in one."""
    return {
        "collect": [grade, "course", "collect", str(course), str(submissions)],
        "all": [grade, "all", str(course), "--jobs", "2"],
        "publish": [grade, "course", "publish", str(course)],
        "feedback": [grade, "feedback", str(course)],
        "at once": [grade, "all", str(course), "--jobs", "2", "--feedback"],
    }


def peak_memory(command: Sequence[str], cwd: Path, env: Mapping[str, str]) -> float:
    """Megabytes: the most that the command and its child processes had resident, shared pages counted for each.

    Raises `RuntimeError` where it fails.
    """
    process = subprocess.Popen(command, cwd=cwd, env=env, stdout=subprocess.DEVNULL)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, sum(map(_resident, _tree(process.pid))))
        time.sleep(0.05)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return peak / 1024


def _tree(root: int) -> list[int]:
    found = [root]
    for pid in found:
        try:
            for task in Path(f"/proc/{pid}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


def _resident(pid: int) -> float:
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return float(line.split()[1])
    except OSError:
        pass
    return 0.0
