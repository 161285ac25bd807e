"""The program that examiners are forked from, begun on the bare arguments of `grade all`.

It imports torch for a second. Where the arguments are those of a first run, it is on its way while the command line
is imported, parsed, and refused or obeyed; whoever obeys takes it over.
"""

import argparse
import atexit
import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from grader.instructor.course.layout import results_of
from grader.instructor.hosted import HOSTED, Host
from grader.isolation import Isolation
from grader.outcomes import KitError

_ELSEWHERE = ("--scheduler", "--box")  # where others examine, or in another way
_begun: list[Host] = []


def begin(arguments: Sequence[str]) -> None:
    """Start the program if these arguments ask for a first run over a class on this machine."""
    if not HOSTED or not _first_run(arguments):
        return
    with contextlib.suppress(KitError, OSError):  # the command meets it again, and tells
        host = Host(Isolation())
        host.start()
        _begun.append(host)
        atexit.register(host.close, at_once=True)  # where nobody takes it over


def take_over(isolation: Isolation) -> Host:
    """The program that was begun, or one that is not on its way yet."""
    return _begun.pop() if _begun and not isolation.box else Host(isolation)


class _OtherArguments(Exception):
    """Not those that `grade all` usually has."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _OtherArguments


def _first_run(arguments: Sequence[str]) -> bool:
    """Is there a folder or archive to examine, and no record? What is not certain here is no."""
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("submissions", type=Path)
    parser.add_argument("--out", "-o", type=Path)
    try:
        found, others = parser.parse_known_args(arguments)
        return (
            not any(one.startswith((*_ELSEWHERE, "--help", "-h")) for one in others)
            and found.submissions.exists()
            and not (results_of(found.submissions, found.out) / "records").exists()
        )
    except (_OtherArguments, OSError):
        return False
