"""Fuzzing of what reads hostile bytes: `python tests/fuzz.py decoder --seconds 300`, or `archives`.

`decoder` mangles real frames of a worker (bytes, and the JSON as a tree) and reads them as the trusted side does;
`archives` mangles zips and tars. Whatever comes is read or refused by name: any other exception, and more memory than
the bytes could hold, is a finding, which hypothesis shrinks and prints. What was found stands in test_wire.py,
test_collect.py and test_attacks.py; `test_fuzz.py` runs both for some seconds.
"""

import argparse
import contextlib
import gzip
import io
import json
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from grader.instructor.collect import Handed, read
from grader.remote import OddTensor, RemoteObject, _receive_remote
from grader.worker import wire

_X = torch.arange(12.0).reshape(3, 4)
VALUES: list[Any] = [
    None, True, 2**62, float("nan"), "naïve ∂", [1, [2.5]], (1, (_X,)), {"a": _X, 3: [_X.to(torch.int16)]},
    _X.T, torch.zeros(0, 3), torch.tensor(True), [_X > 3] * 3, {"weights": {"w": _X.double()}, "loss": 0.5},
]  # fmt: skip
_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6),
    st.sampled_from(["tensor", "list", "tuple", "dict", "bytes", "float", "odd", "handle", "raised", "returned", "float32", "bool", "nan"]),
    st.sampled_from([-1, 2**31, 2**63 - 1, 2**63, 2**64, 10**30, 65, 256_000_001]),
)  # fmt: skip


def frame_of(value: Any) -> bytes:
    """A worker's answer with this value, as bytes."""
    packer = wire.Packer()
    packed = packer.pack(value)
    return b"".join(wire.encode(7, wire.Returned(packed), packer))


def _mangled_json(draw: Callable[..., Any], tree: Any) -> Any:
    """The tree with one to four of its places changed, dropped, doubled or put elsewhere."""
    for _ in range(draw(st.integers(1, 4))):
        places = list(_places(tree))
        holder, key = places[draw(st.integers(0, len(places) - 1))]
        match draw(st.integers(0, 3)):
            case 0:
                holder[key] = draw(_SCALARS)
            case 1:
                del holder[key]
            case 2:
                other_holder, other = places[draw(st.integers(0, len(places) - 1))]
                with contextlib.suppress(KeyError, IndexError):
                    holder[key] = json.loads(json.dumps(other_holder[other]))
            case _:
                items = holder[key] if isinstance(holder[key], list) else [holder[key]]
                holder[key] = items * draw(st.integers(0, 40))
        if not list(_places(tree)):
            break
    return tree


def _places(tree: Any) -> Any:
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, item in list(pairs):
        yield tree, key
        yield from _places(item)


def decoder_example(data: st.DataObject) -> None:
    """One mangled frame, read as `grader.remote` reads it."""
    frame = frame_of(VALUES[data.draw(st.integers(0, len(VALUES) - 1))])
    start = wire.PREFIX.size
    magic, _, json_size, _ = wire.PREFIX.unpack(frame[:start])
    text, payload = frame[start : start + json_size], frame[start + json_size :]
    kind = data.draw(st.sampled_from(["json", "bytes", "payload", "prefix", "cut"]))
    if kind == "json":
        text = json.dumps(_mangled_json(data.draw, json.loads(text))).encode("utf-8", "surrogatepass")
    elif kind == "bytes":
        changed = bytearray(text)
        for at, byte in data.draw(st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=8)):
            changed[at % len(changed)] = byte
        text = bytes(changed)
    elif kind == "payload":
        payload = data.draw(st.binary(max_size=200))
    sizes = (len(text), len(payload))
    if kind == "prefix":
        sizes = tuple(data.draw(st.integers(0, 2**32 - 1)) for _ in range(2))
        magic = data.draw(st.sampled_from([magic, b"\0" * 4]))
    frame = wire.PREFIX.pack(magic, data.draw(st.sampled_from([7, 8])), *sizes) + text + payload
    if kind == "cut":
        frame = frame[: data.draw(st.integers(0, len(frame)))]
    step = data.draw(st.integers(1, 300))
    pieces = iter([frame[at : at + step] for at in range(0, len(frame), step)])

    def more() -> bytes:
        piece = next(pieces, None)
        if piece is None:
            raise EOFError
        return piece

    try:
        _, text, rest = wire.read_frame(more, 7)
        answer = wire.decode_answer(text)
        if isinstance(answer, wire.Returned):
            held = _bytes_of(wire.unpack(answer.value, rest, _receive_remote))
            assert held <= len(rest), f"{held} bytes of tensors out of {len(rest)}"
    except (wire.Malformed, EOFError):
        pass
    with contextlib.suppress(wire.Malformed):
        wire.decode_request(text)  # the worker's side


def _bytes_of(value: Any) -> int:
    """Bytes of all tensors in a value, which holds nothing but plain data."""
    match value:
        case Tensor():
            assert type(value) is Tensor
            assert value.layout is torch.strided
            return value.numel() * value.element_size()
        case list() | tuple():
            return sum(map(_bytes_of, value))
        case dict():
            return sum(map(_bytes_of, value.values()))
        case bytes():
            return len(value)
    assert value is None or type(value) in (bool, int, float, str, RemoteObject, OddTensor), type(value)
    return 0


def _zip() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("layers", "lenet", "training", "transforms", "naïve"):
            archive.writestr(f"student/{name}.py", f"# {name}\n" * 20)
    return data.getvalue()


def _tar() -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name in ("layers", "lenet", "a" * 120):
            info = tarfile.TarInfo(f"student/{name}.py")
            info.size = 300
            archive.addfile(info, io.BytesIO(b"# x\n" * 75))
    return data.getvalue()


ARCHIVES: dict[str, bytes] = {"a.zip": _zip(), "a.tar.gz": _tar()}


def archive_example(data: st.DataObject) -> None:
    """One mangled archive, read as a submission."""
    name = data.draw(st.sampled_from(sorted(ARCHIVES)))
    content = bytearray(ARCHIVES[name])
    for at, byte in data.draw(st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 255)), max_size=12)):
        content[at % len(content)] = byte
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(content)))
        content[at:at] = content[data.draw(st.integers(0, len(content))) :][: data.draw(st.integers(0, 600))]
    content = content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content
    packed = gzip.compress(content, 1) if name == "a.tar.gz" else bytes(content)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(packed)
        submission = read(Handed("a", path, "zip" if name == "a.zip" else "tar"))
    assert submission.files or submission.problems
    "".join(submission.problems).encode()  # can be recorded


TARGETS: dict[str, Callable[[st.DataObject], None]] = {
    "decoder": decoder_example,
    "archives": archive_example,
}


def fuzz(target: str, examples: int) -> None:
    """Try so many examples; raises what the first bad one, made small, raises."""
    checks = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example)
    run = given(st.data())(TARGETS[target])
    settings(max_examples=examples, deadline=None, database=None, suppress_health_check=checks)(run)()


def main() -> None:
    parser = argparse.ArgumentParser(description="Fuzz what reads hostile bytes.")
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    end, done = time.monotonic() + options.seconds, 0
    while time.monotonic() < end:
        fuzz(options.target, 500)
        done += 500
    print(f"{options.target}: {done:,} examples in {options.seconds:.0f} s, nothing found")


if __name__ == "__main__":
    main()
