"""A step that costs no launches on CUDA: captured once into a graph, then replayed."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

_WARM_UP = 3  # steps before a capture, in which libraries choose their algorithms and allocate


def replayed(
    step: Callable[[], object], state: Sequence[Tensor], device: torch.device
) -> Callable[[], object]:
    """`step` itself on the CPU; on CUDA a graph of it.

    The step must work on the same tensors each time and never wait for the device. state: all that it
    changes and that outlives it; it is put back after the warm-up, which would otherwise train.
    """
    if device.type != "cuda":
        return step
    before = [tensor.clone() for tensor in state]
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        for _ in range(_WARM_UP):
            step()
    torch.cuda.current_stream(device).wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    for tensor, value in zip(state, before, strict=True):
        tensor.copy_(value)
    return graph.replay
