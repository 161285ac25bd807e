"""Import torch without what neither checks nor homework need.

The first optimizer step of a process imports `torch._dynamo`, 800 modules and seconds of work, only
to mark a graph break for a compiler that is not running. A stand-in answers that call; whoever really
compiles (any other attribute) gets the real module.
"""

import functools
import importlib
import sys
from types import ModuleType
from typing import Any


class _DynamoWhenNeeded(ModuleType):
    """`torch._dynamo` until something asks it for more than a graph break."""

    @staticmethod
    def graph_break(*args: Any, **kwargs: Any) -> None:
        """Nothing is being compiled, so there is no graph to break."""

    @staticmethod
    def disable(fn: Any = None, recursive: bool = True, **kwargs: Any) -> Any:
        """Nothing is being compiled, so a function that opts out stays as it is."""
        return (lambda function: function) if fn is None else fn

    def __getattr__(self, name: str) -> Any:
        # `__path__` is asked for where a submodule is imported; other such names by `inspect` and its like
        if name.startswith("__") and name != "__path__":
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


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
    """`torch` on one thread, with `torch._dynamo` imported only when it is really used."""
    import torch

    if "torch._dynamo" not in sys.modules:
        stand_in = _DynamoWhenNeeded("torch._dynamo")
        sys.modules["torch._dynamo"] = stand_in
        torch._dynamo = stand_in  # type: ignore[assignment]
    torch.set_num_threads(1)
    return torch
