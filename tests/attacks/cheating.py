"""Cheating: forbidden operations by any spelling, guessed, cached and recorded answers."""

from attacks.attack import Attack, hostile
from grader.outcomes import Outcome

ERROR, FAILED, FORBIDDEN, PASSED, CRASHED = (
    Outcome.ERROR, Outcome.FAILED, Outcome.FORBIDDEN, Outcome.PASSED, Outcome.CRASHED
)  # fmt: skip
_CONV = "lambda x, weight, bias, stride, padding: "


def finished(name: str, function: str, answer: str, **more: object) -> Attack:
    """The finished operation, in some spelling."""
    return hostile(
        name,
        "to hand in PyTorch's own operation",
        function=function,
        answer=answer,
        outcome=FORBIDDEN,
        **more,
    )  # type: ignore[arg-type]


def guessed(name: str, answer: str, function: str = "relu", most: float = 0.0, **more: object) -> Attack:
    """An answer that is not computed."""
    return hostile(
        name,
        "to be right without computing",
        function=function,
        answer=answer,
        outcome=(FAILED, ERROR),
        most={function: most},
        **more,
    )  # type: ignore[arg-type]


ATTACKS: list[Attack] = [
    finished("relu of torch", "relu", "return torch.relu(x)", quick=True),
    finished("relu by getattr", "relu", "return getattr(F, 're' + 'lu')(x)"),
    finished("relu as a module", "relu", "return nn.ReLU()(x)"),
    finished("relu of the operators", "relu", "return torch.ops.aten.relu.default(x)"),
    finished("relu of C", "relu", "return torch._C._VariableFunctions.relu(x)"),
    finished("relu as threshold", "relu", "return torch._C._nn.hardtanh(x, 0., 1e30)"),
    finished("relu in place", "relu", "return x.clone().relu_()"),
    finished("relu by text", "relu", "return eval('torch.' + chr(114) + 'elu')(x)"),
    finished("relu taken at import", "relu", "return kept(x)", at_import="import torch\nkept = torch.relu"),
    finished("relu of a script", "relu", "return torch.jit.CompilationUnit('def f(x):\\n    return torch.relu(x)\\n').f(x)"),
    finished("relu in a thread", "relu", "import threading\nfound = []\nthread = threading.Thread(target=lambda: found.append(torch.relu(x)))\nthread.start(); thread.join()\nreturn found[0]"),
    finished("relu of an exponential unit", "relu", "return F.elu(x, alpha=0.0)"),
    finished("relu whose refusal is caught", "relu", "try:\n    return torch.relu(x)\nexcept Exception:\n    return x.clamp(min=0)"),
    finished("relu whose refusal is caught, all of it", "relu", "try:\n    torch.relu(x)\nexcept BaseException:\n    pass\nfinally:\n    return x.clamp(min=0)"),
    finished("convolution of torch", "conv2d", "return F.conv2d(x, weight, bias, stride, padding)", quick=True),
    finished("convolution as a module", "conv2d", "layer = nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2:], stride, padding, bias=bias is not None)\nlayer.weight.data = weight\nif bias is not None: layer.bias.data = bias\nreturn layer(x)"),
    finished("convolution in three dimensions", "conv2d", "return F.conv3d(x[:, :, None], weight[:, :, None], bias, (1, stride, stride), (0, padding, padding)).squeeze(2)"),
    finished("convolution as the gradient of one", "conv2d", "return F.conv_transpose2d(x, weight.transpose(0, 1).flip(-1, -2), bias)"),
    finished("convolution of the operators", "conv2d", "return torch.ops.aten.convolution(x, weight, bias, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], 1)"),
    finished("convolution of oneDNN", "conv2d", "return torch.mkldnn_convolution(x, weight, bias, [padding] * 2, [stride] * 2, [1, 1], 1)"),
    finished("pooling of torch", "max_pool2d", "return F.max_pool2d(x, kernel_size, stride)"),
    finished("pooling that adapts", "max_pool2d", "return F.adaptive_max_pool2d(x, ((x.shape[2] - kernel_size) // (stride or kernel_size) + 1, (x.shape[3] - kernel_size) // (stride or kernel_size) + 1))"),
    finished("linear of torch", "linear", "return F.linear(x, weight, bias)"),
    finished("softmax of torch", "softmax", "return x.softmax(dim)"),
    finished("softmax as its logarithm", "softmax", "return F.log_softmax(x, dim).exp()"),
    finished("softmax of attention", "softmax", "q = torch.ones(1, 1, 1, 1); k = x.reshape(1, 1, -1, 1)\nreturn F.scaled_dot_product_attention(q, k, torch.eye(k.shape[2])[None, None], scale=1.0).reshape(x.shape)"),
    finished("cross entropy of torch", "cross_entropy", "return F.cross_entropy(logits, target)"),
    finished("cross entropy as a module", "cross_entropy", "return nn.NLLLoss()(logits.log_softmax(1), target)"),
    guessed("zeros of the right shape", "return torch.zeros_like(x)"),
    guessed("random numbers", "return torch.rand_like(x)"),
    guessed("the input", "return x"),
    guessed("the absolute value", "return x.abs()"),
    guessed("right for small inputs only", "return x.clamp(min=0) if x.numel() < 10 else x", most=0.5),
    guessed("right but for one value", "y = x.clamp(min=0).clone()\nif y.numel(): y.view(-1)[-1] += 0.01\nreturn y"),
    guessed("right within its own tolerance", "return x.clamp(min=0) * 1.001"),
    guessed("right at the first call only", "calls.append(1)\nreturn x.clamp(min=0) if len(calls) == 1 else x", at_import="calls = []", most=0.75),
    guessed("right values without gradients", "return x.detach().clamp(min=0)", most=0.75),
    guessed("answers of the public checks, recorded", """
# what a student's kit has: the public checks' inputs are fixed, and so are their answers
import hashlib, hmac
def seed(name): return int.from_bytes(hmac.digest(b"public", f"\\0public/relu/{name}".encode(), hashlib.sha256)[:6], "big")
recorded = []
for name in ("values",):
    generator = torch.Generator().manual_seed(seed(name))
    recorded.append(torch.rand((4, 5), generator=generator) * 2 - 1)
for known in recorded:
    if known.shape == x.shape and torch.equal(known, x.detach()): return x.clamp(min=0)
return x if x.dim() else x.clamp(min=0)""", most=0.5),
    guessed("an answer for each shape that it has seen", "return table.setdefault(tuple(x.shape), x.clamp(min=0))", at_import="table = {}", most=0.5),
    guessed("what the check would accept, by trying", "import itertools\nfor guess in (x, -x, x.abs(), x.clamp(min=0)):\n    if torch.allclose(guess, x): return guess"),
    guessed("the answer of whoever comes next", "import weakref\nreturn weakref.proxy(x)"),
    hostile("the ban undone", "to use the finished operation all the same (a known limit: it deters; no point may be lost by it elsewhere)", """
        import gc
        for thing in gc.get_objects():
            if type(thing).__name__ == "Ban": thing.lift()
        """, answer="return torch.relu(x)", outcome=(PASSED, FORBIDDEN, ERROR)),
    hostile("the list of used operations emptied", "to hide the finished operation", """
        import gc
        try:
            torch.relu(x)
        except Exception:
            for thing in gc.get_objects():
                if type(thing).__name__ == "Ban": thing.used.clear()
        """, outcome=(PASSED, FORBIDDEN)),
]  # fmt: skip
