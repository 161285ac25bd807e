"""What every worker would do at its first call, done once before it takes the sandbox on."""

import importlib
import os
import tempfile
from typing import Any

from grader.worker import preload
from grader.worker.finished import overrides
from grader.worker.torch_setup import import_torch, load_without_workers


def warm_up(sealed: bool) -> None:
    """Do once what every child would do at its first call: lazy imports and first uses of kernels."""
    torch = import_torch()
    load_without_workers()
    from torch.utils.data import DataLoader, TensorDataset

    functional = torch.nn.functional
    images, weight = torch.ones(2, 1, 6, 6), torch.ones(2, 1, 3, 3)
    functional.conv2d(images, weight)
    functional.max_pool2d(images, 2)
    windows = images.unfold(2, 3, 1).unfold(3, 3, 1)
    torch.einsum("nchwuv,ocuv->nohw", windows, weight)
    functional.unfold(images, 3).transpose(1, 2) @ weight.flatten(1).T
    functional.cross_entropy(torch.ones(2, 3), torch.zeros(2, dtype=torch.int64))
    torch.logsumexp(torch.ones(2, 3), 1)
    net = torch.nn.Linear(3, 2)
    for make in (torch.optim.Adam, torch.optim.SGD):
        used = make(net.parameters(), lr=0.1)
        used.zero_grad()
        if not os.environ.get("CUDA_VISIBLE_DEVICES", "all"):
            # with a GPU in sight, a process that is forked after a backward pass cannot use autograd
            functional.cross_entropy(net(torch.ones(2, 3)), torch.zeros(2, dtype=torch.int64)).backward()
            used.step()
    for _ in DataLoader(TensorDataset(torch.ones(2, 3)), batch_size=2, shuffle=True):
        break
    for module in (
        "torch.nested._internal.nested_tensor",
        "numpy.random",
        "encodings.utf_8_sig",
    ):  # a first backward pass, a reseeding, a submission's text
        importlib.import_module(module)
    overrides()
    tempfile.gettempdir()  # found by writing, which children cannot
    if sealed:
        preload.small()
        _follow_no_links()


def _follow_no_links() -> None:
    """Let paths stand for themselves where no link can be read: `inspect` and `pathlib` ask for real ones."""

    def realpath(filename: Any, *, strict: Any = False) -> Any:
        return os.path.abspath(filename)

    os.path.realpath = realpath
