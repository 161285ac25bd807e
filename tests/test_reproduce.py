"""`grade reproduce` as a user runs it, on drawn digits."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections import namedtuple
from pathlib import Path

import pytest
import torch

from grader.outcomes import KitError
from grader.reproduce import command
from grader.reproduce.checkpoint import RunFolder, RunState, load
from grader.reproduce.experiments import EXPERIMENTS, runs_of
from grader.reproduce.progress import Board
from grader.reproduce.teaching import SeededOrder
from tests.conftest import GRADE, ROOT, SOLUTIONS

TWO = ("--settings", "1e-3,5e-4:5e-4")
ONE = ("--settings", "1e-3")


def run_of(out: Path, key: str = "") -> dict:
    (found,) = (one for one in json.loads((out / "results.json").read_text())["runs"] if key in one["key"])
    return found


def numbers(run: dict) -> list:
    """A run's history without its times."""
    return [{name: value for name, value in epoch.items() if name != "seconds"} for epoch in run["history"]]


def start(*arguments: str | Path) -> subprocess.Popen:
    return subprocess.Popen(
        [*GRADE, "reproduce", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# -- wrong commands -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mnits"], "Did you mean mnist?"),
        (["mnist", "--device", "gpu"], "one of auto, cpu, cuda"),
        (["mnist", "--settings", "0"], "above 0 and finite, not 0"),
        (["mnist", "--settings", "nan"], "above 0 and finite, not nan"),
        (["mnist", "--settings", "inf"], "above 0 and finite, not inf"),
        (["mnist", "--settings", "1e-3:-1"], "0 or more and finite, not -1"),
        (["mnist", "--settings", "fast"], "no RATE or RATE:DECAY"),
        (["mnist", "--with", "nowhere"], "Name the one that holds your layers.py"),
        (["remedies", "--with", str(ROOT / "student")], "run with the reference alone"),
    ],
)
def test_a_wrong_command_says_what_to_do(grade, arguments, message):
    ended = grade("reproduce", *arguments)
    assert ended.returncode == 2
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_said():
    with pytest.raises(KitError, match="Use --device cpu"):
        command.choose_device("cuda")


@pytest.mark.slow
def test_without_data_and_network_the_message_offers_a_folder_and_drawn_digits(grade, tmp_path):
    unreachable = {"https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    ended = grade("reproduce", "mnist", "--data-dir", tmp_path / "data", **unreachable)
    assert ended.returncode == 2
    for words in (str(tmp_path / "data" / "mnist.npz"), "--data-dir FOLDER", "--drawn"):
        assert words in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
def test_a_stub_is_said_to_be_one(grade):
    ended = grade("reproduce", "mnist", "--drawn", "--with", ROOT / "student")
    assert ended.returncode == 2
    assert "still a stub" in ended.stderr


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"\x80\x04cos\nsystem\n(S'true'\ntR."])
def test_a_foreign_checkpoint_is_named_and_kept(tmp_path, content):
    folder = RunFolder(tmp_path)
    folder.create()
    foreign = folder.finished / "mnist.pt"
    foreign.write_bytes(content)
    with pytest.raises(KitError) as raised:
        folder.states()
    assert f"{foreign} is not a checkpoint of this kit" in str(raised.value)
    assert "Delete the file" in str(raised.value)
    assert foreign.read_bytes() == content


def test_too_little_disk_is_said_before_anything_is_trained(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 10**6))
    options = command.Options(("mnist",), tmp_path, device="cpu", drawn=True)
    with pytest.raises(KitError, match=r"has 1 MB left; these|has 1 MB left; 6 runs"):
        command.reproduce(options, [])


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    options = command.Options(("mnist",), tmp_path / "file" / "out", device="cpu", drawn=True)
    with pytest.raises(KitError, match="Choose another folder with --out"):
        command.reproduce(options, [])


# -- what is seen while it runs -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "one_by_one", "expected"),
    [
        (["mnist"], False, "6 runs of 1 experiment, at most 8 epochs each."),
        (["mnist"], True, "6 runs of 1 experiment, one after the other, at most 8 epochs each."),
        (["mnist", "negatives"], False, "8 runs of 2 experiments, at most 8 epochs each."),
        (
            ["mnist", "negatives"],
            True,
            "8 runs of 2 experiments, one after the other, at most 8 epochs each. "
            "To do less, name an experiment: mnist is 6 runs.",
        ),
    ],
)
def test_the_command_says_first_how_many_runs_it_does(names, one_by_one, expected):
    runs = [run for name in names for run in runs_of(name, [0], drawn=True)]
    assert command.announced(runs, one_by_one=one_by_one) == expected


def test_progress_is_told_within_an_epoch_and_the_order_is_the_same():
    shares: list[float] = []
    told = list(SeededOrder(range(1000), 0, on_share=shares.append))
    assert told == list(SeededOrder(range(1000), 0))
    assert shares == [at / 100 for at in range(100)]


def test_the_bar_goes_on_within_an_epoch_and_never_back():
    run = runs_of("mnist", [0])[0]
    with Board([run]) as board:
        board.show([RunState(run, {})])
        done = []
        for share in (0.0, 0.5, 0.0, 0.7):
            board.show_within(run, share)
            done.append(board.epochs_of(run))
    assert done == [0.0, 0.5, 0.5, 0.7]


# -- results ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """What two settings of MNIST and the negatives give in two epochs."""
    out = tmp_path_factory.mktemp("reproduced") / "out"
    command = ["mnist", "negatives", "--drawn", "--max-epochs", "2", *TWO, "--seeds", "2", "--tensorboard"]
    ended = start(*command, "--out", out)
    _, errors = ended.communicate(timeout=300)
    assert ended.returncode == 0, errors
    return out


@pytest.mark.slow
def test_results_hold_every_run_with_its_settings_and_epochs(results):
    found = json.loads((results / "results.json").read_text())
    assert len(found["runs"]) == 2 * 2 + 2 * 2 * 2
    for one in found["runs"]:
        assert one["way"] == "fast"
        assert one["command"].startswith("grade reproduce mnist negatives --drawn")
        assert one["device"] == "CPU"
        assert one["torch"]
        assert len(one["history"]) == one["epochs"] == 2
        assert all(0 <= epoch["train_accuracy"] <= 1 and epoch["seconds"] > 0 for epoch in one["history"])
    assert {one["seed"] for one in found["runs"]} == {0, 1}


@pytest.mark.slow
def test_curves_have_a_line_for_each_epoch_and_set_of_test_images(results):
    with open(results / "curves.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 4 * 2 + 4 * 2 * (2 + 3)
    assert {line["tested_on"] for line in lines} == {"positive", "negative", "combined"}
    combined = [line for line in lines if line["trained_on"] == "combined"]
    by_epoch = {}
    for line in combined:
        which = line["lr"], line["seed"], line["epoch"]
        by_epoch.setdefault(which, {})[line["tested_on"]] = float(line["test_accuracy"])
    for found in by_epoch.values():
        assert found["combined"] == pytest.approx((found["positive"] + found["negative"]) / 2)


@pytest.mark.slow
def test_every_figure_is_there_as_png_and_svg_and_in_the_report(results):
    names = {path.stem for path in (results / "figures").glob("*.png")}
    assert names == {path.stem for path in (results / "figures").glob("*.svg")}
    wanted = {"mnist-train", "mnist-test", "mnist-confusion", "mnist-filters"}
    assert names == wanted | {f"negatives-{what}" for what in ("sample", "curves", "predictions")}
    markdown = (results / "report.md").read_text()
    assert set(re.findall(r"\(figures/([\w-]+)\.png\)", markdown)) == names
    html = (results / "report.html").read_text()
    assert html.count("data:image/png;base64,") == len(names)


@pytest.mark.slow
def test_the_report_asks_no_other_address_and_runs_no_script(results):
    html = (results / "report.html").read_text()
    assert not re.search(r"https?://|<script|<link|@import", html)
    assert all(source.startswith("data:") for source in re.findall(r'src="([^"]*)"', html))


@pytest.mark.slow
def test_drawn_digits_are_not_compared_with_the_write_up(results):
    found = json.loads((results / "results.json").read_text())
    assert {claim["verdict"] for claim in found["claims"]} == {"other data"}
    assert "On drawn digits" in (results / "report.md").read_text()


@pytest.mark.slow
def test_tensorboard_reads_the_logs(results):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    one = run_of(results, "mnist_drawn_digits_lr1e-3_wd0_seed0")
    events = EventAccumulator(str(results / "tensorboard" / one["key"]))
    events.Reload()
    for tag, field in (("loss/train", "train_loss"), ("accuracy/train", "train_accuracy")):
        assert [event.value for event in events.Scalars(tag)] == pytest.approx(
            [epoch[field] for epoch in one["history"]]
        )
    assert len(events.Scalars("accuracy/test")) == len(events.Scalars("loss/test")) == 2
    assert "_hparams_/session_start_info" in events.summary_metadata


@pytest.mark.slow
def test_finished_runs_are_not_repeated_and_more_epochs_go_on(results, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(results, out)
    files = {path: path.stat().st_mtime_ns for path in (out / "runs").iterdir()}
    again = start("mnist", "--drawn", "--max-epochs", "2", *TWO, "--seeds", "2", "--out", out)
    _, errors = again.communicate(timeout=120)
    assert "4 of 4 runs are finished already" in errors
    assert files == {path: path.stat().st_mtime_ns for path in (out / "runs").iterdir()}
    before = run_of(out, "mnist_drawn_digits_lr1e-3_wd0_seed0")
    longer = start("mnist", "--drawn", "--max-epochs", "3", *ONE, "--out", out)
    _, errors = longer.communicate(timeout=120)
    assert longer.returncode == 0, errors
    after = run_of(out, "mnist_drawn_digits_lr1e-3_wd0_seed0")
    assert len(after["history"]) == 3
    assert after["history"][:2] == before["history"]


@pytest.mark.slow
def test_everything_runs_on_drawn_digits_without_a_network(tmp_path):
    going = subprocess.run(
        [*GRADE, "reproduce", "all", "--drawn", "--out", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "https_proxy": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert going.returncode == 0, going.stderr
    found = json.loads((tmp_path / "results.json").read_text())["runs"]
    assert len(found) == sum(len(runs_of(name, [0])) for name in EXPERIMENTS)
    plain = next(one for one in found if one["label"] == "plain")
    assert plain["history"][-1]["test_accuracy"][0] > 0.9
    for name, experiment in EXPERIMENTS.items():
        assert f"## {experiment.title}" in (tmp_path / "report.md").read_text(), name


# -- stopped and gone on with -------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "signal_number"),
    [(TWO, signal.SIGKILL), (TWO, signal.SIGINT), ((*ONE, "--with", str(SOLUTIONS)), signal.SIGKILL)],
    ids=["fast, kill", "fast, Ctrl-C", "fit, kill"],
)
def test_a_stopped_run_goes_on_and_ends_as_if_it_had_not_been(tmp_path, way, signal_number):
    words = ["mnist", "--drawn", "--max-epochs", "3", *way]
    stopped = start(*words, "--out", tmp_path / "stopped")
    folder = RunFolder(tmp_path / "stopped")
    wait_for(lambda: folder.unfinished.is_dir() and any(folder.unfinished.glob("*.pt")))
    # to the first process alone: the others have to end by themselves
    os.kill(stopped.pid, signal_number)
    _, errors = stopped.communicate(timeout=60)
    if signal_number == signal.SIGINT:
        assert stopped.returncode == 130
        assert "The same command goes on" in errors
        assert "Traceback" not in errors
    assert not (tmp_path / "stopped" / "results.json").exists()
    wait_for(lambda: not _processes_of(stopped.pid))

    for out in ("stopped", "whole"):
        going = start(*words, "--out", tmp_path / out)
        _, errors = going.communicate(timeout=300)
        assert going.returncode == 0, errors
    resumed, whole = (run_of(tmp_path / out, "lr1e-3") for out in ("stopped", "whole"))
    assert numbers(resumed) == numbers(whole)
    assert not list(folder.unfinished.iterdir())


def _processes_of(session: int) -> list[int]:
    """The processes of a session that have not ended."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(status.parent.name))
    return found


@pytest.mark.slow
def test_a_diverging_run_is_marked_and_others_go_on(tmp_path):
    going = start("mnist", "--drawn", "--max-epochs", "2", "--settings", "1e20,1e-3", "--out", tmp_path)
    _, errors = going.communicate(timeout=120)
    assert going.returncode == 0, errors
    assert "diverged in epoch 1" in errors
    lost, fine = (run_of(tmp_path, key) for key in ("lr1e20", "lr1e-3"))
    assert lost["diverged"]
    assert lost["history"][0]["train_loss"] is None
    assert fine["epochs"] == 2
    assert not fine["diverged"]


@pytest.mark.slow
def test_a_students_own_package_is_trained_with_its_own_fit(tmp_path):
    """A fit with an optimiser of its own cannot be seen into, but trains all the same."""
    student = tmp_path / "student"
    shutil.copytree(SOLUTIONS, student)
    training = student / "training.py"
    text = training.read_text()
    training.write_text(
        text.replace("torch.optim.Adam(", "OwnAdam(") + "\n\nclass OwnAdam:\n"
        "    def __init__(self, parameters, lr, weight_decay):\n"
        "        self.parameters, self.lr = list(parameters), lr\n"
        "    def zero_grad(self):\n"
        "        for p in self.parameters: p.grad = None\n"
        "    def step(self):\n"
        "        with torch.no_grad():\n"
        "            for p in self.parameters: p -= 0.1 * p.grad\n"
    )
    words = ["mnist", "--drawn", "--max-epochs", "1", *ONE, "--with", student]
    going = start(*words, "--out", tmp_path / "out")
    _, errors = going.communicate(timeout=120)
    assert going.returncode == 0, errors
    assert run_of(tmp_path / "out")["way"] == "student's fit"
    (path,) = (tmp_path / "out" / "runs").iterdir()
    (state,) = load(path)
    assert state.steps == 0
    assert state.history[0].test_accuracy[0] > 0.15

    # and its results are not mixed with those of another way
    other = start("mnist", "--drawn", "--max-epochs", "1", *ONE, "--out", tmp_path / "out")
    _, errors = other.communicate(timeout=120)
    assert other.returncode == 2
    assert "trained another way (student's fit, now: fast)" in errors


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("return history", "return history.nothing"), None),
        (("optimizer.zero_grad()", "optimizer.zero_grade()"), "AttributeError"),
        (("            on_epoch(epoch, history)", "            pass"), "without calling on_epoch"),
    ],
)
def test_a_package_that_fails_is_said_by_name(tmp_path, change, message):
    student = tmp_path / "student"
    shutil.copytree(SOLUTIONS, student)
    text = (student / "training.py").read_text()
    assert change[0] in text
    (student / "training.py").write_text(text.replace(*change))
    words = ["mnist", "--drawn", "--max-epochs", "1", *ONE, "--with", student]
    going = start(*words, "--out", tmp_path / "out")
    _, errors = going.communicate(timeout=120)
    if message is None:  # after its last epoch a run is over, whatever fit does then
        assert going.returncode == 0, errors
    else:
        assert going.returncode == 2
        assert message in errors
        assert "grade check fit" in errors
    assert "Traceback" not in errors
