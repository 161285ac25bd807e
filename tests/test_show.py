"""`grade show`: what is seen of a student's function, and a picture of it whatever came back."""

import io
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from conftest import ROOT, SOLUTIONS, changed, solution_files, with_body
from mutants import MUTANTS, apply
from PIL import Image

from grader.assignment import TASKS
from grader.examine import prepare
from grader.outcomes import Outcome
from grader.reference import RecordedReference
from grader.show.command import look_at
from grader.show.drawing import png
from grader.show.examples import has_example
from grader.show.look import Seen
from grader.show.pictured import pictured
from grader.submission import Submission, read_folder

NAMES = [task.name for task in TASKS]
ODD = {  # what no function of the assignment returns
    "a string": "'a result'",
    "nothing": "None",
    "a scalar": "torch.tensor(1.0)",
    "no elements": "torch.zeros(0, 3)",
    "NaN": "torch.full((1, 1, 28, 28), float('nan'))",
    "complex": "torch.zeros(1, 1, 28, 28, dtype=torch.complex64)",
    "text that draws": "('$\\\\frac{1}{$', '\\x1b[31m')",
}


def seen_of(files: Mapping[str, bytes], *tasks: str) -> dict[str, Seen]:
    return {seen.task: seen for seen in look_at(Submission("me", dict(files)), tasks or NAMES)}


def size_of(picture: bytes) -> tuple[int, int]:
    """Width and height; fails where it is no whole PNG."""
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    Image.open(io.BytesIO(picture)).verify()
    return struct.unpack(">2I", picture[16:24])


@pytest.fixture(scope="module")
def solved() -> dict[str, Seen]:
    return seen_of(solution_files())


@pytest.fixture(scope="module")
def stubs() -> dict[str, Seen]:
    return seen_of(read_folder(SOLUTIONS.parent / "student").files)


@pytest.mark.parametrize("task", NAMES)
def test_the_solution_does_what_is_wanted(solved: dict[str, Seen], task: str) -> None:
    seen = solved[task]
    assert (seen.outcome, seen.message, seen.diagnosis, seen.problems) == (Outcome.PASSED, "", "", {})
    assert seen.got.keys() == seen.wanted.keys()


@pytest.mark.parametrize("task", NAMES)
def test_a_stub_shows_only_what_it_should_do(stubs: dict[str, Seen], task: str) -> None:
    assert stubs[task].outcome is Outcome.MISSING
    assert stubs[task].got == {}
    assert stubs[task].wanted


@pytest.mark.slow
@pytest.mark.parametrize("task", NAMES)
def test_the_picture_differs_from_that_of_a_stub(
    solved: dict[str, Seen], stubs: dict[str, Seen], task: str
) -> None:
    mine, stub = png(solved[task]), png(stubs[task])
    assert size_of(mine) == size_of(stub)
    assert min(size_of(mine)) >= 350
    assert mine != stub


@pytest.mark.parametrize(
    "name",
    ["conv2d_flipped", "max_pool2d_average", "elu_alpha_ignored", "softmax_unstable", "cross_entropy_sum",
     "LeNet5_softmax", "train_epoch_never_cleared", "Invert_minus", "mean_and_std_not_scaled",
     "with_negatives_two_permutations"],
)  # fmt: skip
def test_a_known_mistake_is_seen_and_named(name: str) -> None:
    mutant = next(one for one in MUTANTS if one.name == name)
    seen = seen_of(apply(mutant), mutant.loses)[mutant.loses]
    assert seen.outcome is Outcome.FAILED
    assert seen.message
    assert seen.diagnosis
    size_of(png(seen))


def test_a_finished_operation_is_forbidden_here_too() -> None:
    files = with_body("layers", "relu", "return torch.relu(x)").files
    seen = seen_of(files, "relu")["relu"]
    assert seen.outcome is Outcome.FORBIDDEN
    assert "ordinary operations" in seen.diagnosis


def test_an_error_is_told_with_the_students_line() -> None:
    files = changed("layers", ("y = x @ weight.T", "y = x @ weight")).files
    seen = seen_of(files, "linear")["linear"]
    assert seen.outcome is Outcome.ERROR
    assert "y = x @ weight" in seen.location
    size_of(png(seen))


@pytest.mark.slow
@pytest.mark.parametrize("odd", ODD)
def test_whatever_comes_back_gives_a_picture(odd: str) -> None:
    """All 15 names return it, or a class that does when it is called."""
    functions = "\n".join(
        f"def {task.name}(*args, **kwargs):\n    return {ODD[odd]}\n"
        for task in TASKS
        if task.name not in ("LeNet5", "Invert")
    )
    classes = "".join(
        f"class {name}(torch.nn.Module):\n"
        "    def __init__(self, *args, **kwargs):\n        super().__init__()\n"
        "        self.conv1 = torch.nn.Conv2d(1, 6, 5)\n"
        f"    def load_state_dict(self, *args, **kwargs):\n        return None\n"
        f"    def forward(self, x):\n        return {ODD[odd]}\n"
        for name in ("LeNet5", "Invert")
    )
    text = f"import torch\n{functions}\n{classes}".encode()
    found = seen_of({f"{module}.py": text for module in ("layers", "lenet", "training", "transforms")})
    assert {seen.outcome for seen in found.values()} == {Outcome.FAILED}
    for seen in found.values():
        size_of(png(seen))


def test_a_file_that_cannot_be_imported_leaves_what_is_wanted() -> None:
    found = seen_of({**solution_files(), "layers.py": b"def conv2d(x:\n"}, "conv2d", "relu", "Invert")
    assert [seen.outcome for seen in found.values()] == [Outcome.ERROR, Outcome.ERROR, Outcome.PASSED]
    size_of(png(found["conv2d"]))


# -- the command ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_without_a_display_the_picture_is_a_file_here(grade, tmp_path: Path) -> None:
    done = grade("show", "relu", "--submission", SOLUTIONS, DISPLAY="", WAYLAND_DISPLAY="")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["relu", "✓", "passed", "relu.png"]
    size_of((tmp_path / "relu.png").read_bytes())


@pytest.mark.slow
def test_several_pictures_go_into_a_folder(grade, tmp_path: Path) -> None:
    done = grade("show", "relu", "conv2d", "relu", "--submission", SOLUTIONS, "--out", "new/pictures")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "new/pictures").iterdir()) == ["conv2d.png", "relu.png"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("conv",), "There is no task conv. Did you mean conv2d?"),
        (("conv2d/values",), "each task has one picture"),
        (("conv2d", "relu", "--out", "one.png"), "name a folder"),
        (("relu", "--out", "/proc/nowhere/relu.png"), "cannot be written"),
        (("relu", "--submission", "nowhere"), "There is no folder nowhere"),
    ],
)
def test_a_wrong_command_says_what_to_do(grade, arguments: tuple[str, ...], said: str) -> None:
    if "--submission" not in arguments:
        arguments += ("--submission", str(SOLUTIONS))
    done = grade("show", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_names_with_a_picture_are_those_that_have_an_example() -> None:
    assert {name for name in NAMES if has_example(name)} == pictured()


def test_that_there_is_no_picture_is_said_before_torch_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from grader.show import pictured\n"
        "pictured.pictured = lambda: frozenset({'conv2d'})\n"
        "sys.argv = ['grade', 'show', 'conv2d', 'relu', '--submission', '.']\nfrom grader.cli import main\n"
        "try: main()\nexcept SystemExit as e: assert e.code == 2, e\nassert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == "grade: There is no picture of relu. In words: grade explain relu\n"


@pytest.mark.slow
def test_recordings_say_the_same_as_the_solutions(solved: dict[str, Seen], tmp_path: Path) -> None:
    """A student's kit, which has no solutions, shows the same."""
    from grader.instructor.recordings import write_recordings

    write_recordings(tmp_path / "expectations.npz")
    examiner = prepare()
    live, examiner.reference = examiner.reference, RecordedReference(tmp_path / "expectations.npz")
    try:
        recorded = seen_of(solution_files())
        wrong = seen_of(apply(next(m for m in MUTANTS if m.name == "conv2d_flipped")), "conv2d")
    finally:
        examiner.reference = live
    assert {task: seen.outcome for task, seen in recorded.items()} == dict.fromkeys(NAMES, Outcome.PASSED)
    assert "true convolution" in wrong["conv2d"].diagnosis
    assert all(png(recorded[task]) == png(solved[task]) for task in NAMES)
