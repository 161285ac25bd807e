"""The wall: no submission changes another check's outcome, nor its own for the better."""

import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import QUICK, ROOT, changed, checks_of, earned, isolated, solution_files, with_body

from grader.assignment import TASKS
from grader.examine import examine
from grader.outcomes import Outcome
from grader.submission import Submission

FULL = {task.name: task.points for task in TASKS}
LAYERS = [task.name for task in TASKS if task.module == "layers"]
WRONG_RELU = "return x"
SOON = replace(QUICK, call=1.0)

# each tampers before or while `relu` returns a wrong answer; no point of relu may be earned by it,
# and no point of another task lost
TAMPERING = {
    "comparison functions patched": """
import torch
torch.equal = torch.allclose = torch.isclose = lambda *a, **k: True
torch.Tensor.__eq__ = torch.Tensor.__ne__ = torch.Tensor.equal = lambda *a, **k: True
torch.testing.assert_close = lambda *a, **k: None
""",
    "a frame walker": """
import sys
frame = sys._getframe()
while frame is not None:
    for name, value in list(frame.f_locals.items()):
        if "expect" in name or "wanted" in name or "reference" in name:
            raise SystemExit("found the answers")
    frame = frame.f_back
""",
    "an exit handler that rewrites the report": """
import atexit, os
atexit.register(lambda: os.write(1, b'{"outcome": "passed"}'))
""",
    "pytest replaced": """
import sys, types
sys.modules["pytest"] = types.ModuleType("pytest")
sys.modules["_pytest"] = types.ModuleType("_pytest")
""",
    "the garbage collector searched": """
import gc
answers = [o for o in gc.get_objects() if type(o).__name__ in ("LiveReference", "Agree", "CheckInfo", "CheckResult")]
if answers:
    raise SystemExit("found the answers")
""",
    "the solutions imported": """
try:
    from solutions.layers import relu as stolen
except ImportError:
    pass
else:
    raise SystemExit("found the solutions")
""",
    "the kit's secret parts imported": """
for name in ("grader.instructor.mistakes", "grader.examine", "grader.checks.public.test_layers", "grader.instructor"):
    try:
        __import__(name)
    except ImportError:
        continue
    raise SystemExit("found " + name)
""",
    "the environment read": """
import os
if any("SECRET" in name or "GRADE" in name for name in os.environ):
    raise SystemExit("found a secret")
""",
}


@pytest.mark.parametrize("preamble", TAMPERING.values(), ids=TAMPERING.keys())
def test_tampering_at_import_changes_nothing(preamble: str) -> None:
    report = examine(
        with_body("layers", "relu", WRONG_RELU, preamble), hidden=True, secret=b"s", tasks=LAYERS
    )
    assert earned(report) == {**{name: FULL[name] for name in LAYERS}, "relu": 0}
    assert {c.outcome for c in checks_of(report, "relu")} <= {Outcome.FAILED, Outcome.SKIPPED}


ENDINGS = {
    "os._exit(0)": ("import os; os._exit(0)", Outcome.CRASHED),
    "sys.exit(0)": ("import sys; sys.exit(0)", Outcome.ERROR),
    "a segmentation fault": ("import ctypes; ctypes.string_at(0)", Outcome.CRASHED),
    "an endless loop": ("while True: pass", Outcome.TIMEOUT),
    "sleep": ("import time; time.sleep(60)", Outcome.TIMEOUT),
    "a killed process": ("import os; os.kill(os.getpid(), 9)", Outcome.CRASHED),
    "the channel closed": ("import os; os.closerange(3, 1000)", Outcome.CRASHED),
    "memory": ("return torch.zeros(2 ** 40)", Outcome.MEMORY),
    "memory by list": ("x = [bytes(10 ** 8) for _ in range(100)]; return x", Outcome.MEMORY),
    "no end of recursion": ("return relu(x)", Outcome.ERROR),
    "an exception with a broken text": (
        "class E(Exception):\n    def __str__(self): raise ValueError\nraise E",
        Outcome.ERROR,
    ),
    "keyboard interrupt": ("raise KeyboardInterrupt", Outcome.ERROR),
    "a pytest skip": ("import unittest; raise unittest.SkipTest('skip me')", Outcome.ERROR),
}


@pytest.mark.parametrize(("body", "outcome"), ENDINGS.values(), ids=ENDINGS.keys())
def test_endings_have_their_outcome_and_the_next_task_goes_on(body: str, outcome: Outcome) -> None:
    report = examine(with_body("layers", "relu", body), tasks=["relu", "elu"], limits=QUICK, hidden=True)
    first = checks_of(report, "relu")[0]
    assert first.outcome is outcome, first.message
    assert earned(report) == {"relu": 0, "elu": 1}


# what does not end, and the lines that a student is told of
STUCK = {
    "a loop in a function of its own": (
        "def inner():\n    while True:\n        try: x.sum()\n        except BaseException: pass\ninner()",
        r"student/layers\.py, line \d+, in relu\n    inner\(\)\n"
        r"student/layers\.py, line \d+, in inner\n    (while True:|try: x\.sum\(\)|except BaseException: pass)",
    ),
    "a wait": ("import time; time.sleep(60)", r"student/layers\.py, line \d+, in relu\n    import time; time\.sleep\(60\)"),
    "a regular expression": (
        "import re; re.match('(a+)+b', 'a' * 40)",
        r"student/layers\.py, line \d+, in relu\n    import re; re\.match\('\(a\+\)\+b', 'a' \* 40\)",
    ),
    "deep recursion": (
        "def inner(n):\n    if n: inner(n - 1)\n    while True: pass\ninner(500)",
        r"(student/layers\.py, line \d+, in inner\n    if n: inner\(n - 1\)\n){11}"
        r"student/layers\.py, line \d+, in inner\n    while True: pass",
    ),
    "the question ignored": ("import signal; signal.signal(signal.SIGUSR1, signal.SIG_IGN)\nwhile True: pass", ""),
    "the question deadly": ("import signal; signal.signal(signal.SIGUSR1, signal.SIG_DFL)\nwhile True: pass", ""),
    "the question an exception": (
        "import signal; signal.signal(signal.SIGUSR1, lambda *_: 1 / 0)\nwhile True: pass", "",
    ),
    "the question answered with rubbish": (
        "import os, signal\n"
        "signal.signal(signal.SIGUSR1, lambda *_: [os.write(fd, bytes(99)) for fd in range(3, 9)])\nwhile True: pass",
        "",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("body", "lines"), STUCK.values(), ids=STUCK.keys())
def test_a_time_out_names_the_lines_that_ran(body: str, lines: str) -> None:
    report = examine(with_body("layers", "relu", body), tasks=["relu"], limits=SOON)
    (check,) = checks_of(report, "relu")
    assert check.outcome is Outcome.TIMEOUT
    assert re.fullmatch(lines, check.location)


HELD = 300 << 20  # bytes that some code holds for a moment
MEMORY = {
    "nothing": "",
    "freed before it returned": "x = x + 0 * torch.ones(HELD // 4)[0]",
    "when it was killed": "kept = torch.ones(HELD // 4); import os; os.kill(os.getpid(), 9)",
}


@pytest.mark.parametrize("line", MEMORY.values(), ids=MEMORY.keys())
def test_the_memory_that_a_submission_took_is_told_whichever_worker_took_it(line: str) -> None:
    body = f"{line}\nreturn x.clamp(min=0)".replace("HELD", str(HELD))
    report = examine(with_body("layers", "relu", body), tasks=["relu", "Invert"], limits=QUICK)
    assert HELD * bool(line) < report.memory < HELD * bool(line) + (100 << 20)


RESULTS = {
    "a tensor that is always equal": """
class Yes(torch.Tensor):
    def __eq__(self, other): return torch.ones(1).bool()
    def allclose(self, *a, **k): return True
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return torch.ones(1)
return x.as_subclass(Yes)
""",
    "an object that is always equal": """
class Yes:
    def __eq__(self, other): return True
    def __getattr__(self, name): return self
    def __call__(self, *a, **k): return self
return Yes()
""",
    "a string": "return 'passed'",
    "NaN": "return x * float('nan')",
    "None": "return None",
    "0-d": "return x.sum()",
    "empty": "return x[:0]",
    "float64": "return x.clamp(min=0).double()",
    "an int": "return 3",
    "a numpy array": "return x.clamp(min=0).numpy()",
    "a list": "return x.clamp(min=0).tolist()",
    "on the meta device": "return x.to('meta')",
    "sparse": "return x.clamp(min=0).to_sparse()",
    "complex": "return x.clamp(min=0) * (1 + 0j)",
    "stride 0 and huge": "return x.sum().expand(10 ** 9)",
    "a list that holds itself": "l = []; l.append(l); return l",
    "a dict with odd keys": "return {(1, 2): 3}",
    "a huge int": "return 10 ** 5000",
    "a generator": "return (v for v in x)",
    "a bool tensor": "return x > 0",
    "half": "return x.clamp(min=0).half()",
}


@pytest.mark.parametrize("body", RESULTS.values(), ids=RESULTS.keys())
def test_odd_results_fail_with_a_message(body: str) -> None:
    report = examine(with_body("layers", "relu", body), tasks=["relu"], limits=QUICK)
    (check,) = checks_of(report, "relu")
    assert check.outcome in (Outcome.FAILED, Outcome.ERROR)
    assert "kit" not in check.message
    assert check.message


FORGED = {
    "a frame sent ahead": "os.write(fd, b'LN5\\x01' + bytes(8) + b'\\0\\0\\0\\x1e\\0\\0\\0\\0' + b'{\"type\":\"returned\",\"value\":1}')",
    "rubbish": "os.write(fd, b'x' * 100)",
    "a frame over the cap": "os.write(fd, b'LN5\\x01' + bytes(8) + b'\\xff' * 8)",
    "half a frame": "os.write(fd, b'LN5\\x01' + bytes(8) + b'\\0\\0\\0\\xff\\0\\0\\0\\0' + b'{'); import time; time.sleep(9)",
}


@pytest.mark.parametrize("write", FORGED.values(), ids=FORGED.keys())
def test_forged_answers_are_not_believed(write: str) -> None:
    body = f"""
import os, stat
for fd in range(3, 64):
    try:
        if stat.S_ISSOCK(os.fstat(fd).st_mode):
            {write}
    except OSError:
        pass
return x.clamp(min=0)
"""
    report = examine(with_body("layers", "relu", body), tasks=["relu", "elu"], limits=QUICK, hidden=True)
    assert checks_of(report, "relu")[0].outcome in (Outcome.CRASHED, Outcome.TIMEOUT)
    assert earned(report) == {"relu": 0, "elu": 1}


STATES = {
    "default dtype": "torch.set_default_dtype(torch.float64)",
    "grad mode": "torch.set_grad_enabled(False)",
    "random generator": "torch.manual_seed(1)",
    "threads": "torch.set_num_threads(3)",
    "anomaly mode": "torch.autograd.set_detect_anomaly(True)",
    "deterministic algorithms": "torch.use_deterministic_algorithms(True)",
    "a patched operation": "torch.Tensor.sum = lambda *a, **k: 0 / 0",
    "a global of the module": "globals()['elu'] = globals()['linear'] = None",
}


@pytest.mark.parametrize("state", STATES.values(), ids=STATES.keys())
def test_what_one_task_leaves_behind_is_not_there_for_the_next(state: str) -> None:
    report = examine(
        with_body("layers", "relu", f"{state}\nreturn x.clamp(min=0)"), hidden=True, tasks=LAYERS
    )
    others = {name: points for name, points in earned(report).items() if name != "relu"}
    assert others == {name: FULL[name] for name in LAYERS if name != "relu"}


def test_an_import_that_raises_costs_its_module_only() -> None:
    report = examine(with_body("layers", "relu", "return x", "raise RuntimeError('at import')"), hidden=True)
    assert {name: earned(report)[name] for name in ("Invert", "mean_and_std", "with_negatives")} == {
        "Invert": 5, "mean_and_std": 5, "with_negatives": 5
    }  # fmt: skip
    first = checks_of(report, "conv2d")[0]
    assert first.outcome is Outcome.ERROR
    assert "at import" in first.message
    assert "student/layers.py, line 1" in first.location


def test_an_import_that_hangs_is_waited_for_once() -> None:
    start = time.monotonic()
    report = examine(
        with_body("layers", "relu", "return x", "while True: pass"), limits=QUICK, tasks=LAYERS, hidden=True
    )
    assert {check.outcome for task in report.tasks for check in task.checks} == {
        Outcome.TIMEOUT,
        Outcome.SKIPPED,
    }
    assert time.monotonic() - start < 3 * QUICK.load
    assert (
        checks_of(report, "conv2d")[0].location
        == "student/layers.py, line 1, in <module>\n    while True: pass"
    )


def test_the_budget_of_a_submission_ends_it() -> None:
    from grader.limits import Limits

    slow = with_body("layers", "relu", "import time; time.sleep(0.5)\nreturn x.clamp(min=0)")
    report = examine(slow, tasks=["relu", "elu"], limits=Limits(submission=0.8), hidden=True)
    assert checks_of(report, "elu")[0].outcome is Outcome.TIMEOUT
    assert "used up" in checks_of(report, "elu")[0].message


def test_output_is_drained_and_capped() -> None:
    loud = with_body("layers", "relu", "print('spam ' * 1000000)\nreturn x.clamp(min=0)")
    report = examine(loud, tasks=["relu"], limits=QUICK)
    assert earned(report)["relu"] == 0.5
    assert 1000 < len(report.output) <= 64_000


def test_no_process_is_left_behind(tmp_path: Path) -> None:
    mark = tmp_path / "pids"
    daemon = f"""
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open({str(mark)!r}, "w").write(str(os.getpid()))
        time.sleep(60)
    os._exit(0)
for _ in range(200):
    time.sleep(0.01)
    if os.path.exists({str(mark)!r}): break
return x.clamp(min=0)
"""
    with isolated("D"):  # at a better level no process can be started
        examine(with_body("layers", "relu", daemon), tasks=["relu", "elu"], limits=QUICK)
    pid = int(mark.read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_files_that_a_submission_may_write_are_small(tmp_path: Path) -> None:
    target = tmp_path / "big"
    body = f"open({str(target)!r}, 'wb').write(bytes(10 ** 8))\nreturn x.clamp(min=0)"
    with isolated("D"):  # at a better level none can be written
        report = examine(with_body("layers", "relu", body), tasks=["relu"], limits=QUICK)
    assert checks_of(report, "relu")[0].outcome is Outcome.ERROR
    assert not target.exists() or target.stat().st_size <= 1_000_000


def test_hidden_seeds_depend_on_student_and_secret() -> None:
    from grader.checking import seed_of

    assert seed_of("public/relu/values", "ann", b"1") == seed_of("public/relu/values", "bob", b"2")
    hidden = {
        seed_of("hidden/relu/gradients", who, secret) for who in ("ann", "bob") for secret in (b"1", b"2")
    }
    assert len(hidden) == 4


def test_a_spawned_worker_gives_the_same_outcomes() -> None:
    """macOS and Windows have no fork server: the same checks through a spawned worker, reset between tasks."""
    with isolated("D", method="spawn"):
        state = with_body("layers", "relu", "torch.set_default_dtype(torch.float64)\nreturn F.relu(x)")
        report = examine(state, tasks=["relu", "elu", "softmax", "Invert"], hidden=True)
        crash = examine(with_body("layers", "relu", "import os; os._exit(3)"), tasks=["relu", "elu"])
        stuck = examine(with_body("layers", "relu", "while True: pass"), tasks=["relu"], limits=SOON)
    assert earned(report) == {"relu": 0, "elu": 1, "softmax": 2, "Invert": 5}
    assert checks_of(report, "relu")[0].outcome is Outcome.FORBIDDEN
    assert checks_of(crash, "relu")[0].outcome is Outcome.CRASHED
    assert earned(crash)["elu"] == 0.5
    assert checks_of(stuck, "relu")[0].outcome is Outcome.TIMEOUT
    assert "while True: pass" in checks_of(stuck, "relu")[0].location or sys.platform == "win32"


def test_the_fork_server_is_replaced_when_it_dies() -> None:
    from grader import examine as module

    server = module.prepare().workers()
    examine(Submission("s", solution_files()), tasks=["relu"])
    server._process.kill()
    server._process.wait()
    report = examine(Submission("s", solution_files()), tasks=["relu"])
    assert earned(report)["relu"] == 0.5


def test_finished_operations_that_run_at_import_or_in_another_task_do_not_count() -> None:
    report = examine(
        changed(
            "layers",
            ("import math\n", "import math\n\nimport torch.nn.functional as G\nG.relu(G.torch.ones(1))\n"),
        ),
        tasks=["relu"],
    )
    assert earned(report)["relu"] == 0.5


LEFT_BEHIND = {
    "nothing": ("", "", True),
    "a wrong answer": ("", "x = -x", True),
    "an exception": ("", "raise ValueError", True),
    "a setting": ("", "torch.set_default_dtype(torch.float64); x = x.float()", False),
    "a patch": ("", "torch.Tensor.sum = torch.Tensor.mean", False),
    "a global": ("", "globals()['seen'] = 1", False),
    "a module with a list": ("seen = []", "", False),
    "a default that can change": ("def helper(x, seen=[]): return x", "", False),
    "a thread": (
        "",
        "import threading, time; threading.Thread(target=time.sleep, args=(9,), daemon=True).start()",
        False,
    ),
}


@pytest.mark.parametrize(("preamble", "line", "goes_on"), LEFT_BEHIND.values(), ids=LEFT_BEHIND.keys())
def test_a_worker_goes_on_only_where_nothing_is_left_behind(preamble: str, line: str, goes_on: bool) -> None:
    tell = "import os as system; print('pid', system.getpid())\n"
    files = dict(with_body("layers", "relu", f"{tell}{line}\nreturn x.clamp(min=0)", preamble).files)
    text = files["layers.py"].decode()
    assert "    return torch.where(x > 0, x, negative_slope * x)" in text
    tell = "import os as system; print('pid', system.getpid()); "
    text = text.replace("    return torch.where(x > 0, x, neg", f"    {tell}return torch.where(x > 0, x, neg")
    report = examine(
        Submission("s", {**files, "layers.py": text.encode()}), tasks=["relu", "leaky_relu"], limits=QUICK
    )
    assert earned(report)["leaky_relu"] == 0.5
    assert (len(set(report.output.split("pid")[1:])) == 1) is goes_on


# `relu` leaves something behind; does the worker go on to `Invert`, which is in another module?
LEFT_FOR_ANOTHER_MODULE = {
    "nothing": ("", "", True),
    "state of its own module": ("seen = []", "seen.append(x)", True),
    "a setting": ("", "torch.set_default_dtype(torch.float64); x = x.float()", False),
    "a default device": ("", "torch.set_default_device('meta'); x = x.cpu()", False),
    "inference mode": ("mode = torch.autograd.grad_mode._enter_inference_mode(True)", "", False),
    "a setting at import": ("torch.autograd.set_detect_anomaly(True)", "", False),
    "a method of a layer": ("torch.nn.Linear.forward = lambda self, x: x", "", False),
    "a hook on every layer": ("", "torch.nn.modules.module.register_module_forward_hook(print)", False),
    "a patch of Python": ("import math as m; m.exp = len", "", False),
    "a path": ("import sys; sys.path.append('/tmp')", "", False),
    "a filter": ("import warnings; warnings.simplefilter('error')", "", False),
    "a variable": ("import os; os.environ['OMP_NUM_THREADS'] = '7'", "", False),
    "a stream": ("", "import sys, io; sys.stdout.flush(); sys.stdin = io.StringIO()", False),
    "much memory": ("", "x = x + 0 * torch.ones(150_000_000).sum()", False),
}


@pytest.mark.parametrize(
    ("preamble", "line", "goes_on"), LEFT_FOR_ANOTHER_MODULE.values(), ids=LEFT_FOR_ANOTHER_MODULE.keys()
)
def test_a_worker_goes_on_to_another_module_only_where_nothing_is_left_behind(
    preamble: str, line: str, goes_on: bool
) -> None:
    tell = "import os as system; print('pid', system.getpid())"
    preamble = f"import torch; {preamble}" if preamble else ""
    files = dict(with_body("layers", "relu", f"{tell}\n{line}\nreturn x.clamp(min=0)", preamble).files)
    transforms = files["transforms.py"].decode()
    assert "return 1 - image" in transforms
    files["transforms.py"] = transforms.replace("return 1 - image", f"{tell}; return 1 - image").encode()
    report = examine(Submission("s", files), tasks=["relu", "Invert"], limits=QUICK)
    assert [c.outcome for c in checks_of(report, "Invert")] == [Outcome.PASSED] * 3
    assert (len(set(report.output.split("pid")[1:])) == 1) is goes_on


def test_the_ban_on_inversions_ends_with_its_task() -> None:
    """Pillow's function is trapped in `Invert`, and works again in the next task of the same worker."""
    body = """
        import PIL.Image, PIL.ImageOps
        PIL.ImageOps.invert(PIL.Image.new("L", (2, 2)))
"""
    text = solution_files()["transforms.py"].decode()
    start = text.index("### BEGIN SOLUTION", text.index("def mean_and_std("))
    files = {
        **solution_files(),
        "transforms.py": f"{text[:start]}{body.replace('        ', '    ')}    {text[start:]}".encode(),
    }
    report = examine(Submission("s", files), tasks=["Invert", "mean_and_std"], limits=QUICK)
    assert {c.outcome for c in checks_of(report, "mean_and_std")} == {Outcome.PASSED}


def test_what_a_task_imports_is_told_for_it_alone() -> None:
    """`--watch` goes by this: one worker for all tasks, and yet no file of another task's module."""
    report = examine(Submission("s", solution_files()), tasks=["relu", "LeNet5", "Invert"])
    assert set(report.loaded["relu"]) == {"__init__.py", "layers.py"}
    assert set(report.loaded["LeNet5"]) == {"__init__.py", "layers.py", "lenet.py"}
    assert set(report.loaded["Invert"]) == {"__init__.py", "transforms.py"}


def test_determinism_is_asked_for_in_no_time_and_compiling_still_gets_the_compiler() -> None:
    code = (
        "import sys\nfrom grader.worker.torch_setup import import_torch\ntorch = import_torch()\n"
        "torch.use_deterministic_algorithms(True)\n"
        "assert torch.are_deterministic_algorithms_enabled()\n"
        "assert not hasattr(sys.modules['torch._inductor'], '__file__')\n"
        "import torch._inductor.utils\n"
        "assert torch._inductor.config.deterministic and torch._inductor.config.__file__\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
