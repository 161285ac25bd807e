"""Whether a task has left a worker as it found it, so that the next task of the module can go on in it.

A fresh worker costs more than most tasks. So a worker goes on where nothing is left of the last task: names of torch, Python and the submission's modules stand for what they stood
for, torch's settings are the ordinary ones, no thread and no process is running, and the modules hold
nothing in which a call could leave something. In doubt the answer is no. It is the worker's own answer:
a student who forges it spoils the ground for their own next task only.
"""

import builtins
import os
import sys
import threading
import types
from collections.abc import Iterable
from typing import Any

from grader.worker.torch_setup import import_torch

torch = import_torch()

_WATCHED = (
    torch, torch.Tensor, torch.nn, torch.nn.functional, torch.nn.Module, torch.autograd, torch.linalg, torch.optim,
    torch.optim.Adam, torch.optim.SGD, torch.optim.Optimizer, torch.Generator, builtins, sys.modules["grader.worker.probes"],
)  # fmt: skip
_NAMES: list[tuple[Any, dict[str, Any]]] = []
_FIXED = (
    types.FunctionType, types.BuiltinFunctionType, types.ModuleType, types.GenericAlias, types.UnionType, type,
    type(None), bool, int, float, str, bytes, torch.dtype,
)  # fmt: skip


def remember() -> None:
    """Take note of what the watched names stand for: once, after all that torch sets up at its first use."""
    _NAMES[:] = [(holder, dict(vars(holder))) for holder in _WATCHED]


class Untouched:
    """Taken after the submission's import; `holds` tells whether all is still as it was then."""

    def __init__(self, modules: Iterable[types.ModuleType]):
        self._modules = [(module, dict(vars(module))) for module in modules]
        self._paths = list(sys.path), list(sys.meta_path)
        self._fixed = all(_is_fixed(value) for _, names in self._modules for value in _own(names))

    def holds(self) -> bool:
        return (
            self._fixed
            and bool(_NAMES)
            and all(
                _same(vars(module), names) and len(vars(module)) == len(names)
                for module, names in self._modules
            )
            # a module gets new names when something is imported; a class only when someone patches it
            and all(_same(vars(holder), names) for holder, names in _NAMES)
            and all(len(vars(holder)) == len(names) for holder, names in _NAMES if isinstance(holder, type))
            and self._paths == (list(sys.path), list(sys.meta_path))
            and _ordinary_settings()
            and threading.active_count() == 1
            and _no_children()
        )


def _same(now: Any, before: dict[str, Any]) -> bool:
    return all(now.get(name) is value for name, value in before.items())


def _own(names: dict[str, Any]) -> Iterable[Any]:
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
        and not torch.is_anomaly_enabled()
        and not torch.are_deterministic_algorithms_enabled()
        and torch.get_num_threads() == 1
    )


def _no_children() -> bool:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return True
    return False
