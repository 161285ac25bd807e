"""`grade explain TASK`: what a task asks, in words: docstring and formula, checks, points, what is not allowed.

Reads text only: the docstrings of the assignment (not the student's file, which may have lost them) and of the
public checks. No code of a student's is imported, and no torch: the answer comes at once.
"""

import ast
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from grader import terminal
from grader.assignment import BUILDS_ON, BY_NAME, INSTEAD, MODULES, TASKS
from grader.kit import ROOT
from grader.show.pictured import pictured
from grader.text import points
from grader.wrapping import wrapped

_GRADER = Path(__file__).parent
RECORDED = _GRADER / "checks" / "tasks.json"
"""In a student's kit: what `descriptions` found when it was released."""


# group of banned operations -> what may not be called while the task's function runs, as the handout says it;
# of another group: the finished operation
_FORBIDDEN: dict[str, str] = {
    "convolution": "any convolution, in one, two or three dimensions, transposed or as a module",
    "pooling": "any max pooling, any adaptive pooling",
    "linear": "`F.linear`, `nn.Linear`",
    "activation": "relu, leaky relu, prelu, elu, celu, selu and their kin",
    "softmax": "softmax, log_softmax",
    "cross_entropy": "softmax, log_softmax, nll_loss, cross_entropy",
    "inversion": "torchvision's and Pillow's inversion",
}


class Description(msgspec.Struct, frozen=True):
    """A task's signature without types, its docstring, and its section of the handout (Markdown)."""

    signature: str
    docstring: str
    handout: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A public check: its name, what it asks and its points."""

    name: str
    title: str
    points: float


def describe(task: str) -> Description:
    """What the assignment says about the task."""
    return _all()[task]


@cache
def _all() -> dict[str, Description]:
    if RECORDED.is_file():
        return msgspec.json.decode(RECORDED.read_bytes(), type=dict[str, Description])
    sources = {name: (ROOT / "solutions" / f"{name}.py").read_text(encoding="utf-8") for name in MODULES}
    return descriptions(sources, (ROOT / "docs" / "handout" / "handout.md").read_text(encoding="utf-8"))


def descriptions(sources: Mapping[str, str], handout: str) -> dict[str, Description]:
    """The description of every task. sources: the assignment's modules by name; handout: its Markdown."""
    found = {}
    for module, source in sources.items():
        for node in ast.parse(source).body:
            task = BY_NAME.get(getattr(node, "name", ""))
            if task is None or task.module != module or not isinstance(node, ast.FunctionDef | ast.ClassDef):
                continue
            docstring = ast.get_docstring(node) or ""
            found[task.name] = Description(_signature(node), docstring, section_of(task.name, handout))
    return {task.name: found[task.name] for task in TASKS}


def section_of(task: str, handout: str) -> str:
    """The handout's section on the task, "" where it has none."""
    found = re.search(rf"^###[^\n]*`{task}`.*?(?=^##|\Z)", handout, re.MULTILINE | re.DOTALL)
    return found[0].strip() if found else ""


def _signature(node: ast.FunctionDef | ast.ClassDef) -> str:
    """`conv2d(x, weight, bias=None)`: names and defaults; a class by its `__init__`."""
    function: ast.stmt | None = node
    if isinstance(node, ast.ClassDef):
        function = next((n for n in node.body if getattr(n, "name", "") == "__init__"), None)
    if not isinstance(function, ast.FunctionDef):
        return f"{node.name}()"
    arguments = function.args
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        argument.annotation = None
    return f"{node.name}({ast.unparse(arguments).removeprefix('self').removeprefix(', ')})"


def public_checks(task: str) -> list[Asked]:
    """The task's public checks, in the order of their file."""
    found = []
    for path in sorted((_GRADER / "checks" / "public").glob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(node, ast.FunctionDef):
                continue
            for mark in node.decorator_list:
                if not isinstance(mark, ast.Call) or ast.unparse(mark.func) != "check":
                    continue
                named = {keyword.arg: keyword.value for keyword in mark.keywords}
                of_task, worth = (*mark.args, *(named[k] for k in ("task", "points") if k in named))[:2]
                if ast.literal_eval(of_task) == task:
                    title = " ".join((ast.get_docstring(node) or "").split())
                    name = f"{task}/{node.name.partition('__')[2]}"
                    found.append(Asked(name, title, float(ast.literal_eval(worth))))
    return found


_ITEM = re.compile(r"[a-z_]+: |Returns ")  # begins a line of its own: an argument, the result


def _fitted(paragraph: str, width: int) -> str:
    """The paragraph in lines of at most `width`, indented by two; a formula keeps its form where it can."""
    lines = textwrap.dedent(paragraph).splitlines()
    if not paragraph.startswith(" "):
        joined: list[str] = []
        for line in lines:
            if joined and not _ITEM.match(line):
                joined[-1] += f" {line.strip()}"
            else:
                joined.append(line)
        lines = joined
    formula = paragraph.startswith(" ")
    indent = "    " if formula else "  "
    fitted = []
    for line in [part for whole in lines for part in _parts(whole, width - len(indent))]:
        fitted += wrapped(line, width - len(indent), formula=formula)
    return "\n".join(indent + line for line in fitted)


def _parts(line: str, width: int) -> list[str]:
    """The line, or, where it is too long, the formulas that stand beside each other in it."""
    return [line] if len(line) <= width else re.split(r"(?<=\S) {4,}", line)


def explain(console: Console, task: str) -> None:
    """Print what the task asks."""
    about, of = describe(task), BY_NAME[task]
    heading = Text(about.signature, style="bold")
    heading.append(
        f"\n{points(of.points)} point{'s' * (of.points != 1)}, in student/{of.module}.py", style="dim"
    )
    console.print(heading)
    console.print()
    for paragraph in about.docstring.split("\n\n"):
        console.print(Text(_fitted(paragraph, console.width - 2)), no_wrap=True)
        console.print()
    checks = public_checks(task)
    console.print(Text("The checks that you can run", style="bold"))
    _print_labelled(console, [(check.name.partition("/")[2], check.title) for check in checks])
    hidden = of.points - sum(check.points for check in checks)
    if hidden > 0:
        words = f"{points(hidden)} of its points {'is' if hidden == 1 else 'are'} decided only at grading, by checks of the same kind."
        console.print(Padding(Text(words), (1, 0, 0, 2)))
    more = [f"the handout's section on {task}"] if about.handout else []
    more += [f"grade show {task} draws it"] if task in pictured() else []
    more.append(f"grade check {task} --hint helps")
    rules = [
        ("not allowed", _FORBIDDEN.get(of.bans, "the finished operation") if of.bans else ""),
        ("instead", INSTEAD.get(of.bans, "")),
        ("may call", ", ".join(f"your {name}" for name in BUILDS_ON.get(task, ()))),
        ("more", "; ".join(more)),
    ]
    console.print()
    _print_labelled(console, rules)


def _print_labelled(console: Console, rows: list[tuple[str, str]]) -> None:
    """Rows of a label and its text, whose lines do not break within code or a formula."""
    width = console.width - max((len(label) for label, text in rows if text), default=0) - 4
    rows = [(label, "\n".join(wrapped(text, width))) for label, text in rows]
    terminal.print_labelled(console, rows)


def overview(console: Console) -> None:
    """Print a line for each task: its points, its file and how its docstring begins."""
    rows = [
        (task.name, f"{points(task.points)} point{'s' * (task.points != 1)}", f"{task.module}.py")
        for task in TASKS
    ]
    widths = [max(map(len, column)) + 2 for column in zip(*rows, strict=True)]
    for row in rows:
        line = Text()
        for text, width, style in zip(row, widths, ("bold", "", "dim"), strict=True):
            line.append(text.ljust(width), style=style)
        line.append(" ".join(describe(row[0]).docstring.partition("\n\n")[0].split()))
        line.truncate(console.width, overflow="ellipsis")
        console.print(line, no_wrap=True)
    console.print(Text("\nOne of them: grade explain TASK", style="dim"))
