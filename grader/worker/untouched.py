"""Whether a task has left a worker as it found it, so that the next task of the submission can go on in it.

A fresh worker costs more than most tasks. So a worker goes on where nothing is left of the last task:
names of torch, Python and NumPy stand for what they stood for, torch's settings are the ordinary ones,
paths, streams and filters are as they were, no thread, no process and no timer is running, and neither much memory
nor much time was used. For another task of the same module, the submission's modules must be as their
import left them, and hold nothing in which a call could leave something; for a task of another module they
are imported anew. In doubt the answer is no. It is the worker's own answer: a student who forges it spoils
the ground for their own next task only.
"""

import builtins
import functools
import itertools
import math
import operator
import os
import random
import signal
import sys
import threading
import time
import types
import warnings
from collections.abc import Iterator
from typing import Any

from grader.worker.sources import SubmissionImporter
from grader.worker.torch_setup import import_torch
from grader.worker.versions import version_of

if sys.platform != "win32":
    import resource

torch = import_torch()
np = sys.modules["numpy"]  # which torch imports

MOST_SECONDS = 10.0  # of processor time in one worker, whose limit is meant for one task
MOST_GROWTH = 400_000  # kilobytes

_TORCH = (
    torch, torch.Tensor, torch.nn, torch.nn.functional, torch.nn.init, torch.autograd, torch.linalg, torch.optim,
    torch.Generator, torch.utils.data,
)  # fmt: skip
_PYTHON = (builtins, math, random, itertools, functools, operator, os, time, np)
_FIXED = (
    types.FunctionType, types.BuiltinFunctionType, types.ModuleType, types.GenericAlias, types.UnionType, type,
    type(None), bool, int, float, str, bytes, torch.dtype,
)  # fmt: skip


def remember() -> None:
    """Take note of what the watched names stand for: once, after all that torch sets up at its first use."""
    classes = [
        value
        for module in (torch.nn, torch.optim, torch.utils.data, torch.autograd)
        for value in vars(module).values()
        if isinstance(value, type)
    ]
    watched = dict.fromkeys((*_TORCH, *_PYTHON, sys.modules["grader.worker.probes"], *classes))
    _WATCHED[:] = map(_Watched, watched)


class _Watched:
    """A module or a class, and what its names stand for."""

    def __init__(self, holder: Any):
        self._names = vars(holder)
        self._before = dict(self._names)
        self._version = version_of(self._names)
        self._seen = self._look()

    def _look(self) -> int | None:
        return self._version.value if self._version is not None else None

    def holds(self) -> bool:
        """Do all names stand for the same objects now?"""
        seen = self._look()
        if seen is not None and seen == self._seen:
            return True
        # a module gets new names when something is imported; a class only when someone patches it
        if not _same(self._names, self._before) or (
            not isinstance(self._names, dict) and len(self._names) != len(self._before)
        ):
            return False
        self._seen = seen
        return True


_WATCHED: list[_Watched] = []


class Untouched:
    """Made before the submission's first import, told of each import; `holds` after a task."""

    def __init__(self, importer: SubmissionImporter):
        self._importer = importer
        self._first = _surroundings()
        self._memory, self._seconds = _memory(), time.process_time()

    def imported(self) -> None:
        """The task's module, and what it imports, are loaded now."""
        self._surroundings = _surroundings()
        self._modules = [(module, dict(vars(module))) for module in self._importer.modules()]
        self._fixed = all(_is_fixed(value) for _, names in self._modules for value in _own(names))

    def holds(self) -> bool:
        """Can another task of the module go on?"""
        return (
            self._fixed
            and self._importer.modules() == [module for module, _ in self._modules]
            and all(
                _same(vars(module), names) and len(vars(module)) == len(names)
                for module, names in self._modules
            )
            and self._surroundings == _surroundings()
            and self._ordinary()
        )

    def holds_but_for_modules(self) -> bool:
        """Can a task of another module go on, once the submission's modules are imported anew?"""
        return self._first == _surroundings() and self._ordinary()

    def _ordinary(self) -> bool:
        return (
            bool(_WATCHED)
            and all(watched.holds() for watched in _WATCHED)
            and _ordinary_settings()
            and threading.active_count() == 1
            and _no_children()
            and _no_timer()
            and time.process_time() - self._seconds < MOST_SECONDS
            and _memory() - self._memory < MOST_GROWTH
        )


def _same(now: Any, before: dict[str, Any]) -> bool:
    """Do all names of `before` stand for the same objects now? New ones come after them."""
    return len(now) >= len(before) and all(map(operator.is_, now.values(), before.values()))


def _surroundings() -> tuple[Any, ...]:
    """What of this process is not torch's and can be compared."""
    return (
        list(sys.path), list(sys.meta_path), list(warnings.filters), dict(os.environ), os.getcwd(),
        sys.stdin, sys.stdout, sys.stderr, sys.gettrace(), sys.getprofile(), sys.getrecursionlimit(),
    )  # fmt: skip


def _memory() -> int:
    """The most memory that this process has had at a time, in kilobytes; 0 where that is not to be had."""
    if sys.platform == "win32":
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most // 1024 if sys.platform == "darwin" else most


def _own(names: dict[str, Any]) -> Iterator[Any]:
    return (value for name, value in names.items() if not (name.startswith("__") and name.endswith("__")))


def _is_fixed(value: Any) -> bool:
    """Can a call leave nothing in it? In doubt, no."""
    if type(value).__module__ in ("typing", "__future__", "collections.abc"):
        return True
    if isinstance(value, types.FunctionType) and value.__module__.startswith("student"):
        kept = (value.__defaults__ or ()) + tuple((value.__kwdefaults__ or {}).values())
        kept += tuple(cell.cell_contents for cell in value.__closure__ or ())
        return not vars(value) and all(isinstance(item, _FIXED) for item in kept)
    return isinstance(value, _FIXED) or (isinstance(value, tuple) and all(map(_is_fixed, value)))


def _ordinary_settings() -> bool:
    return (
        torch.get_default_dtype() is torch.float32
        and torch.is_grad_enabled()
        and not torch.is_inference_mode_enabled()
        and not torch.is_anomaly_enabled()
        and not torch.are_deterministic_algorithms_enabled()
        and not torch.is_autocast_enabled("cpu")
        and torch._C._len_torch_function_stack()
        == torch._C._len_torch_dispatch_stack()
        == 0  # default device
        and torch.get_float32_matmul_precision() == "highest"
        and not torch.nn.modules.module._has_any_global_hook()
        and torch.get_num_threads() == 1
    )


def _no_timer() -> bool:
    """Is no signal to come, as from `signal.alarm`?"""
    return sys.platform == "win32" or not any(
        signal.getitimer(timer)[0]
        for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
    )


def _no_children() -> bool:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return True
    return False
