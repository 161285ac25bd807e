"""Explains in what a result differs from the wanted one, in the order in which a person would look.

Type, shape (the axis by name), dtype, NaN or Inf, scale, values. Results are trees: tensors, numbers,
strings and None, and tuples, lists and dicts of them.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

RTOL, ATOL = 1e-4, 1e-5  # docs/tolerances.md has the measurement

_IMAGE_AXES = ("batch", "channels", "height", "width")


@dataclass(frozen=True, slots=True)
class Difference:
    """`kind` is one of: type, keys, length, shape, dtype, nan, scale, values, none."""

    kind: str
    text: str


def difference(got: Any, wanted: Any, rtol: float = RTOL, atol: float = ATOL) -> Difference | None:
    """The first difference between two trees, or None where they agree within the tolerance.

    A number x agrees with the wanted y when |x - y| <= atol + rtol * |y|.
    """
    for path, left, right in leaves(got, wanted):
        found = right if isinstance(right, Difference) else _leaf(left, right, rtol, atol)
        if found is not None and left is None and not path:
            return _wrong_type(
                None, "a torch.Tensor" if isinstance(wanted, Tensor) else f"a {type_name(wanted)}"
            )
        if found is not None:
            return Difference(found.kind, f"{path}: {found.text}" if path else found.text)
    return None


def excess(got: Any, wanted: Any, rtol: float = RTOL, atol: float = ATOL) -> float:
    """The largest error in units of the tolerance; infinite where they differ in more than values."""
    worst = 0.0
    for _, left, right in leaves(got, wanted):
        if isinstance(right, Difference):
            return math.inf
        found = _leaf(left, right, rtol, atol)
        if found is not None and found.kind not in ("scale", "values"):
            return math.inf
        if isinstance(right, (Tensor, float)) and not isinstance(right, bool):
            x, y = torch.as_tensor(left).double(), torch.as_tensor(right).double()
            if y.numel():
                ratio = ((x - y).abs() / (atol + rtol * y.abs())).nan_to_num(0.0).max().item()
                worst = max(worst, ratio)
    return worst


def leaves(got: Any, wanted: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Paths and pairs of leaves; a `Difference` in the third place where the trees differ in form."""
    if isinstance(wanted, dict):
        if not isinstance(got, dict):
            yield path, got, _wrong_type(got, "a dict")
            return
        missing = [str(key) for key in wanted if key not in got]
        extra = [str(key) for key in got if key not in wanted]
        if missing or extra:
            parts = [f"{', '.join(missing[:8])} missing"] * bool(missing)
            parts += [f"{', '.join(extra[:8])} not wanted"] * bool(extra)
            yield path, got, Difference("keys", f"{'; '.join(parts)}. Wanted: {', '.join(map(str, wanted))}")
            return
        for key, value in wanted.items():
            yield from leaves(got[key], value, f"{path}.{key}" if path else str(key))
    elif isinstance(wanted, (tuple, list)):
        noun = type(wanted).__name__
        if type(got) is not type(wanted):
            yield path, got, _wrong_type(got, f"a {noun} of {len(wanted)}")
            return
        if len(got) != len(wanted):
            yield path, got, Difference("length", f"got {len(got)} values; wanted {len(wanted)}")
            return
        for index, (left, right) in enumerate(zip(got, wanted, strict=True)):
            yield from leaves(left, right, f"{path}[{index}]")
    else:
        yield path, got, wanted


def type_name(value: Any) -> str:
    """The type as a student knows it: `numpy.ndarray`, `float`, `torch.Tensor`."""
    if isinstance(value, Tensor):
        return "torch.Tensor"
    return str(getattr(value, "kind", "") or type(value).__name__)


def _wrong_type(got: Any, wanted: str) -> Difference:
    if got is None:
        return Difference("type", f"got None; wanted {wanted}. Is there a `return`?")
    detail = f" {got.detail}" if type(got).__name__ == "OddTensor" else ""
    noun = type_name(got)
    if isinstance(got, (tuple, list)):
        noun += f" of {len(got)}"
    if isinstance(got, Tensor):
        noun += f" of shape {tuple(got.shape)}"
    return Difference("type", f"got a {noun}{detail}; wanted {wanted}")


def _leaf(got: Any, wanted: Any, rtol: float, atol: float) -> Difference | None:
    if isinstance(wanted, Tensor):
        return _tensor(got, wanted, rtol, atol)
    if wanted is None:
        return None if got is None else Difference("none", f"got {_short(got)}; wanted None")
    if got is None:
        return _wrong_type(got, f"a {type(wanted).__name__}")
    if isinstance(wanted, bool) or isinstance(got, bool) or isinstance(wanted, (str, int)):
        if type(got) is not type(wanted):
            return _wrong_type(got, f"a {type(wanted).__name__}")
        return None if got == wanted else Difference("values", f"got {_short(got)}; wanted {_short(wanted)}")
    if type(got) is not float:
        form = ": `.item()` takes it out" if isinstance(got, Tensor) and got.numel() == 1 else ""
        return _wrong_type(got, f"a Python float{form}")
    if got == wanted or (math.isnan(got) and math.isnan(wanted)):
        return None
    if math.isnan(got) or math.isinf(got):
        return Difference("nan", f"got {got}; wanted {wanted:.6g}")
    if math.isfinite(wanted) and abs(got - wanted) <= atol + rtol * abs(wanted):
        return None
    return Difference("values", f"got {got:.6g}; wanted {wanted:.6g}")


def _short(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    return repr(value)[:80] if isinstance(value, (str, int, float, bool)) else f"a {type_name(value)}"


def _tensor(got: Any, wanted: Tensor, rtol: float, atol: float) -> Difference | None:
    if not isinstance(got, Tensor):
        if got is None and wanted.is_floating_point():
            return Difference("none", "no value arrives (None)")
        return _wrong_type(got, "a torch.Tensor")
    if got.shape != wanted.shape:
        return Difference("shape", _shape(tuple(got.shape), tuple(wanted.shape)))
    if got.dtype != wanted.dtype:
        return Difference("dtype", f"the dtype is {got.dtype}; wanted {wanted.dtype}")
    if wanted.numel() == 0:
        return None
    if not wanted.is_floating_point():
        wrong = wrong_values(got, wanted)
        return _values(got, wanted, wrong) if bool(wrong.any()) else None
    if torch.equal(got, wanted):  # as mostly; what follows is slower, and by far where they differ
        return None
    got, wanted = got.double(), wanted.double()
    if torch.allclose(got, wanted, rtol, atol, equal_nan=True):
        return None
    broken = ~torch.isfinite(got) & torch.isfinite(wanted)
    if bool(broken.any()):
        where = _index(broken)
        if not broken.ndim:
            return Difference("nan", f"the value is {got:.6g}; wanted {wanted:.6g}")
        share = f"{int(broken.sum())} of {broken.numel()} values"
        return Difference(
            "nan", f"{share} are NaN or infinite; the first at {list(where)}, wanted {wanted[where]:.6g}"
        )
    wrong = wrong_values(got, wanted, rtol, atol)
    if not bool(wrong.any()):
        return None
    factor = _factor(got, wanted)
    if factor is not None:
        return Difference(
            "scale", f"every value is {factor:.4g} times the wanted one{_example(got, wanted, wrong)}"
        )
    return _values(got, wanted, wrong)


def wrong_values(got: Tensor, wanted: Tensor, rtol: float = RTOL, atol: float = ATOL) -> Tensor:
    """Where two tensors of one shape differ by more than the tolerance: bool, of that shape."""
    if not wanted.is_floating_point():
        return got != wanted
    got, wanted = got.double(), wanted.double()
    wrong = ~((got - wanted).abs() <= atol + rtol * wanted.abs())
    # what is NaN or infinite is wanted to be just that (a known mistake may give it)
    special = ~torch.isfinite(wanted)
    alike = (got == wanted) | (torch.isnan(got) & torch.isnan(wanted))
    return torch.where(special, ~alike, wrong)


def _shape(got: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    text = f"the shape is {got}; wanted {wanted}"
    if len(got) != len(wanted):
        return f"{text}: {len(got)} dimensions instead of {len(wanted)}"
    axes = _IMAGE_AXES if len(wanted) == 4 else tuple(f"dimension {axis}" for axis in range(len(wanted)))
    parts = [
        f"{axes[i]} is {g} instead of {w}" for i, (g, w) in enumerate(zip(got, wanted, strict=True)) if g != w
    ]
    return f"{text}: {', '.join(parts)}"


def _factor(got: Tensor, wanted: Tensor) -> float | None:
    """The one number c with got = c * wanted everywhere, where there is one worth naming."""
    if wanted.numel() < 3:
        return None
    norm = (wanted * wanted).sum()
    if norm <= 1e-12:
        return None
    factor = float((got * wanted).sum() / norm)
    if abs(factor) < 1e-3 or not math.isfinite(factor):
        return None
    residual = (got - factor * wanted).abs().max()
    return factor if residual <= 1e-4 * wanted.abs().max() * max(1.0, abs(factor)) else None


def _index(mask: Tensor) -> tuple[int, ...]:
    return tuple(int(i) for i in mask.nonzero()[0]) if mask.dim() else ()


def _example(got: Tensor, wanted: Tensor, wrong: Tensor) -> str:
    where = _index(wrong)
    place = f" at {list(where)}" if where else ""
    return f" (first{place}: got {got[where].item():.6g}, wanted {wanted[where].item():.6g})"


def _values(got: Tensor, wanted: Tensor, wrong: Tensor) -> Difference:
    if wrong.numel() == 1:
        return Difference("values", f"got {got.item():.6g}; wanted {wanted.item():.6g}")
    count, total = int(wrong.sum()), wrong.numel()
    share = (
        "every value differs"
        if count == total
        else f"{count} of {total} values ({100 * count / total:.2g} %) differ"
    )
    return Difference("values", f"{share}{_example(got, wanted, wrong)}")
