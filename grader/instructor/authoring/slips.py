"""Slips of an author: names in the table, the checks, the mistakes and the solutions that do not fit together.

All are found in the text of the files, before any of them is imported: each is one message with its line in every
command, never a traceback, never an error that a student is blamed for, and no check waits for one that is not there.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from grader.outcomes import KitError
from grader.usage import did_you_mean

_TABLE = "grader/assignment.py"
_MISTAKES = "grader/instructor/mistakes.py"
_BANS = "grader/worker/finished.py"
_CHECKS = ("grader/checks/public", "grader/instructor/checks")
_NO_OPERATOR = "inversion"  # the group of bans that is no pattern of operators
_NAMED = 8  # slips that are told one by one

_Defined = ast.FunctionDef | ast.ClassDef


@dataclass(frozen=True, slots=True)
class Slip:
    """What is wrong, where (`line` 0: in the file as a whole), and what to do."""

    file: str
    line: int
    wrong: str
    mend: str

    def __str__(self) -> str:
        where = f"{self.file}, line {self.line}" if self.line else self.file
        return f"{where}: {self.wrong}\n  To do: {self.mend}"


def refuse(root: Path) -> None:
    """Raise `KitError` with every slip in the repository `root`, where there is one."""
    found = [str(slip) for slip in slips(root)]
    if not found:
        return
    more = [f"and {len(found) - _NAMED} more"] if len(found) > _NAMED else []
    raise KitError("\n\n".join(["the assignment does not fit together.", *found[:_NAMED], *more]))


def slips(root: Path) -> list[Slip]:
    """Every slip in the repository `root`."""
    return _Sources(root).slips()


@dataclass(frozen=True, slots=True)
class _Row:
    """What the table says of a task that other files must fit."""

    name: str
    module: str
    parameters: tuple[str, ...]
    bans: str
    line: int


@dataclass(frozen=True, slots=True)
class _Check:
    """A test function of the checks, its task written out."""

    file: str
    line: int
    function: str
    task: str
    needs: str

    @property
    def name(self) -> str:
        return self.function.partition("__")[2]


class _Sources:
    """The files' syntax trees; what depends on a file that cannot be read is not looked at."""

    def __init__(self, root: Path):
        self.root = root
        self.unreadable: list[Slip] = []
        self.table = self._parse(_TABLE)
        self.rows = list(_rows(self.table)) if self.table else []
        self.tasks = [row.name for row in self.rows]

    def slips(self) -> list[Slip]:
        if self.table is None:
            return self.unreadable
        found = [*self._bans(), *self._solutions(), *self._checks(), *self._mistakes()]
        return self.unreadable + found

    def _parse(self, name: str) -> ast.Module | None:
        try:
            return ast.parse((self.root / name).read_bytes())
        except OSError as error:
            wrong = f"the file cannot be read: {error.strerror}."
            self.unreadable.append(Slip(name, 0, wrong, "run this in the whole repository."))
        except (SyntaxError, ValueError) as error:
            line = getattr(error, "lineno", None) or 0
            text = (getattr(error, "text", None) or "").strip()
            wrong = f"Python cannot read the file: {getattr(error, 'msg', None) or error}."
            mend = f"correct `{text}`, or the line before it." if text else "correct the file."
            self.unreadable.append(Slip(name, line, wrong, mend))
        return None

    # -- the table ------------------------------------------------------------------------------------

    def _bans(self) -> Iterator[Slip]:
        finished = self._parse(_BANS)
        if finished is None or self.table is None:
            return
        groups = [*_keys(finished, "OPERATORS"), _NO_OPERATOR]
        instead = _keys(self.table, "INSTEAD")
        for row in self.rows:
            if row.bans and row.bans not in groups:
                wrong = f'{row.name} bans "{row.bans}", and OPERATORS in {_BANS} has no such group.'
                mend = f"name one of {', '.join(groups)}, or add its pattern to OPERATORS."
                yield Slip(_TABLE, row.line, wrong + did_you_mean(row.bans, groups), mend)
            elif row.bans and row.bans not in instead:
                wrong = (
                    f'{row.name} bans "{row.bans}", and INSTEAD does not say what is allowed in its place.'
                )
                yield Slip(_TABLE, row.line, wrong, f'add `"{row.bans}": "..."` to INSTEAD.')

    def _solutions(self) -> Iterator[Slip]:
        modules = sorted(path.stem for path in (self.root / "solutions").glob("*.py") if path.stem[0] != "_")
        trees = {name: self._parse(f"solutions/{name}.py") for name in modules}
        for row in self.rows:
            if row.module not in trees:
                wrong = f"{row.name} stands in {row.module}.py, and there is no solutions/{row.module}.py."
                mend = f"name one of {', '.join(modules)}, or write solutions/{row.module}.py."
                yield Slip(_TABLE, row.line, wrong + did_you_mean(row.module, modules), mend)
            elif (tree := trees[row.module]) is not None:
                yield from self._defined(row, tree)

    def _defined(self, row: _Row, tree: ast.Module) -> Iterator[Slip]:
        lines = {node.name: node.lineno for node in tree.body if isinstance(node, _Defined)}
        if row.name in lines:
            yield from self._called(row, next(node for node in _functions(tree) if node.name == row.name))
            return
        others = [name for name in lines if name not in self.tasks]
        meant = did_you_mean(row.name, others)
        line = next((lines[name] for name in others if meant == f" Did you mean {name}?"), 0)
        wrong = f"there is no function or class {row.name}, which the table has ({_TABLE}, line {row.line})."
        mend = "define it under this name between the markers, or change the row of the table."
        yield Slip(f"solutions/{row.module}.py", line, wrong + meant, mend)

    def _called(self, row: _Row, node: _Defined) -> Iterator[Slip]:
        found = _parameters(node)
        if found == row.parameters:
            return
        wrong = f"{row.name} takes ({', '.join(found)}), and the table says ({', '.join(row.parameters)})"
        yield Slip(
            f"solutions/{row.module}.py",
            node.lineno,
            f"{wrong} ({_TABLE}, line {row.line}).",
            "make them alike: students are told of a call by the table's names.",
        )

    # -- checks and mistakes --------------------------------------------------------------------------

    def _checks(self) -> Iterator[Slip]:
        checks: list[_Check] = []
        found: list[Slip] = []
        whole = True
        for folder in _CHECKS:
            for path in sorted((self.root / folder).glob("test_*.py")):
                name = f"{folder}/{path.name}"
                tree = self._parse(name)
                whole = whole and tree is not None
                for node in _functions(tree):
                    found += self._check(name, node, checks)
        yield from found
        if whole and not found:  # else a check would be missed that is there under another name
            yield from self._together(checks)

    @staticmethod
    def _together(checks: list[_Check]) -> Iterator[Slip]:
        """Names that are taken, and needs that nothing answers."""
        names = {(check.task, check.name): check for check in reversed(checks)}
        for check in checks:
            first = names[check.task, check.name]
            if first is not check:
                wrong = (
                    f"{check.task} has two checks {check.name}, the other in {first.file}, line {first.line}."
                )
                yield Slip(check.file, check.line, wrong, "call one of them by another name.")
            if check.needs and (check.task, check.needs) not in names:
                known = [other.name for other in checks if other.task == check.task and other is not check]
                wrong = f'{check.function} needs "{check.needs}", and {check.task} has no check of this name.'
                mend = f"name one of {', '.join(known)}." if known else "leave `needs` out."
                yield Slip(check.file, check.line, wrong + did_you_mean(check.needs, known), mend)

    def _check(self, file: str, node: _Defined, checks: list[_Check]) -> Iterator[Slip]:
        mark = _mark(node, "check")
        if mark is None:
            if node.name.startswith("test_"):
                mend = 'write @check("TASK", points=1) above it, or call it by a name without test_.'
                yield Slip(file, node.lineno, f"{node.name} has no @check.", mend)
            return
        if not isinstance(mark, ast.Call) or not _argument(mark, 1, "points"):
            wrong = f"@check of {node.name} does not give its points."
            yield Slip(file, mark.lineno, wrong, 'write @check("TASK", points=1).')
            return
        if not node.name.partition("__")[2]:
            wrong = f"{node.name} has no name of its own."
            yield Slip(file, node.lineno, wrong, "call it test_TASK__NAME, with two underscores.")
        task = _text(_argument(mark, 0, "task"))
        yield from self._known(file, mark, "check", task)
        if task is not None:
            needs = _text(_argument(mark, 2, "needs")) or ""
            checks.append(_Check(file, mark.lineno, node.name, task, needs))

    def _mistakes(self) -> Iterator[Slip]:
        for node in _functions(self._parse(_MISTAKES)):
            mark = _mark(node, "mistake")
            if mark is None:
                continue
            if not isinstance(mark, ast.Call) or not _argument(mark, 1, "hint"):
                wrong = f"@mistake of {node.name} gives no hint."
                mend = 'write it after the task: @mistake("TASK", "What the student reads.").'
                yield Slip(_MISTAKES, mark.lineno, wrong, mend)
            if isinstance(mark, ast.Call):
                yield from self._known(_MISTAKES, mark, "mistake", _text(_argument(mark, 0, "task")))

    def _known(self, file: str, mark: ast.Call, decorator: str, task: str | None) -> Iterator[Slip]:
        if task is not None and task not in self.tasks:
            wrong = f'@{decorator}("{task}", ...) names no task.{did_you_mean(task, self.tasks)}'
            yield Slip(
                file, mark.lineno, wrong, f"name a task of the table in {_TABLE}, or add its row there."
            )


# -- reading syntax trees -------------------------------------------------------------------------------


def _rows(table: ast.Module) -> Iterator[_Row]:
    for node in ast.walk(table):
        if isinstance(node, ast.Call) and _name(node.func) == "Task":
            name, module = _text(_argument(node, 0, "name")), _text(_argument(node, 1, "module"))
            if name and module:
                listed = getattr(_argument(node, 3, "parameters"), "elts", [])
                parameters = tuple(_text(one) or "" for one in listed)
                yield _Row(name, module, parameters, _text(_argument(node, 4, "bans")) or "", node.lineno)


def _parameters(node: _Defined) -> tuple[str, ...]:
    """What may be given by position; of a class, to make one of it."""
    if isinstance(node, ast.ClassDef):
        made = next((one for one in node.body if getattr(one, "name", "") == "__init__"), None)
        return _parameters(made)[1:] if isinstance(made, ast.FunctionDef) else ()
    return tuple(one.arg for one in (*node.args.posonlyargs, *node.args.args))


def _keys(tree: ast.Module, variable: str) -> list[str]:
    """The keys of a dict that is assigned at the top level."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = getattr(node, "value", None)
        if isinstance(value, ast.Dict) and any(_name(target) == variable for target in targets):
            return [text for key in value.keys if (text := _text(key)) is not None]
    return []


def _functions(tree: ast.Module | None) -> list[_Defined]:
    """The functions and classes at the top level; a mistake may be either."""
    return [] if tree is None else [n for n in tree.body if isinstance(n, _Defined)]


def _mark(node: _Defined, name: str) -> ast.expr | None:
    """The decorator of that name, called or not."""
    for mark in node.decorator_list:
        if _name(mark.func if isinstance(mark, ast.Call) else mark) == name:
            return mark
    return None


def _name(node: ast.AST | None) -> str:
    """The last part of a name: `check` and `checking.check` alike."""
    return str(getattr(node, "id", getattr(node, "attr", "")))


def _argument(call: ast.Call, position: int, name: str) -> ast.expr | None:
    if position < len(call.args):
        return call.args[position]
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def _text(node: ast.expr | None) -> str | None:
    """A string that is written out, else None."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
