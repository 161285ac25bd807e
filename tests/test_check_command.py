"""`grade check` as a student runs it: real processes, good and bad input."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import GRADE, ROOT, SOLUTIONS, with_body

from grader.assignment import BY_NAME


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A student's folder with the solutions in it."""
    return Path(shutil.copytree(SOLUTIONS, tmp_path / "student"))


def edit(folder: Path, module: str, old: str, new: str) -> None:
    path = folder / f"{module}.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_all_right_is_status_0_and_names_the_points_of_grading(grade, folder: Path) -> None:
    done = grade("check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "27 of 27 points" in done.stdout
    assert "28 more are decided only at" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ("student/layers.py", "--submission"),
        pytest.param("conv2d/nothing", "conv2d/values", marks=pytest.mark.slow),
    ],
)
def test_what_is_no_task_and_no_check_is_named(grade, folder: Path, named: str, says: str) -> None:
    done = grade("check", named)
    assert done.returncode == 2
    assert says in done.stderr


@pytest.mark.slow
def test_a_file_that_cannot_be_read_is_explained_once(grade, folder: Path) -> None:
    edit(folder, "layers", "def relu(x", "def relu(x x")
    done = grade("check")
    text = " ".join(done.stdout.split())
    assert (
        "max_pool2d, linear, relu, leaky_relu, elu, softmax, cross_entropy: the same as conv2d/values" in text
    )


@pytest.mark.slow
def test_a_debugger_begins_in_the_students_code(grade, folder: Path) -> None:
    edit(folder, "layers", "return x.clamp(min=0)", "return y")
    done = grade("check", "relu/values", "--in-process", "--pdb", typed="q\n")
    said = done.stdout + done.stderr
    assert "in relu" in said
    assert "server.py" not in said


@pytest.mark.slow
def test_long_output_says_how_much_is_left_out(grade, folder: Path) -> None:
    edit(folder, "layers", "y = x @ weight.T", "print('so\\n' * 12)\n    y = x @ weight.T")
    done = grade("check", "linear/values")
    assert "lines):" in done.stdout
    assert " more (all of them: --json)" in done.stdout


@pytest.mark.slow
def test_an_error_of_several_lines_stands_beside_what_was_called(grade, folder: Path) -> None:
    edit(folder, "layers", "y = x @ weight.T", "raise TypeError('first\\n second')")
    done = grade("check", "linear/values")
    assert "found   TypeError: first second" in done.stdout


def test_a_wrong_answer_is_explained_with_the_command_to_run_again(grade, folder: Path) -> None:
    edit(folder, "layers", "windows, weight)", "windows, weight.flip(-1, -2))")
    done = grade("check", "conv2d")
    assert done.returncode == 1
    text = " ".join(done.stdout.split())
    for part in (
        "conv2d slides each kernel over the image without flipping it",
        "conv2d(x (1, 1, 6, 6), weight (1, 1, 3, 3))",
        "This is a true convolution",
        "grade check conv2d/values",
    ):
        assert part in text
    again = re.search(r"grade (check conv2d/values)", text).group(1)
    single = grade(*again.split())
    assert single.returncode == 1
    assert "0 of 1" in single.stdout


@pytest.mark.slow
def test_an_exception_shows_the_students_lines_and_none_of_ours(grade, folder: Path) -> None:
    edit(folder, "layers", "y = x @ weight.T", "y = x @ weight")
    done = grade("check", "linear")
    assert "student/layers.py, line" in done.stdout
    assert "y = x @ weight" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert "grader/" not in done.stdout


BROKEN = {
    "a syntax error": (lambda f: edit(f, "layers", "def relu(", "def relu(("), "SyntaxError"),
    "a missing file": (lambda f: (f / "layers.py").unlink(), "missing"),
    "a missing function": (lambda f: edit(f, "layers", "def softmax(", "def softmin("), "missing"),
    "a wrong signature": (
        lambda f: edit(f, "layers", "def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None)", "def linear(x, w)"),
        "signature",
    ),
    "no function": (lambda f: (f / "layers.py").write_text("relu = softmax = 3\n"), "not a function"),
    "not text": (lambda f: (f / "layers.py").write_bytes(b"# \xff\xfe\x00bad"), "UTF-8"),
    "null bytes": (lambda f: (f / "layers.py").write_bytes(b"x = 1\n\0\n"), "null bytes"),
    "a stub": (lambda f: edit(f, "layers", "exponentials = torch.exp(", "raise NotImplementedError\n    _ = torch.exp("), "missing"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("break_it", "text"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_files_are_explained_and_other_tasks_still_checked(
    grade, folder: Path, break_it, text: str
) -> None:
    break_it(folder)
    done = grade("check", "softmax", "linear", "mean_and_std")
    assert done.returncode == 1, done.stderr
    assert text in done.stdout
    assert "2.5 / 2.5" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


COMMANDS = {
    "an unknown task": (["check", "conv2"], "There is no task conv2. Did you mean conv2d?"),
    "no such folder": (["check", "--submission", "nowhere"], "There is no folder nowhere"),
    "a task and a check": (["check", "relu", "conv2d/values"], "not both"),
    "pdb alone": (["check", "--pdb"], "--pdb needs --in-process"),
    "watch and json": (["check", "--watch", "--json"], "--watch goes with neither"),
}


@pytest.mark.parametrize(("arguments", "text"), COMMANDS.values(), ids=COMMANDS.keys())
def test_wrong_commands_say_what_to_do(grade, folder: Path, arguments: list[str], text: str) -> None:
    done = grade(*arguments)
    assert done.returncode == 2
    assert text in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_an_empty_folder_says_every_task_is_missing(grade, tmp_path: Path) -> None:
    (tmp_path / "student").mkdir()
    done = grade("check", "relu")
    assert done.returncode == 1
    assert "missing" in done.stdout
    assert "layers.py" in done.stdout


@pytest.mark.skipif(os.getuid() == 0 and not shutil.which("setpriv"), reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_a_message(folder: Path, tmp_path: Path) -> None:
    folder.chmod(0)
    tmp_path.chmod(0o755)
    as_user = ["setpriv", "--reuid", "65534", "--clear-groups"] if os.getuid() == 0 else []
    try:
        for parent in tmp_path.parents:
            if parent.owner() == "root" and str(parent).startswith("/tmp/pytest"):
                parent.chmod(0o755)
        done = subprocess.run(
            [*as_user, *GRADE, "check", "relu"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
        )
    finally:
        folder.chmod(0o755)
    if "No module named" in done.stderr or "Permission denied: '/" in done.stderr.splitlines()[-1:]:
        pytest.skip("this interpreter may not be run by another user")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "ermission denied" in done.stderr
    assert "Traceback" not in done.stderr


def test_json_holds_the_report(grade, folder: Path) -> None:
    done = grade("check", "relu", "--json")
    report = json.loads(done.stdout)
    assert report["tasks"][0]["checks"][0]["outcome"] == "passed"
    assert report["points_decided_at_grading"] == 0.5
    assert report["isolation"]


@pytest.mark.slow
def test_text_of_a_submission_is_shown_without_escapes(grade, folder: Path) -> None:
    files = with_body(
        "layers", "relu", r"print('\x1b]0;title\x07\x1b[31m[bold]hi[/bold]')" + "\nreturn x.clamp(min=0)"
    ).files
    (folder / "layers.py").write_bytes(files["layers.py"])
    done = grade("check", "relu")
    assert "[bold]hi[/bold]" in done.stdout
    assert "\x1b]0" not in done.stdout


@pytest.mark.slow
def test_in_process_gives_the_same_points(grade, folder: Path) -> None:
    done = grade("check", "--in-process")
    assert done.returncode == 0, done.stdout
    assert "27 of 27 points" in done.stdout


@pytest.mark.slow
def test_pdb_opens_where_the_code_raised(folder: Path, tmp_path: Path) -> None:
    edit(folder, "layers", "return x.clamp(min=0)", "secret_sauce = 41\n    raise ValueError('here')")
    done = subprocess.run(
        [*GRADE, "check", "relu", "--in-process", "--pdb"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        input="p secret_sauce + 1\nq\n",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "(Pdb) 42" in done.stdout


@pytest.mark.slow
def test_a_folder_with_layers_in_it_is_the_default(grade, folder: Path) -> None:
    assert grade("check", "relu", cwd=folder).returncode == 0


def _watching(folder: Path, *tasks: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*GRADE, "check", "--watch", *tasks],
        cwd=folder.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _read_until(process: subprocess.Popen[str], text: str, seconds: float = 60) -> str:
    end, got = time.monotonic() + seconds, ""
    while text not in got and time.monotonic() < end:
        line = process.stdout.readline()
        if not line:
            break
        got += line
    assert text in got, got
    return got


@pytest.mark.slow
def test_watch_checks_again_what_a_save_can_have_changed(folder: Path) -> None:
    process = _watching(folder, "relu", "mean_and_std", "LeNet5")
    try:
        _read_until(process, "Watching")
        time.sleep(0.5)
        edit(folder, "layers", "return x.clamp(min=0)", "return x")
        got = _read_until(process, "checked ")
        assert "checked relu, LeNet5 in" in got  # lenet.py imports layers.py; transforms.py does not
        edit(folder, "transforms", "return 1 - image", "return image")
        assert "checked mean_and_std in" in _read_until(process, "checked ")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) in (0, 130)
    finally:
        process.kill()


@pytest.mark.slow
def test_ctrl_c_ends_a_check_without_a_traceback(folder: Path) -> None:
    edit(folder, "layers", "return x.clamp(min=0)", "while True: pass")
    process = subprocess.Popen(
        [*GRADE, "check", "relu"],
        cwd=folder.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    time.sleep(6)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in output
    assert "Stopped." in output


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no such device here")
@pytest.mark.parametrize("arguments", ["--help", "explain relu", "check relu -s solutions"])
def test_a_full_disk_is_told_once(arguments: str) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*GRADE, *arguments.split()], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert done.returncode == 1
    assert done.stderr == "grade: not all of the output could be written: No space left on device\n"


def test_ctrl_c_before_there_is_a_command_is_no_traceback() -> None:
    code = "import signal\nfrom grader import cli, program\ncli.main = lambda: signal.raise_signal(signal.SIGINT)\nprogram.program()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "\nStopped.\n")


def test_help_answers_without_torch() -> None:
    code = "import sys; sys.argv = ['grade', '--help']\nfrom grader.cli import main\ntry: main()\nexcept SystemExit: pass\nassert 'torch' not in sys.modules and 'pytest' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=ROOT)


def test_version_tells_the_kits_and_torchs(grade) -> None:
    import torch

    done = grade("--version")
    assert done.stdout.startswith("grade ")
    assert torch.__version__.partition("+")[0] in done.stdout


def test_shell_completion_completes_tasks(grade) -> None:
    done = grade(
        _GRADE_COMPLETE="complete_bash",
        COMP_WORDS="grade check conv",
        COMP_CWORD="2",
        _TYPER_COMPLETE_ARGS="grade check conv",
    )
    assert "conv2d" in done.stdout
    assert BY_NAME
