"""A small picture of a wrong image: the wanted one, the student's, and where they differ.

For people who read feedback. Pictures are a few kilobytes; what is no image, or too large for a glance, has
none. Nothing here takes part in a verdict.
"""

import base64
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

_SIDES = (3, 64)  # pixels: less is read from numbers, more is no small picture
_PANEL = 96  # pixels: about the side of one of the three panels
_GAP = 10


def draw_difference(got: Any, wanted: Any, rtol: float, atol: float) -> str:
    """A PNG in base64 with three panels (wanted, got, error in red), "" where there is nothing to draw.

    got, wanted: trees of results as `compare.difference` takes them. Drawn is the first image `(H, W)` of the
    first tensor `(..., H, W)` that differs by more than the tolerance and has the wanted shape.
    """
    for left, right in _tensors(got, wanted):
        if left.shape != right.shape or right.dim() < 2 or not right.is_floating_point():
            continue
        if not all(_SIDES[0] <= side <= _SIDES[1] for side in right.shape[-2:]):
            continue
        left, right = (t.detach().double().reshape(-1, *t.shape[-2:]) for t in (left, right))
        wrong = ~((left - right).abs() <= atol + rtol * right.abs())
        if bool(wrong.any()):
            index = int(wrong.flatten(1).any(dim=1).nonzero()[0])
            return base64.b64encode(_png(_panels(left[index], right[index]))).decode()
    return ""


def _tensors(got: Any, wanted: Any) -> Iterator[tuple[Tensor, Tensor]]:
    if isinstance(wanted, Tensor):
        if isinstance(got, Tensor):
            yield got, wanted
    elif isinstance(wanted, dict) and isinstance(got, dict):
        for key in [key for key in wanted if key in got]:
            yield from _tensors(got[key], wanted[key])
    elif isinstance(wanted, (tuple, list)) and isinstance(got, (tuple, list)):
        for left, right in zip(got, wanted, strict=False):
            yield from _tensors(left, right)


def _panels(got: Tensor, wanted: Tensor) -> Tensor:
    """The three panels beside each other: uint8 `(H, W, 3)`."""
    low, high = wanted.min(), wanted.max()
    span = (high - low).clamp(min=1e-12)
    grey = [((image - low) / span).nan_to_num(1.0).clamp(0, 1) for image in (wanted, got)]
    error = ((got - wanted).abs() / span).nan_to_num(1.0).clamp(0, 1)
    panels = [image[..., None].expand(-1, -1, 3) for image in grey]
    panels.append(torch.stack([torch.ones_like(error), 1 - error, 1 - error], dim=-1))
    zoom = max(1, _PANEL // max(wanted.shape))
    large = [panel.repeat_interleave(zoom, 0).repeat_interleave(zoom, 1) for panel in panels]
    gap = torch.full((large[0].shape[0], _GAP, 3), 1.0, dtype=error.dtype)
    return (torch.cat([large[0], gap, large[1], gap, large[2]], dim=1) * 255).round().to(torch.uint8)


def _png(pixels: Tensor) -> bytes:
    """A PNG file of uint8 `(H, W, 3)`."""
    height, width, _ = pixels.shape
    rows = torch.cat([torch.zeros(height, 1, dtype=torch.uint8), pixels.reshape(height, -1)], dim=1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(rows.numpy().tobytes(), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
