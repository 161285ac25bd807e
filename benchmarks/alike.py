"""A class whose submissions are right and unlike: for `grade similar`, what it costs and what it sees.

Each function's body is drawn from the solutions and the tests' right versions in unlike styles, with names and
small steps of the student's own. Some students hand in another's work: as it is, with other names, or with half of
it written anew.
"""

import re
import sys
from pathlib import Path
from random import Random

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests")]

import equivalents
import mutants

from grader.assignment import TASKS

FUNCTIONS = tuple((task.module, task.name) for task in TASKS if task.name[0].islower())
_WORDS = [
    "image",
    "patch",
    "window",
    "value",
    "total",
    "part",
    "piece",
    "block",
    "item",
    "entry",
    "score",
    "term",
    "result",
    "inner",
    "outer",
    "base",
    "step",
    "kind",
]
_STEPS = (
    "{name} = {number}",
    "assert {number} > {other}",
    "{name} = [{number}, {other}]",
    "{name} = max({number}, {other})",
    'print("{name}") if {number} < {other} else None',
    "for {name} in range({number}): pass",
)


def bodies() -> dict[str, list[str]]:
    """The bodies of each function, as they are written in one of the right versions."""
    found: dict[str, list[str]] = {name: [] for _, name in FUNCTIONS}
    for version in equivalents.EQUIVALENTS:
        for module, name in FUNCTIONS:
            text = version.files.get(f"{module}.py", b"").decode("utf-8", "replace")
            body = re.search(
                rf"^def {name}\(.*?### BEGIN SOLUTION\n(.*?)    ### END SOLUTION",
                text,
                re.DOTALL | re.MULTILINE,
            )
            if body and body[1] not in found[name]:
                found[name].append(body[1])
    return found


def student(number: int, choices: dict[str, list[str]]) -> dict[str, str]:
    """The files of student `number`, who works alone."""
    random = Random(number)
    files = {f"{module}.py": text for module, text in mutants.SOURCES.items()}
    for module, name in FUNCTIONS:
        body = _own_steps(random.choice(choices[name]), random)
        files[f"{module}.py"] = files[f"{module}.py"].replace(mutants.solution_of(module, name), body)
    return {path: _taken_out(text) for path, text in files.items()}


def _own_steps(body: str, random: Random) -> str:
    """The body with one to four statements of one's own before statements of the function itself."""
    lines = body.splitlines(keepends=True)
    places = [i for i, line in enumerate(lines) if re.match(r"    (?!\)|\]|\})[\w(]", line)] or [0]
    for place in sorted(random.sample(places, min(len(places), random.randint(1, 4))), reverse=True):
        step = random.choice(_STEPS).format(
            name=f"{random.choice(_WORDS)}_{random.choice(_WORDS)}",
            number=random.randint(2, 99),
            other=random.randint(2, 99),
        )
        lines.insert(place, f"    {step}\n")
    return "".join(lines)


def _taken_out(text: str) -> str:
    return re.sub(r"^ *### (BEGIN|END) SOLUTION\n", "", text, flags=re.MULTILINE)


def renamed(files: dict[str, str]) -> dict[str, str]:
    """The same work with other names and comments."""
    names = (
        r"\b(windows|rows|columns|kernel_height|kernel_width|stride|logits|right|images|labels|total|count)\b"
    )
    return {
        path: re.sub(names, lambda found: f"my_{found[1]}", text).replace(
            "    return ", "    # done\n    return "
        )
        for path, text in files.items()
    }


def write_class(folder: Path, size: int, copies: tuple[tuple[int, int], ...] = ()) -> None:
    """Write `size` submissions; of each (from, to) in `copies`, the second is the first's work, renamed."""
    choices = bodies()
    made = [student(number, choices) for number in range(size)]
    for source, target in copies:
        made[target] = renamed(made[source])
    for number, files in enumerate(made):
        package = folder / f"student{number:04}" / "student"
        package.mkdir(parents=True)
        for name, text in files.items():
            (package / name).write_text(text, encoding="utf-8")
