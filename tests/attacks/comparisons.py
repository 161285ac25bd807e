"""Patched comparisons and odd objects: to be found right without being right. No point may come of it."""

from attacks.attack import LAYERS, Attack, hostile, raw
from grader.outcomes import Outcome

CRASHED, ERROR, FAILED, PASSED = Outcome.CRASHED, Outcome.ERROR, Outcome.FAILED, Outcome.PASSED


def patched(name: str, at_import: str, **more: object) -> Attack:
    """A patch at import, and a `relu` that is wrong."""
    more.setdefault("outcome", FAILED)
    more.setdefault("answer", "return x")
    return hostile(name, "to be found right without being right", at_import=at_import, **more)  # type: ignore[arg-type]


def odd(name: str, call: str, outcome: Outcome | tuple[Outcome, ...] = FAILED, **more: object) -> Attack:
    """An odd object in the result's place."""
    return hostile(name, "to be found right without being right", call, outcome=outcome, **more)  # type: ignore[arg-type]


ATTACKS: list[Attack] = [
    patched("torch's comparisons", """
        import torch
        torch.equal = torch.allclose = torch.isclose = torch.eq = torch.ne = lambda *a, **k: True
        torch.testing.assert_close = lambda *a, **k: None
        """, quick=True, tasks=LAYERS),
    patched("methods of tensors", """
        import torch
        for name in ("__eq__", "__ne__", "equal", "allclose", "isclose", "eq", "ne"):
            setattr(torch.Tensor, name, lambda *a, **k: True)
        """),
    patched("builtins", """
        import builtins
        builtins.isinstance = builtins.all = builtins.bool = lambda *a: True
        """, also={"elu": (PASSED, FAILED, ERROR, CRASHED), "Invert": (PASSED, FAILED, ERROR, CRASHED)}),
    patched("math and struct", "import math, struct\nmath.isfinite = math.isnan = math.prod = lambda *a: True\nstruct.pack = struct.unpack = None",
            outcome=(FAILED, ERROR), also={"elu": ERROR}),
    patched("pytest", """
        import sys, types
        sys.modules["pytest"] = sys.modules["_pytest"] = types.ModuleType("pytest")
        sys.modules["pytest"].raises = sys.modules["pytest"].approx = lambda *a, **k: None
        """),
    patched("the kit's comparison", """
        import sys, types
        for name in ("grader.compare", "grader.checking", "grader.verdict", "grader.outcomes", "grader.suite"):
            sys.modules[name] = types.ModuleType(name)
            sys.modules[name].difference = lambda *a, **k: None
        """),
    patched("an operator of the dispatcher", """
        import torch
        library = torch.library.Library("aten", "IMPL")
        library.impl("equal", lambda *a: True, "CPU")
        library.impl("isclose", lambda a, *b: torch.ones_like(a, dtype=torch.bool), "CompositeImplicitAutograd")
        """),
    patched("an exit handler", "import atexit, os\natexit.register(lambda: os.write(1, b'{\"outcome\": \"passed\"}'))"),
    patched("printed verdicts", "print('1 passed in 0.01s'); print('{\"type\": \"returned\", \"value\": true}'); print('##PASSED##')"),
    odd("a tensor that is always equal", """
        class Yes(torch.Tensor):
            def __eq__(self, other): return torch.ones(1).bool()
            def allclose(self, *a, **k): return True
            @classmethod
            def __torch_function__(cls, func, types, args=(), kwargs=None): return torch.ones(1)
        return x.as_subclass(Yes)
        """, quick=True),
    odd("a tensor whose shape and dtype lie", """
        class Lies(torch.Tensor):
            shape = property(lambda self: torch.Size([10 ** 9]))
            dtype = property(lambda self: torch.float64)
            is_cpu = property(lambda self: True)
            def numel(self): return 1
            def element_size(self): return 1
            def dim(self): return 99
        return x.as_subclass(Lies)
        """, (FAILED, ERROR, CRASHED)),
    odd("a tensor that computes when it is dispatched", """
        class Wrapped(torch.Tensor):
            @staticmethod
            def __new__(cls, elem): return torch.Tensor._make_wrapper_subclass(cls, elem.shape, dtype=elem.dtype)
            @classmethod
            def __torch_dispatch__(cls, func, types, args=(), kwargs=None): return torch.ones(1)
        return Wrapped(x)
        """, (FAILED, ERROR)),
    odd("an object that is always equal", """
        class Yes:
            def __eq__(self, other): return True
            def __getattr__(self, name): return self
            def __call__(self, *a, **k): return self
            __array__ = __float__ = __iter__ = __len__ = None
        return Yes()
        """),
    odd("an object that says it is a tensor", """
        class Fake:
            __class__ = torch.Tensor
            def __getattr__(self, name): return getattr(x, name)
        return Fake()
        """, (FAILED, ERROR)),
    odd("an object for torch's functions", """
        class Any:
            @classmethod
            def __torch_function__(cls, func, types, args=(), kwargs=None): return True
            def __array__(self, *a): return x.numpy()
        return Any()
        """),
    odd("a text", "return 'passed'"),
    odd("a text that is equal to all", """
        class Text(str):
            def __eq__(self, other): return True
            __hash__ = str.__hash__
        return Text("x")
        """),
    odd("a float that is equal to all", """
        class Number(float):
            def __eq__(self, other): return True
            def __float__(self): return 0.0
            def __sub__(self, other): return 0.0
            __rsub__ = __sub__
        return Number(3)
        """),
    odd("a list that is a tensor", "class L(list):\n    shape = x.shape\n    dtype = x.dtype\nreturn L(x.clamp(min=0).flatten().tolist())"),
    odd("a parameter that trains", "p = torch.nn.Parameter(x.clone())\nreturn p"),
    odd("a module", "return torch.nn.Identity()"),
    odd("a type", "return torch.Tensor"),
    odd("the function itself", "return relu"),
    odd("a result that is changed after", """
        import threading, time
        y = x.clone()
        def change():
            time.sleep(0.01)
            y.clamp_(min=0)
        threading.Thread(target=change).start()
        return y
        """, (FAILED, PASSED)),
    odd("the input, changed", "return x.clamp_(min=0)", (FAILED, ERROR, PASSED), most={"relu": 1.0}),
    odd("a result that cannot be sent", "class Deep(dict):\n    def items(self): raise SystemExit\n    values = keys = items\nreturn Deep(a=1)", (FAILED, ERROR)),
    odd("a mapping without end", "class Endless(dict):\n    def values(self):\n        while True: yield 1\nreturn Endless(a=1)", (ERROR, FAILED, Outcome.TIMEOUT)),
    odd("methods of tensors that send something else", """
        for name in ("numpy", "detach", "contiguous", "view", "reshape", "numel", "dim", "stride", "clone"):
            setattr(torch.Tensor, name, lambda self, *a, **k: 1 / 0)
        """, (ERROR, CRASHED)),
    hostile("an evaluation that answers 1", "to be found good", function="evaluate", answer="return 1.0", outcome=FAILED),
    hostile("a training that does nothing", "to be found good", function="train_epoch", answer="return 0.0, 1.0", outcome=FAILED,
            also={"fit": (PASSED, FAILED)}, tasks=("train_epoch", "evaluate", "Invert")),
    hostile("a history that is made up", "to be found good", function="fit", answer="return History([0.1] * 3, [1.0] * 3, [1.0] * 3)", outcome=FAILED),
    hostile("an evaluation that looks at who asks", "to be found good", """
        import sys
        frame = sys._getframe()
        while frame:
            for value in frame.f_locals.values():
                if isinstance(value, float): return value
            frame = frame.f_back
        """, function="evaluate", answer="return 1.0", outcome=(FAILED, ERROR)),
    raw("a network that is none", "to be found right without being right", {"lenet.py": """
class LeNet5:
    def __init__(self, *a, **k): pass
    def __getattr__(self, name): return lambda *a, **k: self
    def __call__(self, *a): return self
    def __eq__(self, other): return True
"""}, tasks=("LeNet5", "relu"), also={"LeNet5": (FAILED, ERROR)}),
    raw("a network whose parameters lie", "to be found right without being right", {"lenet.py": """
from torch import nn
class Lies(dict):
    def __getitem__(self, key): return 1
    def __contains__(self, key): return True
class LeNet5(nn.Module):
    def __init__(self, *a, **k): super().__init__()
    def state_dict(self, *a, **k): return Lies()
    def load_state_dict(self, *a, **k): return None
    def named_parameters(self, *a, **k): return iter([("conv1.weight", nn.Parameter(nn.init.torch.ones(6, 1, 5, 5)))])
    def forward(self, x): return x.new_zeros(len(x), 10)
"""}, tasks=("LeNet5", "relu"), also={"LeNet5": (FAILED, ERROR)}),
    raw("a transform of all names", "to be found right without being right", {"transforms.py": """
class Invert:
    def __getattr__(self, name): return self
    def __call__(self, *a, **k): return self
    def __repr__(self): return "Invert()" * 10 ** 6
def __getattr__(name): return Invert()
"""}, tasks=("Invert", "mean_and_std", "relu"), also={"Invert": FAILED, "mean_and_std": (FAILED, ERROR)}, most={"Invert": 2.0}),
]  # fmt: skip
