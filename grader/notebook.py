"""For the report's notebook: the student's modules as the package `student`, and the kit's checks in cells.

    from grader.notebook import check, use_this_folder

    use_this_folder()        # now `from student.layers import conv2d` works, whatever the folder is called
    check("conv2d")          # raises `ChecksFailed` where something does not pass

`check` is `grade check`: the code runs in the sandbox, from the files as they are saved, never in the notebook.
Imports torch only when asked to check.
"""

import importlib.util
import sys
from pathlib import Path

PACKAGE = "student"


class ChecksFailed(Exception):
    """Not all public checks of a task pass; what is wrong was printed."""


def use_this_folder(folder: str | Path = ".") -> None:
    """Make the modules in `folder` importable as the package `student`, and leave those of before behind.

    Raises `ImportError` where there is no `layers.py` in it.
    """
    here = Path(folder).resolve()
    if not (here / "layers.py").is_file():
        raise ImportError(f"There is no layers.py in {here}: open the notebook in the folder of your files.")
    for name in [name for name in sys.modules if name == PACKAGE or name.startswith(f"{PACKAGE}.")]:
        del sys.modules[name]
    init = here / "__init__.py"
    spec = (
        importlib.util.spec_from_file_location(PACKAGE, init, submodule_search_locations=[str(here)])
        if init.is_file()
        else importlib.util.spec_from_loader(PACKAGE, loader=None, is_package=True)
    )
    assert spec is not None
    spec.submodule_search_locations = [str(here)]
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    if spec.loader is not None:
        spec.loader.exec_module(package)


def check(task: str, folder: str | Path = ".") -> None:
    """Run the public checks of `task` on the files in `folder`; print what does not pass.

    Raises `ChecksFailed` where something does not pass, and `LookupError` for an unknown task.
    """
    from rich.console import Console

    from grader import terminal
    from grader.assignment import BY_NAME
    from grader.check import STUDENT, passed
    from grader.examine import examine
    from grader.failures import told_of
    from grader.submission import read_folder

    if task not in BY_NAME:
        raise LookupError(f"There is no task {task!r}. Tasks: {', '.join(BY_NAME)}.")
    report = examine(read_folder(Path(folder).resolve(), STUDENT), tasks=[task])
    (result,) = report.tasks
    score = (
        f"{terminal.points(result.earned)} of {terminal.points(result.points)} points of the public checks"
    )
    if passed(report):
        print(f"{task}: all public checks pass ({score})")
        return
    console = Console(highlight=False, width=100, force_terminal=False, force_jupyter=False)
    terminal.print_failures(console, result, told_of(result, {}), "grade check")
    raise ChecksFailed(f"{task}: {result.outcome}, {score}")
