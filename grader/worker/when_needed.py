"""Modules that are imported when they are really used: something imports them early, and seldom uses them."""

import importlib
import sys
from types import ModuleType
from typing import Any


class WhenNeeded(ModuleType):
    """Stands in `sys.modules` for a module, until something asks it for more than it has."""

    def __getattr__(self, name: str) -> Any:
        # `__path__` is asked for where a submodule is imported; other such names by imports and `inspect`
        if name.startswith("__") and name != "__path__":
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            self.make_way()
        return getattr(importlib.import_module(self.__name__), name)

    def make_way(self) -> None:
        """Leave the place to the real module."""
        del sys.modules[self.__name__]
