"""What a verdict stands on, task by task: a record answers as long as all of it is as it was.

    grader      the code that examines, and the versions of what it uses
    task        the assignment's entry of the task, but for its points
    helpers     what the task's checks share with others: the rest of their files, and what these import
    solutions   the reference's modules that the task's checks can reach
    mistakes    the known mistakes of the task
    secret      what hidden checks draw their seeds from
    public/conv2d/stride, ...   each check of the task, but for its points

So after a change only the tasks that depend on it are examined again. Points are no part of it: what a check found
does not depend on them, and `points_by_check` says what it is worth now. What cannot be told apart by reading the
source counts for every task: in doubt, all is examined again. Reads files only; imports neither torch nor a check.
"""

import ast
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from grader.assignment import BUILDS_ON, INSTEAD, TASKS, Task
from grader.kit import ROOT, source_files, versions

Basis = Mapping[str, str]

_GRADER = ROOT / "grader"
_SOLUTIONS = ROOT / "solutions"
_MISTAKES = _GRADER / "instructor" / "mistakes.py"
_CHECKS = {"public": _GRADER / "checks" / "public", "hidden": _GRADER / "instructor" / "checks"}
# what has no part in an examination; all other files of `grader` have
_WITHOUT_PART = (
    "check.py",
    "cli.py",
    "doctor.py",
    "__main__.py",
    "program.py",
    "cell.py",
    "explain.py",
    "failures.py",
    "judge.py",
    "magic.py",
    "notebook.py",
    "nudges.py",
    "progress.py",
    "terminal.py",
    "wrapping.py",
    "usage.py",
    "in_process.py",
)
_WITHOUT_PART_FOLDERS = ("reproduce", "instructor", "show")
_IN_INSTRUCTOR = (
    "instructor/examiners.py",
    "instructor/host.py",
    "instructor/hosted.py",
)  # but for these, and what is told apart below


@dataclass(frozen=True, slots=True)
class _Check:
    id: str
    task: str
    points: float
    source: str  # without its points


@dataclass(frozen=True, slots=True)
class _CheckFile:
    """A file of checks. rest: what is in it beside them. None in `checks` where they cannot be told apart."""

    checks: tuple[_Check, ...] | None
    rest: str


def bases(secret: bytes) -> dict[str, Basis]:
    """The basis of each task."""
    common = {"grader": _digest(_engine()), "secret": _digest([b"secret", secret])}
    return {task.name: {**common, **_of_task(position, task)} for position, task in enumerate(TASKS)}


@cache
def points_by_check() -> Mapping[str, float]:
    """What each check is worth, by its id; without those whose source is not plain to read."""
    return {check.id: check.points for file in _check_files() for check in file.checks or ()}


def _of_task(position: int, task: Task) -> dict[str, str]:
    helpers: list[str] = []
    checks: dict[str, str] = {}
    for file in _check_files():
        ours = [check for check in file.checks or () if check.task == task.name]
        if ours or file.checks is None:
            helpers += [file.rest, *_imported(file.rest)]
        checks.update({check.id: check.source for check in ours})
    entry = (position, task.name, task.module, task.parameters, task.bans)
    words = (*entry, INSTEAD.get(task.bans), BUILDS_ON.get(task.name), list(checks))
    reached = _reached_solutions(task, [*helpers, *checks.values()])
    return {
        "task": _digest([repr(words).encode()]),
        "helpers": _digest(text.encode() for text in helpers),
        "solutions": _digest(path.read_bytes() for path in reached),
        "mistakes": _digest([_mistakes_of(task.name).encode()]),
        **{name: _digest([source.encode()]) for name, source in checks.items()},
    }


def _digest(parts: Iterable[bytes]) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(f"{len(part)}\0".encode())
        whole.update(part)
    return whole.hexdigest()[:16]


# -- the grader itself ------------------------------------------------------------------------------


def engine_files() -> list[Path]:
    """The files that any verdict depends on."""
    found = []
    for path in source_files(_GRADER):
        inside = path.relative_to(_GRADER)
        name = inside.as_posix()
        if name in _WITHOUT_PART or name == "assignment.py" or path.parent in _CHECKS.values():
            continue
        if inside.parts[0] in (*_WITHOUT_PART_FOLDERS, "checks") and name not in _IN_INSTRUCTOR:
            continue
        found.append(path)
    return found


@cache
def _engine() -> tuple[bytes, ...]:
    parts = [part for path in engine_files() for part in (path.name.encode(), path.read_bytes())]
    used = {name: version for name, version in versions().items() if name != "kit"}
    # the assignment's table counts entry by entry, the rest of its module as a whole
    table = ast.parse((_GRADER / "assignment.py").read_text(encoding="utf-8"))
    table.body = [node for node in table.body if not _assigns(node, ("TASKS", "INSTEAD", "BUILDS_ON"))]
    return (*parts, repr(sorted(used.items())).encode(), ast.dump(table).encode())


def _assigns(node: ast.stmt, names: tuple[str, ...]) -> bool:
    return isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id in names


# -- checks -----------------------------------------------------------------------------------------


@cache
def _check_files() -> tuple[_CheckFile, ...]:
    return tuple(
        read_checks(path.read_text(encoding="utf-8"), visibility)
        for visibility, folder in _CHECKS.items()
        for path in sorted(folder.glob("*.py"))
    )


def read_checks(source: str, visibility: str) -> _CheckFile:
    """The checks of a file's source, told apart; as one piece where they cannot be."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return _CheckFile(None, source)
    lines = source.splitlines(keepends=True)
    checks: list[_Check] = []
    marks = sum(isinstance(node, ast.Call) and _called(node) == "check" for node in ast.walk(tree))
    for node in reversed(tree.body):
        if not isinstance(node, ast.FunctionDef) or not (found := _marked(node, "check")):
            continue
        arguments = _literals(found, ("task", "points", "needs"))
        if arguments is None:
            return _CheckFile(None, source)
        task, points, needs = arguments.get("task"), arguments.get("points"), arguments.get("needs", "")
        if not isinstance(task, str) or not isinstance(points, int | float):
            return _CheckFile(None, source)
        others = [ast.unparse(mark) for mark in node.decorator_list if mark is not found]
        body = "".join(lines[node.lineno - 1 : node.end_lineno])
        name = node.name.partition("__")[2]
        checks.append(
            _Check(f"{visibility}/{task}/{name}", task, float(points), repr((task, needs, others)) + body)
        )
        first = min(mark.lineno for mark in node.decorator_list)
        del lines[first - 1 : node.end_lineno]
    if marks != len(checks):
        return _CheckFile(None, source)
    # blank lines tell nothing
    rest = "".join(line for line in lines if line.strip())
    return _CheckFile(tuple(reversed(checks)), rest)


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _marked(node: ast.FunctionDef | ast.ClassDef, name: str) -> ast.Call | None:
    for mark in node.decorator_list:
        if isinstance(mark, ast.Call) and _called(mark) == name:
            return mark
    return None


def _literals(call: ast.Call, names: tuple[str, ...]) -> dict[str, object] | None:
    """The arguments of the call by name; None where they are not plain to read."""
    given = dict(zip(names, call.args, strict=False))
    given.update({keyword.arg or "**": keyword.value for keyword in call.keywords})
    if len(call.args) > len(names) or not given.keys() <= set(names):
        return None
    try:
        return {name: ast.literal_eval(value) for name, value in given.items()}
    except (ValueError, TypeError):
        return None


@cache
def _imported(source: str) -> tuple[str, ...]:
    """The sources of what a file imports from beside the checks or from the instructor's side, and they in turn."""
    found: dict[Path, str] = {}
    waiting = [source]
    while waiting:
        try:
            tree = ast.parse(waiting.pop())
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
            for name in names:
                path = ROOT / f"{name.replace('.', '/')}.py"
                ours = name.startswith(("grader.checks", "grader.instructor"))
                if ours and path.is_file() and path not in found:
                    found[path] = path.read_text(encoding="utf-8")
                    waiting.append(found[path])
    return tuple(found[path] for path in sorted(found))


# -- what checks compare with -----------------------------------------------------------------------


def _reached_solutions(task: Task, texts: Iterable[str]) -> list[Path]:
    """The modules of the solutions of the task, of each task that its checks name, and what these import."""
    text = "\n".join(texts)
    modules = {task.module} | {
        other.module for other in TASKS if re.search(rf"\b{re.escape(other.name)}\b", text)
    }
    paths = {path.stem: path for path in sorted(_SOLUTIONS.glob("*.py"))}
    reached, waiting = {"__init__"}, list(modules)
    while waiting:
        name = waiting.pop()
        if name in reached or name not in paths:
            continue
        reached.add(name)
        imports = [line for line in paths[name].read_text(encoding="utf-8").splitlines() if "import" in line]
        waiting += [other for other in paths if re.search(rf"\b{other}\b", "\n".join(imports))]
    return [path for name, path in paths.items() if name in reached]


@cache
def _mistakes() -> tuple[str, dict[str, tuple[str, str]]]:
    """What is in the file beside mistakes; each mistake's task and source by name. All in the first in doubt."""
    source = _MISTAKES.read_text(encoding="utf-8")
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return source, {}
    lines = source.splitlines(keepends=True)
    found: dict[str, tuple[str, str]] = {}
    for node in reversed(tree.body):
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or not (mark := _marked(node, "mistake")):
            continue
        task = mark.args[0] if mark.args else None
        if not isinstance(task, ast.Constant) or not isinstance(task.value, str) or node.name in found:
            return source, {}
        first = min(mark.lineno for mark in node.decorator_list)
        found[node.name] = task.value, "".join(lines[first - 1 : node.end_lineno])
        del lines[first - 1 : node.end_lineno]
    return "".join(line for line in lines if line.strip()), dict(reversed(found.items()))


def _mistakes_of(task: str) -> str:
    """The source of the task's mistakes, of others that they call, and of what all share."""
    rest, found = _mistakes()
    wanted = [name for name, (of_task, _) in found.items() if of_task == task]
    for name in wanted:
        called = set(re.findall(r"\w+", found[name][1])) & found.keys()
        wanted += sorted(called - set(wanted))
    return "\n".join([rest, *_imported(rest), *(found[name][1] for name in wanted)])
