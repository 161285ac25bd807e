"""Where in a file of the assignment's author an exception comes from, for messages of what the kit itself got wrong.

Only files of the repository count, and in a student's kit the public checks: no file of a submission is among them.
"""

import traceback
from pathlib import Path

from grader.kit import ROOT

_FOLDERS = ("solutions", "grader/checks", "grader/instructor/checks")
_FILES = ("grader/assignment.py", "grader/instructor/mistakes.py")
_TOP_LEVEL = "<module>"


def place_of(error: BaseException, *, importing: bool = False) -> str:
    """ "grader/instructor/mistakes.py, line 80": the last line of such a file that `error` came through, else "".

    importing: only a line at the top level of its file, that is, where the file cannot even be imported.
    """
    places = [
        (frame.filename, frame.lineno)
        for frame in traceback.extract_tb(error.__traceback__)
        if not importing or frame.name == _TOP_LEVEL
    ]
    if isinstance(error, SyntaxError) and error.filename:
        places.append((error.filename, error.lineno))
    for file, line in reversed(places):
        if name := _authored(file):
            return f"{name}, line {line}"
    return ""


def not_imported(error: BaseException) -> str:
    """The message where `error` says that a file of the author's cannot be imported, else ""."""
    place = place_of(error, importing=True)
    if not place:
        return ""
    return f"{place}: the file cannot be imported.\n  {type(error).__name__}: {error}\n  To do: correct that line."


def _authored(file: str) -> str:
    """The file's path in the repository where an author writes it, else ""."""
    try:
        name = Path(file).resolve().relative_to(ROOT).as_posix()
    except (OSError, ValueError):
        return ""
    return name if name in _FILES or name.startswith(tuple(f"{one}/" for one in _FOLDERS)) else ""
