"""Which tasks have a picture, read from the text of `grader.show.examples`: that module imports torch."""

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path


@cache
def pictured() -> frozenset[str]:
    """The names of the tasks with an example. One that an author adds has none at first."""
    tree = ast.parse((Path(__file__).parent / "examples.py").read_bytes())
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "_EXAMPLES":
            assert isinstance(node.value, ast.Dict)
            return frozenset(ast.literal_eval(key) for key in node.value.keys if key is not None)
    return frozenset()


def no_picture(tasks: Iterable[str]) -> str:
    """Why these tasks cannot be drawn, "" where all can."""
    without = [task for task in tasks if task not in pictured()]
    if not without:
        return ""
    return f"There is no picture of {' and '.join(without)}. In words: grade explain {' '.join(without)}"
