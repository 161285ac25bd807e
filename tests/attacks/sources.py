"""Odd sources: encodings, null bytes, sizes, depths, and names that shadow."""

from attacks.attack import ORDINARY, SOLUTIONS, Attack, raw
from grader.outcomes import Outcome

CRASHED, ERROR, FAILED, PASSED, MEMORY, MISSING, TIMEOUT = (
    Outcome.CRASHED, Outcome.ERROR, Outcome.FAILED, Outcome.PASSED, Outcome.MEMORY, Outcome.MISSING, Outcome.TIMEOUT
)  # fmt: skip
_TEXT = SOLUTIONS["layers.py"].decode()
_TASKS = ("relu", "elu", "Invert")
_BROKEN = {"relu": ERROR, "elu": ERROR}
_DEEP = {"relu": (ERROR, MEMORY, CRASHED, PASSED), "elu": (ERROR, MEMORY, CRASHED, PASSED)}


def layers(name: str, tries: str, text: str | bytes, **more: object) -> Attack:
    """The whole of `layers.py`."""
    return raw(name, tries, {"layers.py": text}, **more)  # type: ignore[arg-type]


def beside(name: str, files: dict[str, str | bytes], **more: object) -> Attack:
    """Files beside honest ones."""
    more.setdefault("tasks", ("relu", "elu", "LeNet5", "train_epoch", "Invert"))
    return raw(name, "to stand in another module's place", files, **more)  # type: ignore[arg-type]


_EVIL = "raise SystemExit('shadowed')\n"

ATTACKS: list[Attack] = [
    layers("a utf-7 cookie", "to hide code in what looks like a comment",
           "# -*- coding: utf-7 -*-\n" + _TEXT + "\n# +AAo-import os; os._exit(0)\n", quick=True),
    layers("a cookie of an unknown encoding", "to break reading", "# coding: klingon\n" + _TEXT),
    layers("a cookie of rot13", "to hide code", "# coding: rot13\n" + _TEXT),
    layers("Latin-1", "to break reading", ("# coding: latin-1\n# caf\xe9\n" + _TEXT).encode("latin-1"), also=_BROKEN),
    layers("UTF-16", "to break reading", _TEXT.encode("utf-16"), also=_BROKEN),
    layers("UTF-8 with a mark", "to break reading", b"\xef\xbb\xbf" + _TEXT.encode()),
    layers("two marks", "to break reading", b"\xef\xbb\xbf" * 2 + _TEXT.encode(), also=_BROKEN),
    layers("null bytes", "to end the text early", _TEXT.replace("import math", "import math\0").encode(), also=_BROKEN, quick=True),
    layers("null bytes at the end", "to end the text early", _TEXT.encode() + b"\0" * 1000, also=_BROKEN),
    layers("line ends of old Macs", "to break reading", _TEXT.replace("\n", "\r").encode()),
    layers("odd line ends", "to show other lines than run", "# a\x0cb\x1cc\u2028d\u2029e\x85f\n" + _TEXT),
    layers("letters that turn around", "to show other code than runs", "access = 'user\u202e \u2066# only admins\u2069 \u2066'\n" + _TEXT),
    layers("letters that look alike", "to show other code than runs", _TEXT + "\ndef r\u0435lu(x): raise SystemExit\nclass \u212baelf: pass\n"),
    layers("100,000 lines", "to take the examiner's time", _TEXT + "\n" + "x = 1\n" * 100_000, limits=ORDINARY, quick=True),
    layers("100,000 functions", "to take the examiner's memory", _TEXT + "\n" + "".join(f"def f{i}(): pass\n" for i in range(60_000)),
           also={"relu": (PASSED, MEMORY), "elu": (PASSED, MEMORY)}),
    layers("one line of 1.9 MB", "to break reading", _TEXT + "\nx = '" + "a" * 1_900_000 + "'\n"),
    layers("a list of 400,000 numbers", "to break compiling", _TEXT + "\nx = [" + "1," * 400_000 + "]\n", also={"relu": (PASSED, MEMORY), "elu": (PASSED, MEMORY)}),
    layers("deep brackets", "to overflow the compiler's stack", _TEXT + "\nx = " + "(" * 10_000 + ")" * 10_000 + "\n", also={"relu": (ERROR, MEMORY), "elu": (ERROR, MEMORY)}, quick=True),
    layers("deep brackets within the parser's limit", "to overflow the compiler's stack", _TEXT + "\nx = " + "[" * 190 + "]" * 190 + "\n", also=_DEEP),
    layers("a sum of 100,000 terms", "to overflow the compiler's stack", _TEXT + "\nx = " + "1+" * 100_000 + "1\n", also=_DEEP),
    layers("a chain of 100,000 attributes", "to overflow the compiler's stack", _TEXT + "\ndef f(): return a" + ".a" * 100_000 + "\n", also=_DEEP),
    layers("100,000 minus signs", "to overflow the compiler's stack", _TEXT + "\nx = " + "-" * 100_000 + "1\n", also=_DEEP),
    layers("100,000 times not", "to overflow the compiler's stack", _TEXT + "\nx = " + "not " * 100_000 + "1\n", also=_DEEP),
    layers("a chain of 50,000 calls", "to overflow the compiler's stack", _TEXT + "\ndef f(): return g" + "()" * 50_000 + "\n", also=_DEEP),
    layers("lambdas in lambdas", "to overflow the compiler's stack", _TEXT + "\nx = " + "lambda: " * 20_000 + "1\n", also=_DEEP),
    layers("5,000 branches", "to overflow the compiler's stack", _TEXT + "\nif 0: pass\n" + "elif 0: pass\n" * 5_000, also=_DEEP),
    layers("a format of formats", "to overflow the compiler's stack", _TEXT + "\nx = f'" + "{1:" * 300 + "}" * 300 + "'\n", also=_DEEP),
    layers("90 folds of indentation", "to break the parser", _TEXT + "\n" + "".join(" " * i + "if 1:\n" for i in range(99)) + " " * 99 + "pass\n", also=_DEEP),
    layers("a number of 100,000 digits", "to take the compiler's time", _TEXT + "\nx = " + "9" * 100_000 + "\n", also=_BROKEN),
    layers("a power computed when compiling", "to take the compiler's time", _TEXT + "\nx = 2 ** 128 ** 2 ** 5 if 0 else 1\ny = 'a' * 10 ** 9 if 0 else 1\n"),
    layers("no syntax", "to break reading", "def relu(x:\n", also=_BROKEN),
    layers("nothing", "to break reading", "", also={"relu": MISSING, "elu": MISSING}),
    layers("only bytes", "to break reading", bytes(range(256)) * 100, also=_BROKEN),
    layers("a program for another interpreter", "to be run", "#!/bin/sh\nexec rm -rf /\n", also=_BROKEN),
    layers("compiled Python", "to run without being read", b"\xa7\r\r\n" + bytes(100), also=_BROKEN),
    layers("braces", "to break reading", "from __future__ import braces\n" + _TEXT, also=_BROKEN),
    layers("a coroutine for a function", "to break the call", _TEXT.replace("def relu(", "async def relu("), also={"relu": (FAILED, ERROR)}),
    layers("a generator for a function", "to break the call", _TEXT.replace("    return x.clamp(min=0)", "    yield x.clamp(min=0)"), also={"relu": (FAILED, ERROR)}),
    layers("a class for a function", "to break the call", _TEXT + "\nclass relu: pass\n", also={"relu": (FAILED, ERROR)}),
    layers("a number for a function", "to break the call", _TEXT + "\nrelu = 3\n", also={"relu": ERROR}),
    layers("a function deleted", "to break the call", _TEXT + "\ndel relu, elu\n", also={"relu": MISSING, "elu": MISSING}),
    layers("names by __getattr__", "to be there without being there", _TEXT + "\ndel relu\ndef __getattr__(name): return lambda *a, **k: True\n", also={"relu": (FAILED, ERROR)}),
    layers("a module that is an object", "to be there without being there", """
import sys
class Module:
    def __getattr__(self, name): return lambda *a, **k: True
sys.modules[__name__] = Module()
""", also={"relu": (FAILED, ERROR, CRASHED), "elu": (FAILED, ERROR, CRASHED)}),
    layers("a module that is removed", "to break importing", _TEXT + "\nimport sys\nfor n in list(sys.modules):\n    if n.startswith('student') or n == 'layers': del sys.modules[n]\n",
           also={"relu": (ERROR, PASSED), "elu": (ERROR, PASSED)}),
    layers("a module whose name is a number", "to break importing", _TEXT + "\n__name__ = 3; __file__ = None; __spec__ = 5; __loader__ = 'x'; __dict__ = 3\n"),
    layers("an import of itself", "to import for ever", "from student import layers as a\nimport layers as b\nfrom . import layers as c\n" + _TEXT),
    layers("imports in a circle", "to import for ever", "from .lenet import LeNet5\n" + _TEXT, also=_BROKEN),
    layers("imports from above", "to import what is above", "from ... import grader\n" + _TEXT, also=_BROKEN),
    layers("everything of os", "to shadow names", "from os import *\nfrom math import *\n" + _TEXT),
    beside("torch.py", {"torch.py": _EVIL, "torch/__init__.py": _EVIL}, quick=True),
    beside("modules of the standard library", {f"{name}.py": _EVIL for name in (
        "json", "random", "math", "os", "sys", "struct", "socket", "typing", "types", "linecache", "warnings", "pickle", "site", "usercustomize",
        "sitecustomize", "encodings", "codecs", "io", "abc", "builtins", "collections", "functools", "importlib", "contextlib", "dataclasses")}, quick=True),
    beside("modules of the kit and its libraries", {f"{name}.py": _EVIL for name in (
        "numpy", "msgspec", "pytest", "grader", "solutions", "datasets", "conftest", "torchvision", "_pytest", "sitecustomize")}),
    beside("the kit as a folder", {"grader/__init__.py": _EVIL, "grader/worker/__init__.py": _EVIL, "grader/worker/wire.py": _EVIL, "grader/compare.py": _EVIL}),
    beside("student in student", {"student/__init__.py": _EVIL, "student/layers.py": _EVIL, "student/student/layers.py": _EVIL}),
    beside("a package of a module's name", {"lenet/__init__.py": "from student.layers import *\n" + _EVIL}, also={"LeNet5": (ERROR, PASSED)}),
    beside("compiled files", {"__pycache__/layers.cpython-311.pyc": b"\xa7\r\r\n" + bytes(50), "layers.pyc": b"x", "layers.so": b"\x7fELF", "layers.pth": b"import os"}),
    beside("configuration", {"conftest.py": _EVIL, "pytest.ini": "[pytest]\naddopts = -x", "pyproject.toml": "[tool.pytest.ini_options]\n", "setup.py": _EVIL, ".env": "X=1"}),
    beside("odd names", {"\n.py": _EVIL, "a\0b.py": _EVIL, "<script>.py": _EVIL, "\x1b[2J.py": _EVIL, "\udce9.py": _EVIL, "\u202egnp.py": _EVIL, " .py": _EVIL, ".py": _EVIL}),
    beside("paths that lead out", {"../layers.py": _EVIL, "/etc/passwd.py": _EVIL, "..\\layers.py": _EVIL, "C:/layers.py": _EVIL, "": _EVIL, "a//b.py": _EVIL}),
    beside("a name of 10,000 letters", {"a" * 10_000 + ".py": _EVIL, "/".join("d" * 2_000) + ".py": _EVIL}),
    beside("a thousand files", {f"m{i}.py": "" for i in range(1000)}),
    beside("a first file that raises", {"__init__.py": _EVIL}, also=dict.fromkeys(("relu", "elu", "LeNet5", "train_epoch", "Invert"), ERROR)),
    beside("a first file that replaces its modules", {"__init__.py": "import sys, types\nm = types.ModuleType('student.layers')\nm.relu = lambda x: True\nsys.modules['student.layers'] = m\n"},
           also=dict.fromkeys(("relu", "elu", "LeNet5", "train_epoch"), (FAILED, ERROR, PASSED, MISSING)), most=dict.fromkeys(("relu", "elu"), 0.0)),
    beside("data that looks like the channel", {"LN5\x01.py": b"LN5\x01" * 1000}),
]  # fmt: skip
