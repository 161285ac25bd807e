"""Writes docs/commands.md from the commands themselves: `python docs/make_commands.py [--check]`.

With `--check` nothing is written; exit status 1 where the page is not what the commands give.
"""

import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from grader.cli import app

PAGE = Path(__file__).resolve().parent / "commands.md"

_KINDS: dict[Any, str] = {Path: "PATH", int: "NUMBER", float: "NUMBER"}
_HEAD = """# Commands

Made by `python docs/make_commands.py` from the commands themselves, as `grade COMMAND --help` shows them. In a student's kit
there are only {student}; the others need the whole repository.
"""


def page() -> str:
    """The page as the commands are now."""
    root = get_command(app)
    found = list(_walk(root, "grade"))
    for_students = [name for name, command in found if not _is_instructors(command) and " " in name]
    lines = [_HEAD.format(student=_listed(for_students))]
    for name, _ in found:
        lines.append(f"- [`{name}`](#{name.replace(' ', '-')})")
    for name, command in found:
        lines += ["", f"## {name}", "", *_section(name, command)]
    return "\n".join(lines) + "\n"


def _walk(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every command with its whole name, a group before its commands."""
    yield name, command
    for inner in getattr(command, "commands", {}).values():
        if not inner.hidden:
            yield from _walk(inner, f"{name} {inner.name}")


def _is_instructors(command: Any) -> bool:
    inner = list(getattr(command, "commands", {}).values())
    callbacks = [command.callback, *(one.callback for one in inner)]
    return any(getattr(one, "__module__", "").startswith("grader.instructor") for one in callbacks if one)


def _listed(names: list[str]) -> str:
    *most, last = [f"`{name}`" for name in names]
    return f"{', '.join(most)} and {last}" if most else last


def _section(name: str, command: Any) -> Iterator[str]:
    """What stands under the heading: how it is called, what it does, its arguments and options."""
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option" and not one.hidden]
    inner = " COMMAND ..." if getattr(command, "commands", None) else ""
    yield (
        "    " + " ".join([name, *(["[OPTIONS]"] if options else []), *map(_placeholder, arguments)]) + inner
    )
    yield ""
    yield from (command.help or "").strip().splitlines()
    if arguments or options:
        yield ""
    for one in arguments:
        yield f"* `{_placeholder(one)}`: {_about(one)}"
    for one in options:
        value = "" if one.is_flag else f" {one.metavar or _kind(command, one.name)}"
        yield f"* `{', '.join(sorted(one.opts, key=len))}{value}`: {_about(one)}"


def _placeholder(argument: Any) -> str:
    text = argument.name.upper() + ("..." if argument.nargs == -1 else "")
    return text if argument.required else f"[{text}]"


def _kind(command: Any, name: str) -> str:
    """What an option takes, from the annotation in the command's function."""
    annotation = typing.get_type_hints(command.callback)[name]
    while inside := [kind for kind in typing.get_args(annotation) if kind is not type(None)]:
        annotation = inside[0]
    return _KINDS.get(annotation, "TEXT")


def _about(parameter: Any) -> str:
    """Its help, and its default where that says something."""
    text = " ".join((parameter.help or "").split())
    shown = getattr(parameter, "show_default", None)
    default = shown if isinstance(shown, str) else parameter.default
    plain = isinstance(default, str | int | float | Path) and not isinstance(default, bool)
    return f"{text} Default: {default}." if shown and plain and str(default) else text


if __name__ == "__main__":
    text = page()
    if sys.argv[1:] == ["--check"]:
        sys.exit(
            0 if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text else "docs/commands.md is stale"
        )
    PAGE.write_text(text, encoding="utf-8")
