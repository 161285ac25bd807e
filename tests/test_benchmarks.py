"""The benchmarks' own parts: what they compare is fair only if these hold."""

import importlib
from pathlib import Path

import pytest

from grader.assignment import TASKS

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture
def module(monkeypatch):
    """Imports a module of benchmarks/, which run as scripts and import each other by bare names."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


def test_measures_take_turns_after_a_warm_up(module):
    calls = []
    measures = {name: lambda name=name: calls.append(name) or float(len(calls)) for name in ("a", "b")}
    found = module("timing").in_turn(measures, rounds=2)
    assert "".join(calls) == "ababab"
    assert found["a"].values == (3.0, 5.0)


def test_a_ratio_is_taken_in_each_round(module):
    Times = module("timing").Times
    assert Times((2.0, 30.0, 3.0)).over(Times((1.0, 10.0, 1.0))).values == (2.0, 3.0, 3.0)


def test_samples_differ_in_bytes_and_all_parse(module):
    samples = module("samples")
    classes = [samples.sample(number) for number in range(60)]
    assert len({files["layers.py"] for files in classes}) == 60
    for files in classes:
        for text in files.values():
            compile(text, "student.py", "exec")
    kinds = [
        files["lenet.py"].partition("# student")[0] == samples.SOLUTIONS["lenet.py"] for files in classes
    ]
    assert kinds.count(False) == 6 + 2  # the stubs, and the mistake in lenet.py


def names_of(files):
    """What the functions of a submission are called, and they."""
    namespace = {}
    for name in ("layers", "lenet", "training", "transforms"):
        lines = files[f"{name}.py"].splitlines(keepends=True)
        source = "".join(line for line in lines if not line.startswith("from .layers"))
        namespace["__name__"] = name
        exec(compile(source, f"{name}.py", "exec", dont_inherit=True), namespace)
    return namespace


def failing(plain_tests, files):
    found, namespace = set(), names_of(files)
    for task in TASKS:
        try:
            getattr(plain_tests, f"test_{task.name}")(namespace[task.name])
        except Exception:
            found.add(task.name)
    return found


def test_the_plain_tests_pass_the_solutions_and_see_what_is_wrong(module):
    plain_tests, samples = module("plain_tests"), module("samples")
    assert failing(plain_tests, samples.right()) == set()
    assert failing(plain_tests, samples.stub()) == {task.name for task in TASKS}
    seen = [failing(plain_tests, samples.wrong(number)) for number in range(len(samples.MISTAKES))]
    assert all(seen)
    assert seen[0] == {"conv2d", "LeNet5"}


def test_the_page_says_what_was_missed(module):
    bench = module("bench")
    rows = (bench.at_most("a", 0.2, 0.3, "0.20 s"), bench.at_least("b", 30, 40, "30"))
    text = bench.page(["a machine"], [bench.Section("T", "how", ("command",), rows)], "bench")
    assert "| a | 0.20 s | at most 0.3 | met |" in text
    assert "| b | 30 | at least 40 | **missed** |" in text
