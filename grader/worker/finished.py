"""The ban on finished operations: what a task asks for may not be taken ready made.

What counts is what really runs during the call. The operators of the task's group are overridden in
torch's dispatcher, below every spelling: an alias, a `getattr`, `torch.ops`, a module, a scripted
function or another thread all end there. The override is put in place after the submission's import
and before its first call, so that what runs at import does not count. Inversions of images are not
operators but Python functions of torchvision and Pillow: their code objects are replaced, and an
import hook replaces them in modules that are loaded later.

A determined student can undo any of this in their own process. It deters; the wall does not rest on it.
"""

import functools
import importlib.abc
import importlib.machinery
import re
import sys
from collections.abc import Callable, Sequence
from types import CodeType, FunctionType, ModuleType
from typing import Any

import torch

from grader.worker.wire import Frame

_NAMESPACES = ("aten", "mkl", "mkldnn", "mkldnn_prepacked", "onednn", "quantized", "_quantized", "sparse")
_OTHER_DEVICES = r"cudnn|miopen|mps|triton|_efficient_"
_FALL_APART = r"conv|lstm|gru|rnn_"
_TAKES_WEIGHTS = r"prepack|unpacked|wrapped"  # not packed ones
_SOFTMAX = r"softmax|scaled_dot_product|_attention"

OPERATORS: dict[str, str] = {  # group -> pattern of operator names
    "convolution": r"conv(?!ert)",
    "pooling": r"max_pool|adaptive_\w*pool",
    "linear": r"^(?!.*(upsample|combination|bilinear|trilinear)).*linear|lstm|gru|rnn_",
    "activation": r"relu|celu|selu|gelu|(^|_)elu|silu|mish|glu|threshold|hardtanh|hardswish",
    "softmax": _SOFTMAX,
    "cross_entropy": rf"{_SOFTMAX}|(?<!binary_)cross_entropy|(?<!poisson_)nll_loss",
}

INVERSIONS: dict[str, tuple[str, ...]] = {  # module -> functions
    "torchvision.transforms.functional": ("invert", "solarize"),
    "torchvision.transforms._functional_tensor": ("invert", "solarize"),
    "torchvision.transforms._functional_pil": ("invert", "solarize"),
    "torchvision.transforms.v2.functional._color": (
        "invert", "invert_image", "_invert_image_pil", "invert_video", "solarize", "solarize_image",
        "_solarize_image_pil", "solarize_video",
    ),
    "PIL.ImageOps": ("invert", "solarize"),
    "PIL.ImageChops": ("invert",),
}  # fmt: skip


@functools.cache
def overrides() -> dict[str, list[tuple[str, str, str]]]:
    """Namespace, operator and dispatch key of every override, by group; looked up once, before the forks.

    As few as catch every way in, since each costs a child 15 microseconds and a page of its memory:
    operators that do not run on ordinary tensors, that fall apart into another one that is caught
    (`conv2d` into `convolution`, `lstm` into `linear`), wrappers that write into a given tensor, and
    operators on quantized weights, which have to be packed first, are left out.
    """
    has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key
    runs = torch._C._dispatch_has_computed_kernel_for_dispatch_key
    found: dict[str, list[tuple[str, str, str]]] = {group: [] for group in OPERATORS}
    for full_name in torch._C._dispatch_get_all_op_names():
        namespace, name = full_name.split("::")
        composed, on_cpu = (has_kernel(full_name, key) for key in ("CompositeImplicitAutograd", "CPU"))
        if namespace not in _NAMESPACES or re.search(_OTHER_DEVICES, name):
            continue
        if re.search(r"\.(out|output)", name) and not on_cpu:
            continue
        if composed and re.search(_FALL_APART, name):
            continue
        for group, pattern in OPERATORS.items():
            if not re.search(pattern, name):
                continue
            if (
                "quantized" in namespace
                and group in ("convolution", "linear")
                and not re.search(_TAKES_WEIGHTS, name)
            ):
                continue
            if runs(full_name, "CPU"):
                found[group].append((namespace, name, "CPU"))
            if composed:
                found[group].append((namespace, name, "AutogradCPU"))
            wraps = namespace == "aten" and has_kernel(full_name, "CompositeExplicitAutograd")
            if wraps or has_kernel(full_name, "MkldnnCPU"):
                found[group].append((namespace, name, "MkldnnCPU"))
    return found


class ForbiddenOperation(RuntimeError):
    """The finished operation was called."""


class Ban:
    """The ban of one group. `used` lists what was called and from where; `lift` ends the ban."""

    def __init__(self, group: str, locate: Callable[[], Frame | None]):
        """`locate` tells the line of the student's code that is being run."""
        self.group = group
        self.used: list[tuple[str, Frame | None]] = []
        self._locate = locate
        self._libraries: dict[str, Any] = {}
        self._hook: _InversionHook | None = None
        self._trapped: list[tuple[FunctionType, CodeType, dict[str, Any] | None]] = []  # as they were
        if group == "inversion":
            self._ban_inversions()
        elif group:
            self._ban_operators(overrides()[group])

    def lift(self) -> None:
        """Bring operators (their overrides end with the objects that hold them) and functions back."""
        self._libraries.clear()
        if self._hook is not None:
            sys.meta_path.remove(self._hook)
            self._hook = None
        for function, code, defaults in self._trapped:
            function.__code__, function.__kwdefaults__ = code, defaults  # type: ignore[assignment]
        self._trapped.clear()

    def _refuse(self, name: str) -> None:
        self.used.append((name, self._locate()))
        raise ForbiddenOperation(f"{name} is the finished operation that this task asks you to write")

    def _ban_operators(self, overrides: list[tuple[str, str, str]]) -> None:
        for namespace, name, key in overrides:
            if namespace not in self._libraries:
                self._libraries[namespace] = torch._C._dispatch_library("IMPL", namespace, "", "", 0)

            def trap(*args: Any, _name: str = name.partition(".")[0], **kwargs: Any) -> None:
                self._refuse(_name)

            self._libraries[namespace].impl(name, key, trap)

    def _ban_inversions(self) -> None:
        for module_name in INVERSIONS:
            if module_name in sys.modules:
                self._trap_functions(sys.modules[module_name])
        self._hook = _InversionHook(self._trap_functions)
        sys.meta_path.insert(0, self._hook)

    def _trap_functions(self, module: ModuleType) -> None:
        for name in INVERSIONS[module.__name__]:
            function = getattr(module, name, None)
            if isinstance(function, FunctionType):
                # the code object, not the name: an alias taken before is trapped too
                self._trapped.append((function, function.__code__, function.__kwdefaults__))
                function.__kwdefaults__ = {"_refuse": self._refuse, "_name": f"{module.__name__}.{name}"}
                function.__code__ = _trap_code(len(function.__code__.co_freevars))


def _trap_code(free_variables: int) -> CodeType:
    """The code of a function that refuses, with as many free variables as the one it replaces."""

    def refuse(*args: Any, _refuse: Callable[[str], None], _name: str, **kwargs: Any) -> None:
        _refuse(_name)

    if free_variables:  # decorated functions: `__code__` must keep their number of free variables
        return refuse.__code__.replace(co_freevars=tuple(f"_free{i}" for i in range(free_variables)))
    return refuse.__code__


class _InversionHook(importlib.abc.MetaPathFinder):
    """Traps the inversions of a module right after it was loaded."""

    def __init__(self, trap: Callable[[ModuleType], None]):
        self._trap = trap

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in INVERSIONS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return None
        load, trap = spec.loader.exec_module, self._trap

        def load_and_trap(module: ModuleType) -> None:
            load(module)
            trap(module)

        spec.loader.exec_module = load_and_trap  # type: ignore[method-assign]
        return spec
