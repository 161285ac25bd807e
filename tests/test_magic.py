"""`%load_ext grader` and `%grade`: the report in a cell, judged in a process of its own; nothing live of a student's."""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, SOLUTIONS, changed, checks_of, examine

from grader import cell
from grader.assignment import TASKS
from grader.outcomes import Outcome
from grader.report import CheckResult, Grid, Report, TaskResult

pytest.importorskip("IPython", reason="IPython is not installed (it comes with ipykernel)")

HOSTILE = "</details><script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{ 7*7 }}\x1b[31m\u202e"


class Elements(HTMLParser):
    """What a browser would make of a page: elements with attributes, and the text."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def hostile_report() -> Report:
    grid = Grid(HOSTILE, ((HOSTILE,),), ((HOSTILE,),), ((True,),))
    check = CheckResult(
        f"public/relu/{HOSTILE}", "relu", HOSTILE, "public", 0.5, Outcome.FAILED, f"{HOSTILE}\n{HOSTILE}",
        HOSTILE, HOSTILE, grid=grid,
    )  # fmt: skip
    tasks = (TaskResult("relu", 0.5, (check,)),)
    return Report("me", "", "", tasks, output=f"{HOSTILE}\n", problems=(HOSTILE,))


def test_text_of_a_submission_is_text() -> None:
    page = Elements(cell.html(hostile_report(), "%grade", [HOSTILE]))
    names = {name for name, _ in page.tags}
    assert not names & {"script", "img", "iframe", "a", "link"}
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    assert "<script>alert(1)</script>" in page.text
    assert "{{ 7*7 }}" in page.text
    assert not re.search(r"[\x1b\u202e]", page.text.replace(HOSTILE, ""))


@pytest.mark.slow
def test_hostile_text_runs_nothing_in_a_browser(browser: Any) -> None:
    page = browser.new_page()
    said: list[str] = []
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.set_content(cell.html(hostile_report(), "%grade"))
    page.wait_for_timeout(200)
    assert said == []
    assert page.locator("script").count() == 0
    page.close()


def contrast(page: Any, selector: str) -> float:
    """The contrast of the text with what lies behind it, as WCAG defines it."""
    colours = page.evaluate(
        """selector => {
            const element = document.querySelector(selector);
            let behind = element;
            while (behind && getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)') behind = behind.parentElement;
            return [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor];
        }""",
        selector,
    )
    values = []
    for colour in colours:
        channels = [int(c) / 255 for c in re.findall(r"\d+", colour)[:3]]
        red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
        values.append(0.2126 * red + 0.7152 * green + 0.0722 * blue)
    low, high = sorted(values)
    return (high + 0.05) / (low + 0.05)


THEMES = {
    "light": ("light", 'data-jp-theme-light="true"', "#fff", "#222"),
    "dark": ("light", 'data-jp-theme-light="false"', "#111", "#ddd"),
    "the system's": ("dark", "", "#1e1e1e", "#ddd"),
    "light in a dark system": ("dark", 'data-jp-theme-light="true"', "#fff", "#222"),
    "VS Code's dark": ("light", 'class="vscode-dark"', "#1e1e1e", "#ddd"),
}


@pytest.mark.parametrize(("scheme", "attributes", "behind", "text"), THEMES.values(), ids=THEMES.keys())
@pytest.mark.slow
def test_it_can_be_read_in_light_and_dark(
    browser: Any, scheme: str, attributes: str, behind: str, text: str
) -> None:
    report = examine(
        changed("layers", ("y = x @ weight.T", "y = x @ weight.T + 1")), tasks=["linear", "relu"]
    )
    page = browser.new_page(color_scheme=scheme)
    page.set_content(
        f'<body {attributes} style="background:{behind};color:{text}">{cell.html(report, "%grade")}'
    )
    for selector in (".grade-passed", ".grade-not", "dt", ".grade-wrong", "thead th"):
        assert contrast(page, selector) >= 4.5, selector
    page.close()


def test_a_wrong_matrix_is_a_table_with_marks() -> None:
    report = examine(changed("layers", ("y = x @ weight.T", "y = x @ weight.T + 1")), tasks=["linear"])
    page = Elements(cell.html(report, "%grade"))
    (values, *_) = checks_of(report, "linear")
    assert values.grid is not None
    assert [a for t, a in page.tags if t == "td" and a.get("class") == "grade-wrong"]
    assert f"{values.grid.got[0][0]}*" in page.text
    assert "%grade linear/values" in page.text


def test_a_larger_image_is_a_picture() -> None:
    report = examine(
        changed("layers", ("windows, weight)", "windows, weight) + 1")), tasks=["conv2d", "LeNet5"]
    )
    pictures = [c.picture for c in checks_of(report, "LeNet5") if c.picture]
    images = [attrs["src"] for tag, attrs in Elements(cell.html(report, "%grade")).tags if tag == "img"]
    assert images == [f"data:image/png;base64,{picture}" for picture in pictures]


# -- the magic, in a shell of its own ---------------------------------------------------------------


Shell = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Runs cells in an IPython shell in the folder above the student's; prints what each displays and says."""
    program = """
    import json, sys
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output
    shell = InteractiveShell.instance()
    for source in json.loads(sys.argv[1]):
        with capture_output() as captured:
            shell.run_cell(source)
        for output in captured.outputs:
            print("DISPLAYS", *sorted(output.data))
            print(output.data.get("text/html") or output.data.get("text/markdown") or "")
        print(captured.stdout + captured.stderr)
    print("TORCH", "torch" in sys.modules)
    """

    def run(*cells: str, cwd: Path = tmp_path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program), json.dumps(["%load_ext grader", *cells])],
            cwd=cwd, env={**os.environ, "PYTHONPATH": str(ROOT), "IPYTHONDIR": str(tmp_path / "ipython")},
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SOLUTIONS, tmp_path / "student"))


@pytest.mark.slow
def test_a_report_as_html_and_a_picture_and_the_kernel_without_torch(shell: Shell, folder: Path) -> None:
    done = shell("%grade relu linear", "%grade --show relu", "%grade --explain relu", "%grade")
    assert done.stdout.count("DISPLAYS text/html text/plain") == 2, done.stdout + done.stderr
    assert "DISPLAYS image/png text/plain" in done.stdout
    assert "DISPLAYS text/markdown text/plain" in done.stdout
    assert r"\mathrm{relu}(x) = \max(0, x)" in done.stdout
    assert "27 of 27 points" in done.stdout
    assert "TORCH False" in done.stdout


@pytest.mark.slow
def test_what_cells_do_to_the_kernel_does_not_matter(shell: Shell, folder: Path) -> None:
    layers = folder / "layers.py"
    layers.write_text(layers.read_text().replace("return x.clamp(min=0)", "return x"))
    done = shell(
        "import torch, grader.compare; grader.compare.difference = lambda *a, **k: None",
        "torch.set_default_dtype(torch.float64)",
        "%grade relu",
    )
    assert "You return x as it is" in done.stdout


@pytest.mark.slow
def test_files_of_the_folder_do_not_pass_for_libraries(shell: Shell, folder: Path) -> None:
    """The judging process runs in another folder: a student's `random.py` is the student's."""
    for name in ("random.py", "msgspec.py", "torch.py", "numpy.py"):
        (folder / name).write_text("raise RuntimeError('the student\\'s')\n")
    done = shell(f"%cd -q {folder}", "%grade relu")
    assert "0.5 of 0.5 points" in done.stdout, done.stdout + done.stderr


@pytest.mark.slow
def test_it_finds_the_files_from_within_the_folder_and_where_it_is_told(shell: Shell, folder: Path) -> None:
    (folder.parent / "elsewhere").mkdir()
    done = shell(f"%cd -q {folder.parent / 'elsewhere'}", f"%grade relu -s {folder}", "%grade relu")
    assert "0.5 of 0.5 points" in done.stdout
    assert "There is no folder" in done.stdout


@pytest.mark.slow
def test_hints_come_in_steps(shell: Shell, folder: Path) -> None:
    layers = folder / "layers.py"
    layers.write_text(layers.read_text().replace("windows, weight)", "windows, weight.flip(-1, -2))"))
    done = shell("%grade conv2d --hint", "print('-' * 9)", "%grade conv2d --hint")
    first, second = done.stdout.split("-" * 9)
    assert "<dt>nudge</dt>" in first
    assert "kernel is flipped" not in first
    assert "kernel is flipped" in second


WRONG = {
    "%grade conv2": "Did you mean conv2d?",
    "%grade conv2d/nothing": "There is no check conv2d/nothing",
    "%grade --show": "Name the task",
    "%grade --show --hint conv2d": "Take one of",
    "%grade --what conv2d": "unrecognized arguments",
}


@pytest.mark.slow
def test_wrong_commands_say_what_to_do_without_a_traceback(shell: Shell, folder: Path) -> None:
    done = shell(*WRONG)
    for text in WRONG.values():
        assert text in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.slow
def test_a_judge_that_died_is_replaced(shell: Shell, folder: Path) -> None:
    kill = (
        "judge = get_ipython().magics_manager.registry['GradeMagics'].judge\n"
        "process = judge.start(); process.kill(); process.wait(); print('killed')"
    )
    done = shell(kill, "%grade relu")
    assert "killed" in done.stdout
    assert "0.5 of 0.5 points" in done.stdout


@pytest.mark.slow
def test_the_judge_ends_with_the_kernel(shell: Shell, folder: Path) -> None:
    done = shell(
        "%grade relu", "print('PID', get_ipython().magics_manager.registry['GradeMagics'].judge.start().pid)"
    )
    (pid,) = re.findall(r"PID (\d+)", done.stdout)
    gone = subprocess.run(["ps", "-p", pid], capture_output=True)
    assert gone.returncode != 0


def test_loading_grader_alone_loads_little() -> None:
    code = "import sys, grader; assert not {'torch', 'IPython', 'rich', 'msgspec'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_the_table_has_every_task() -> None:
    tasks = tuple(TaskResult(task.name, 0.0, ()) for task in TASKS)
    page = Elements(cell.html(Report("me", "", "", tasks), "%grade"))
    assert [t for t, a in page.tags if t == "th" and a.get("scope") == "row"] == ["th"] * len(TASKS)
