"""What the exceptions that students meet usually mean: patterns of messages, and what to do."""

import re

from grader.assignment import BY_NAME

HINTS: tuple[tuple[str, str], ...] = (
    (
        r"Can't call numpy\(\) on Tensor that requires grad",
        "NumPy knows nothing of gradients. Stay with torch operations, so that gradients can flow.",
    ),
    (
        r"mat1 and mat2 shapes cannot be multiplied|mat1 dim 1 must match|size mismatch, got input",
        "The inner sizes of a matrix product do not match: weights are (out, in), so one of the two wants a transpose.",
    ),
    (
        r"view size is not compatible|Use \.reshape",
        "`view` needs contiguous memory, which an input need not have. Use `reshape` or `flatten`.",
    ),
    (
        r"a leaf Variable that requires grad .*in-place",
        "An input was changed in place. Work on a new tensor: `x = x * 2`, not `x *= 2`.",
    ),
    (
        r"modified by an inplace operation|output .* is a view and is being modified inplace",
        "A tensor that the backward pass still needs was changed in place. Make a new tensor instead.",
    ),
    (
        r"does not require grad and does not have a grad_fn|element 0 of tensors does not require grad",
        "The result has no graph behind it: something (`detach`, `.data`, `.item()`, `no_grad`, numpy) cut it off.",
    ),
    (
        r"backward through the graph a second time",
        "The same graph is walked twice. Compute the loss anew for each batch, from this batch's logits.",
    ),
    (
        r"Index tensor must have the same number of dimensions|scatter\(\): Expected dtype int64|gather\(\): Expected dtype",
        "`gather` and `scatter` want an int64 index with as many dimensions as the values: `target[:, None]`.",
    ),
    (
        r"must match the size of tensor|could not be broadcast|not broadcastable|shape mismatch",
        "Two shapes do not broadcast. Print both: sizes are aligned from the right, and a bias of (C,) for images "
        "needs the shape (C, 1, 1).",
    ),
    (
        r"shape '.*' is invalid for input of size",
        "The sizes of a reshape do not multiply to the number of elements: print the shape before it.",
    ),
    (
        r"expected scalar type|expected m1 and m2 to have the same dtype|must have the same dtype|Found dtype",
        "Two dtypes meet (float64 from numpy or from a Python list?). Inputs are float32, and so is the result.",
    ),
    (
        r"Expected all tensors to be on the same device",
        "Tensors lie on two devices: move the batch with `.to(device)`.",
    ),
    (
        r"only one element tensors can be converted|only integer tensors of a single element|Boolean value of Tensor",
        "A whole tensor is used where one number is wanted: in an `if`, use `torch.where` or `clamp` for tensors.",
    ),
    (
        r"out of range|out of bounds",
        "An index runs over the end: check the output size, (H + 2 * padding - kernel) // stride + 1.",
    ),
    (
        rf"^TypeError: ({'|'.join(BY_NAME)})(\.__init__|\.__call__)?\(\) (got|takes|missing)",
        "The signature is not the assignment's: names, order and defaults of the arguments must stay as in the stub.",
    ),
    (
        r"_(sum|mean|amax|amin|max|min|all|any)\(\) got an unexpected keyword argument|numpy.ndarray",
        "A NumPy array is in play. Stay with torch tensors: NumPy has other names, and no gradients.",
    ),
    (
        r"has no len\(\)|object is not subscriptable|has no attribute 'dataset'",
        "A loader is any iterable of (images, labels) with a `len`: no indexing, no `loader.dataset`.",
    ),
    (
        r"cannot assign module before Module.__init__|has no attribute '_modules'|super\(\).__init__",
        "Call `super().__init__()` first in the class's `__init__`.",
    ),
    (
        r"Missing key\(s\) in state_dict|Unexpected key\(s\) in state_dict|size mismatch for",
        "Layers must be called conv1, conv2, fc1, fc2 and fc3 and have the sizes of the table, so that weights load by name.",
    ),
    (
        r"'NoneType' object|NoneType",
        "Something is None: a `bias` that was not given, a `stride` left at None, or a function without `return`?",
    ),
    (
        r"SyntaxError|IndentationError|TabError",
        "Python cannot read the file. The line is where it gave up; the mistake is often in the line above.",
    ),
    (
        r"cannot import name",
        "A name is imported that the module does not have: a typing slip? Compare it with the module's own spelling.",
    ),
    (
        r"ModuleNotFoundError|ImportError",
        "A module is imported that is not there: a typing slip, or a package that is not installed. Your own files import "
        "each other by `from .layers import ...`.",
    ),
    (
        r"BdbQuit",
        "A breakpoint has no terminal here. `grade check TASK --in-process` runs your code in this one.",
    ),
    (
        r"RecursionError|maximum recursion",
        "A function calls itself without end: does it call itself by the name of the operation it should compute?",
    ),
    (r"SystemExit|KeyboardInterrupt", "The code ends the program (`exit()`, `quit()`): take that out."),
    (r"NameError", "A name is used that is not defined: a typing slip, or an import that is missing."),
)

_COMPILED = tuple((re.compile(pattern), hint) for pattern, hint in HINTS)


def explain(message: str) -> str:
    """The hint for an exception's message, "" where none fits."""
    for pattern, hint in _COMPILED:
        if pattern.search(message):
            return hint
    return ""
