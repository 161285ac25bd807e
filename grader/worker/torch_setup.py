"""Import torch without what neither checks nor homework need.

The first optimizer step of a process imports `torch._dynamo`, 800 modules and seconds of work, only
to mark a graph break for a compiler that is not running; `torch.use_deterministic_algorithms` imports as
much of `torch._inductor` to tell it. Stand-ins answer that; whoever really compiles (any other attribute)
gets the real modules.
"""

import functools
import importlib
import sys
from types import ModuleType
from typing import Any

from grader.worker.when_needed import WhenNeeded


class _Dynamo(WhenNeeded):
    """`torch._dynamo`."""

    @staticmethod
    def graph_break(*args: Any, **kwargs: Any) -> None:
        """Nothing is being compiled, so there is no graph to break."""

    @staticmethod
    def disable(fn: Any = None, recursive: bool = True, **kwargs: Any) -> Any:
        """Nothing is being compiled, so a function that opts out stays as it is."""
        return (lambda function: function) if fn is None else fn


class _Inductor(WhenNeeded):
    """`torch._inductor`, whose `config` hears of `torch.use_deterministic_algorithms`."""

    def __init__(self, name: str):
        super().__init__(name)
        self.config = ModuleType(f"{name}.config")
        self.config.deterministic = False  # type: ignore[attr-defined]
        sys.modules[self.config.__name__] = self.config

    def make_way(self) -> None:
        super().make_way()
        del sys.modules[self.config.__name__]
        real: Any = importlib.import_module(self.config.__name__)
        real.deterministic = self.config.deterministic


def load_without_workers() -> None:
    """Let every DataLoader load in its own process: in a sandbox it can start no other."""
    from torch.utils.data import DataLoader

    original = DataLoader.__init__

    @functools.wraps(original)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        self.num_workers = self.timeout = 0

    DataLoader.__init__ = init  # type: ignore[method-assign]


def import_torch() -> ModuleType:
    """`torch` on one thread, with its compiler imported only when it is really used."""
    import torch

    for part, stand_in in (("_dynamo", _Dynamo), ("_inductor", _Inductor)):
        name = f"torch.{part}"
        if name not in sys.modules:
            sys.modules[name] = stand_in(name)
            setattr(torch, part, sys.modules[name])
    torch.set_num_threads(1)
    return torch
