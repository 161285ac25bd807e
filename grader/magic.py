"""`%grade` for notebooks: `grade check` with its report as HTML, pictures inline, a task explained.

    %load_ext grader
    %grade                     every task
    %grade conv2d --hint       one, with hints in steps
    %grade --show conv2d       a picture of what it does and should do
    %grade --explain conv2d    what it asks, with its formula

What is judged are the files as they are saved, in a process of its own (`grader.judge`): nothing that a cell of
the notebook did can matter, and nothing of it can be harmed. The kernel imports no torch for it.
"""

import atexit
import base64
import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
from IPython.core.error import UsageError as MagicUsageError
from IPython.core.magic import Magics, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring
from IPython.display import Image, Markdown, display

from grader import judge
from grader.show.pictured import no_picture
from grader.usage import UsageError, default_folder, read_tasks

_ROOT = str(Path(__file__).resolve().parent.parent)
# the kit comes last on the path: no file of the notebook's folder may pass for a library
_START = "import sys; sys.path.append(sys.argv[1]); from grader.judge import main; main()"


class Judge:
    """The judging process; started when it is first asked, and again where it has died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> subprocess.Popen[bytes]:
        """The process; returns while it still imports torch."""
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START, _ROOT],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=_ROOT,
                env={**os.environ, "MPLBACKEND": "Agg"},
                start_new_session=True,  # interrupting the kernel is for us: we end it
            )
        return self._process

    def ask(self, request: judge.Request) -> judge.Answer:
        """The answer; raises `RuntimeError` where the process dies over it."""
        process = self.start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(msgspec.json.encode(request) + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
            return msgspec.json.decode(line, type=judge.Answer)
        except (OSError, msgspec.MsgspecError):
            self.stop()
            raise RuntimeError(
                "The process that checks has died. Try again; if it dies again, run `grade check` in a terminal."
            ) from None
        except KeyboardInterrupt:
            self.stop()
            raise

    def stop(self) -> None:
        """End the process; its workers end with it."""
        if self._process is None:
            return
        process, self._process = self._process, None
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            process.wait(2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@magics_class
class GradeMagics(Magics):
    """Holds the judging process of this kernel."""

    def __init__(self, shell: Any):
        super().__init__(shell)
        self.judge = Judge()
        atexit.register(self.judge.stop)
        self.judge.start()  # imports torch while the student reads on

    @magic_arguments()
    @argument("tasks", nargs="*", help="Tasks (conv2d) or single checks (conv2d/stride); none for all.")
    @argument("--show", action="store_true", help="Draw what your function does, beside what it should do.")
    @argument("--explain", action="store_true", help="What the task asks.")
    @argument("--hint", action="store_true", help="Hints in steps, one more each time.")
    @argument(
        "--submission", "-s", help="The folder that holds your layers.py; else this one, or student in it."
    )
    @line_magic
    def grade(self, line: str) -> None:
        """Check the files in this notebook's folder, as they are saved."""
        options = parse_argstring(self.grade, line)
        if options.show + options.explain + options.hint > 1:
            raise MagicUsageError("Take one of --show, --explain and --hint.")
        try:
            tasks, only = read_tasks(options.tasks)
        except UsageError as error:
            raise MagicUsageError(str(error)) from None
        if (options.show or options.explain) and (only is not None or not options.tasks):
            raise MagicUsageError(
                f"Name the task, for example: %grade --{'show' if options.show else 'explain'} conv2d"
            )
        folder = Path(options.submission) if options.submission else default_folder()
        if options.explain:
            _explain(tasks)
        elif options.show:
            self._show(folder, tasks)
        else:
            self._check(folder, tasks, only, options)

    def _ask(self, request: judge.Request) -> Any:
        try:
            answer = self.judge.ask(request)
        except RuntimeError as error:
            raise MagicUsageError(str(error)) from None
        if isinstance(answer, judge.Refused):
            raise MagicUsageError(answer.message)
        return answer

    def _check(self, folder: Path, tasks: list[str], only: set[str] | None, options: Any) -> None:
        from grader import cell

        again = "%grade" + (f" --submission {options.submission}" if options.submission else "")
        names = None if only is None else sorted(only)
        checked = self._ask(judge.Check(str(folder.resolve()), tasks, names, options.hint, again))
        page = cell.html(checked.report, again, checked.since, checked.hints)
        display({"text/html": page, "text/plain": _as_text(checked, again)}, raw=True)

    def _show(self, folder: Path, tasks: list[str]) -> None:
        if message := no_picture(tasks):
            raise MagicUsageError(message)
        for picture in self._ask(judge.Show(str(folder.resolve()), tasks)).pictures:
            display(Image(base64.b64decode(picture.png), format="png", alt=picture.words))


def _as_text(checked: judge.Checked, again: str) -> str:
    """The report for a frontend that shows no HTML."""
    from rich.console import Console

    from grader import terminal

    hints = checked.hints
    out = io.StringIO()
    console = Console(file=out, highlight=False, width=100, force_terminal=False, force_jupyter=False)
    find = None if hints is None else lambda check: hints.get(check.id, [])
    terminal.print_report(console, checked.report, again, checked.since, find)
    return out.getvalue()


def _explain(tasks: list[str]) -> None:
    """The handout's section, whose formulas the notebook sets, or the text of `grade explain`; then the checks."""
    from grader.explain import describe, public_checks

    for task in dict.fromkeys(tasks):
        about = describe(task)
        text = about.handout or f"### `{about.signature}`\n\n{about.docstring}"
        checks = "\n".join(f"- `{check.name}`: {check.title}" for check in public_checks(task))
        display(Markdown(f"{_without_figures(text)}\n\n**The checks that you can run**\n\n{checks}"))


def _without_figures(markdown: str) -> str:
    """The handout's figures lie beside it, not beside the notebook."""
    import re

    return re.sub(r"^!\[.*?\]\(.*?\)\n?", "", markdown, flags=re.MULTILINE | re.DOTALL)


def load(ipython: Any) -> None:
    """Give the notebook `%grade`."""
    ipython.register_magics(GradeMagics)
