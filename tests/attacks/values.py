"""Odd values: what is no plain tensor, or a hostile one."""

from attacks.attack import SHORT, Attack, hostile
from grader.outcomes import Outcome

CRASHED, ERROR, FAILED, PASSED, MEMORY, TIMEOUT = (
    Outcome.CRASHED, Outcome.ERROR, Outcome.FAILED, Outcome.PASSED, Outcome.MEMORY, Outcome.TIMEOUT
)  # fmt: skip
_Y = "x.clamp(min=0)"


def value(name: str, answer: str, outcome: Outcome | tuple[Outcome, ...] = FAILED, **more: object) -> Attack:
    """`relu` answers with something odd."""
    return hostile(
        name, "to break the comparison, or be taken for right", answer=answer, outcome=outcome, **more
    )  # type: ignore[arg-type]


ATTACKS: list[Attack] = [
    value("NaN", f"return {_Y} * float('nan')", quick=True),
    value("infinite", f"return {_Y} / 0"),
    value("sparse", f"return {_Y}.to_sparse()", quick=True),
    value("sparse by rows", "return x.clamp(min=0).reshape(-1, 1).to_sparse_csr()"),
    value("complex", f"return {_Y} * (1 + 0j)"),
    value("a conjugate view", f"return ({_Y} + 0j).conj()"),
    value("a negated view", f"return torch.view_as_real(({_Y} * 1j).conj()).select(-1, 1)", (FAILED, ERROR)),
    value("on the meta device", "return x.to('meta')"),
    value("stride 0 and huge", "return x.sum().expand(10 ** 9)", quick=True),
    value("stride 0 and larger than memory", "return x.sum().expand(2 ** 30, 2 ** 30)"),
    value("stride 0 and without an end", "return x.sum().expand(2 ** 31, 2 ** 31, 1)"),
    value("quantized", f"return torch.quantize_per_tensor({_Y}, 0.1, 0, torch.qint8)"),
    value("nested", "return torch.nested.nested_tensor([x.flatten(), x.flatten()])", (FAILED, ERROR)),
    value("of oneDNN", f"return {_Y}.contiguous().to_mkldnn()", (FAILED, ERROR)),
    value("half", f"return {_Y}.half()"),
    value("bfloat16", f"return {_Y}.bfloat16()"),
    value("float8", f"return {_Y}.to(torch.float8_e4m3fn)"),
    value("float64", f"return {_Y}.double()"),
    value("bool", "return x > 0"),
    value("unsigned", f"return {_Y}.to(torch.uint16)"),
    value("whole numbers", f"return {_Y}.long()"),
    value("0-d", "return x.sum()"),
    value("empty", "return x.flatten()[:0]"),
    value("of 64 dimensions", f"return {_Y}.reshape((1,) * 60 + x.shape)"),
    value("transposed", f"return {_Y}.flatten().unsqueeze(0).T"),
    value("with named dimensions", "return x.clamp(min=0).flatten().rename('n')", (FAILED, ERROR)),
    value("of a transformation", "kept = []\ntorch.func.vmap(lambda v: kept.append(v) or v)(x.reshape(1, -1))\nreturn kept[0]", (FAILED, ERROR, CRASHED)),
    value("fake", "from torch._subclasses import FakeTensorMode\nwith FakeTensorMode() as mode: return mode.from_tensor(x)", (FAILED, ERROR)),
    value("a parameter without a shape", "return torch.nn.parameter.UninitializedParameter()", (FAILED, ERROR)),
    value("without its memory", "y = x.clamp(min=0).clone()\ny.untyped_storage().resize_(0)\nreturn y", (FAILED, ERROR, CRASHED)),
    value("beyond its memory", "y = torch.empty(0)\ny.set_(x.clone().untyped_storage(), 0, (1000, 1000), (0, 1))\nreturn y", (FAILED, ERROR, CRASHED)),
    value("of memory that is not its own", "import ctypes\nreturn torch.frombuffer((ctypes.c_char * 4096).from_address(0), dtype=torch.uint8)", (CRASHED, ERROR, FAILED)),
    value("a view that is changed by a thread", """
y = torch.zeros(5_000_000)
import threading
def change():
    while True: y.add_(1)
threading.Thread(target=change, daemon=True).start()
return y"""),
    value("a list that holds itself", "l = []; l.append(l); return l", (ERROR, FAILED)),
    value("a dict that holds itself", "d = {}; d['d'] = d; return d", (ERROR, FAILED)),
    value("a tuple in a list that holds it", "l = [1]; p = (l,); l.append(p); return p", (ERROR, FAILED)),
    value("a dict with odd keys", "return {(1, 2): 3, None: 4, 1.5: 2}"),
    value("a dict with keys that are equal", "return {1: 1, '1': 2, True: 3}"),
    value("a dict with a huge key", "return {10 ** 5000: 1}", (ERROR, FAILED, CRASHED)),
    value("a dict whose key is no text", "return {'\\ud800': 1}", (ERROR, FAILED)),
    value("a huge number", "return 10 ** 5000"),
    value("a negative huge number", "return -2 ** 63"),
    value("a number of another kind", "import decimal, fractions\nreturn [decimal.Decimal('NaN'), fractions.Fraction(1, 3), 1j]"),
    value("an array of NumPy", f"return {_Y}.numpy()"),
    value("an array of objects", "import numpy\nreturn numpy.array([x, None, 'a'], dtype=object)", (FAILED, ERROR)),
    value("scalars of NumPy", "import numpy\nreturn [numpy.float64(1), numpy.bool_(True), numpy.int64(3), numpy.str_('x')]"),
    value("numbers as a list", f"return {_Y}.tolist()", (FAILED, PASSED), most={"relu": 0.0}),
    value("None", "return None"),
    value("text that is none", "return '\\ud800\\0\\x1b[2J</script>'", quick=True),
    value("bytes", "return b'\\xff' * 100"),
    value("a generator", "return (v for v in iter(int, 1))"),
    value("a coroutine", "async def later(): return x\nreturn later()"),
    value("a lambda", "return lambda *a: x"),
    value("an exception", "return ValueError('x')"),
    value("odd singletons", "return [..., NotImplemented, slice(1, 2), range(10 ** 9), {1, 2}, frozenset()]"),
    value("things of torch", "return [torch.float32, torch.device('cpu'), torch.Size([1]), torch.Generator(), torch.strided]"),
    value("a named tuple", "import collections\nreturn collections.namedtuple('T', 'a b')(x, x)"),
    value("an object whose class has no name", "T = type('T', (), {'__module__': None})\nreturn T()", (FAILED, ERROR)),
    value("an object whose class has a long name", "return type('T' * 10 ** 6, (), {})()"),
    value("an object whose class has an odd name", "return type('\\ud800<b>\\x1b[2J', (), {})()", (FAILED, ERROR)),
    value("an object that raises at any look", """
class Raises:
    def __getattribute__(self, name): raise SystemExit(name)
    def __repr__(self): raise SystemExit
return Raises()""", (FAILED, ERROR)),
    value("a gradient of another shape", """
class F2(torch.autograd.Function):
    @staticmethod
    def forward(ctx, v): return v.clamp(min=0)
    @staticmethod
    def backward(ctx, g): return torch.ones(3)
return F2.apply(x)""", (FAILED, ERROR), most={"relu": 0.5}),
    value("a gradient that hangs", """
class F2(torch.autograd.Function):
    @staticmethod
    def forward(ctx, v): return v.clamp(min=0)
    @staticmethod
    def backward(ctx, g):
        while True: pass
return F2.apply(x)""", (TIMEOUT, FAILED), most={"relu": 0.75}, limits=SHORT),
    value("a gradient that ends the process", """
class F2(torch.autograd.Function):
    @staticmethod
    def forward(ctx, v): return v.clamp(min=0)
    @staticmethod
    def backward(ctx, g): __import__("os")._exit(0)
return F2.apply(x)""", (CRASHED, FAILED), most={"relu": 0.75}),
]  # fmt: skip
