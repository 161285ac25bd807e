"""`grade explain`: what a task asks, read from text alone."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from conftest import ROOT

from grader.assignment import MODULES, TASKS
from grader.explain import Description, describe, descriptions, public_checks, section_of
from grader.instructor import release
from grader.suite import Suite
from grader.wrapping import wrapped

NAMES = [task.name for task in TASKS]


@pytest.mark.parametrize("task", NAMES)
def test_every_task_has_a_signature_a_docstring_and_a_section(task: str) -> None:
    about = describe(task)
    assert about.signature.startswith(f"{task}(")
    assert len(about.docstring) > 40
    assert f"`{task}`" in about.handout.splitlines()[0]
    assert "\n## " not in about.handout


def test_the_public_checks_are_those_that_run() -> None:
    suite = Suite(["public"]).checks()
    read = {f"public/{check.name}": check.points for task in NAMES for check in public_checks(task)}
    assert read == {check_id: info.points for check_id, info in suite.items()}
    assert all(check.title for task in NAMES for check in public_checks(task))


SIGNATURES = {
    "def relu(x: Tensor) -> Tensor:\n    'Doc.'": ("relu", "relu(x)"),
    "def linear(x, weight, bias: Tensor | None = None): 'Doc.'": ("linear", "linear(x, weight, bias=None)"),
    "class Invert:\n    'Doc.'\n    def __call__(self, x): ...": ("Invert", "Invert()"),
    "class LeNet5:\n    'Doc.'\n    def __init__(self, n: int = 1): ...": ("LeNet5", "LeNet5(n=1)"),
}


@pytest.mark.parametrize(("source", "expected"), SIGNATURES.items())
def test_a_signature_has_names_and_defaults(source: str, expected: tuple[str, str]) -> None:
    task, signature = expected
    sources = dict.fromkeys(MODULES, "")
    for other in TASKS:
        sources[other.module] += f"{source if other.name == task else f'def {other.name}(): 0'}\n"
    assert descriptions(sources, "")[task] == Description(signature, "Doc.", "")


def test_a_section_ends_where_the_next_begins() -> None:
    handout = "### `relu`, `elu` (1 point each)\n\nBoth.\n\n### `softmax`\n\nOther.\n\n## Next\n"
    assert section_of("elu", handout) == "### `relu`, `elu` (1 point each)\n\nBoth."
    assert section_of("softmax", handout) == "### `softmax`\n\nOther."
    assert section_of("fit", handout) == ""


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("task", NAMES)
def test_it_fits_the_terminal(task: str, columns: int, capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    from grader.explain import explain

    explain(Console(width=columns, highlight=False), task)
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= columns
    assert "…" not in said  # nothing is cut off


def test_the_command_says_what_is_asked_and_what_is_not_allowed(grade) -> None:
    done = grade("explain", "conv2d", "relu")
    said = " ".join(done.stdout.split())
    assert done.returncode == 0, done.stderr
    for part in (
        "y[n, o, i, j] = bias[o] + sum over c, u, v",
        "6 points, in student/layers.py",
        "conv2d adds bias[o] to every pixel",
        "any convolution, in one, two or three dimensions",
        "max(0, x)",
    ):
        assert part in said


@pytest.mark.parametrize("columns", [80, 120])
def test_no_line_ends_within_brackets_or_code(columns: int, capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    from grader.explain import explain

    for task in NAMES:
        explain(Console(width=columns, highlight=False), task)
    for line in capsys.readouterr().out.splitlines():
        assert line.count("[") == line.count("]"), line
        assert line.count("`") % 2 == 0, line


@pytest.mark.parametrize(
    ("formula", "lines"),
    [
        ("y = a + b", ["y = a + b"]),
        (
            "y = mean over u, v of x[n, i * stride + u, v]",
            ["y = mean over u, v of", "    x[n, i * stride + u, v]"],
        ),
        ("loss = max(0, a) * weight + bias[first, second]", None),
        ("a_long_name_without_any_space_that_cannot_fit_in", None),
    ],
)
def test_a_formula_breaks_where_it_may(formula: str, lines: list[str] | None) -> None:
    fitted = wrapped(formula, 30, formula=True)
    assert max(map(len, fitted)) <= 30
    assert "".join(fitted).replace(" ", "") == formula.replace(" ", "")
    if lines is not None:
        assert fitted == lines


def test_without_a_task_there_is_a_line_for_each(grade) -> None:
    done = grade("explain")
    assert done.returncode == 0, done.stderr
    listed = done.stdout.partition("\n\n")[0].splitlines()
    assert [line.split()[0] for line in listed] == NAMES
    assert "6 points  layers.py" in listed[0]
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize("has", [True, False])
def test_a_picture_is_offered_where_there_is_one(
    has: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.console import Console

    from grader import explain

    monkeypatch.setattr(explain, "pictured", lambda: frozenset({"relu"} if has else ()))
    explain.explain(Console(width=120, highlight=False), "relu")
    said = capsys.readouterr().out
    assert ("grade show relu draws it" in said) is has
    assert "grade check relu --hint helps" in said


def test_an_unknown_task_is_named(grade) -> None:
    done = grade("explain", "conv2")
    assert done.returncode == 2
    assert "Did you mean conv2d?" in done.stderr


def test_it_neither_imports_torch_nor_the_students_code(tmp_path: Path) -> None:
    (tmp_path / "layers.py").write_text("raise SystemExit('imported')\n")
    code = (
        "import sys; sys.argv = ['grade', 'explain', 'conv2d']\nfrom grader.cli import main\n"
        "try: main()\nexcept SystemExit as e: assert not e.code, e\nassert 'torch' not in sys.modules"
    )
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, cwd=tmp_path, env=environment
    )


def test_the_kit_says_the_same_without_solutions() -> None:
    recorded = release._descriptions(ROOT, (ROOT / "docs" / "handout" / "handout.md").read_text())
    assert msgspec.json.decode(recorded, type=dict[str, Description]) == {n: describe(n) for n in NAMES}
