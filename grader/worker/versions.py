"""Has a dict changed? CPython counts the changes of all dicts up to 3.13 (PEP 509), so that one look tells.

To look at a dict's values instead counts references to them. In a forked process that copies the memory page of each
value, which costs more than a small task's own work.
"""

import ctypes
import functools
import gc
import sys
from collections.abc import Mapping
from typing import Any

# in PyDictObject: after the count of references, the type and the number of items
_PLACE = 3 * ctypes.sizeof(ctypes.c_void_p)


def version_of(names: Mapping[str, Any]) -> ctypes.c_uint64 | None:
    """The version of a module's or a class's `vars()`: its `value` is another one after each change.

    None where Python does not count. Valid as long as the module or class lives.
    """
    if not _is_counted():
        return None
    held = (
        names if isinstance(names, dict) else gc.get_referents(names)[0]
    )  # a class shows its dict through a proxy
    return ctypes.c_uint64.from_address(id(held) + _PLACE)


@functools.cache
def _is_counted() -> bool:
    if sys.implementation.name != "cpython":
        return False
    tried: dict[str, Any] = {"a": 1}
    version = ctypes.c_uint64.from_address(id(tried) + _PLACE)
    seen = [version.value]
    for change in (
        lambda: tried.update(b=1), lambda: tried.update(b=2), lambda: tried.pop("a"), lambda: tried.setdefault("c", 1)
    ):  # fmt: skip
        change()
        seen.append(version.value)
    unchanged = (tried["b"], list(tried.items()), version.value)[-1] == seen[-1]
    return unchanged and len(set(seen)) == len(seen)
