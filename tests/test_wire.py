"""What crosses the wall: whatever can be sent comes back alike, and nothing else is decoded."""

import math
import struct

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.worker import wire

VALUES = {
    "none": None,
    "bool": True,
    "int": -(2**62),
    "float": 0.1,
    "text": "naïve \x1b[31m ∂",
    "list": [1, [2.5, None], "x"],
    "tuple": (1, (2,)),
    "dict": {"a": 1, 3: [4]},
}


def roundtrip(value):
    packer = wire.Packer()
    packed = packer.pack(value)
    (frame,) = wire.encode(7, wire.Returned(packed), packer)
    request_id, json_size, payload_size = wire.decode_prefix(frame[: wire.PREFIX.size])
    body = frame[wire.PREFIX.size :]
    assert (request_id, len(body)) == (7, json_size + payload_size)
    answer = wire.decode_answer(body[:json_size])
    return wire.unpack(answer.value, memoryview(body)[json_size:], lambda value: value)


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_plain_values_come_back_alike(value) -> None:
    assert roundtrip(value) == value
    assert type(roundtrip(value)) is type(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_floats_without_a_word_in_json_come_back(value: float) -> None:
    assert str(roundtrip(value)) == str(value)


@pytest.mark.parametrize("name", wire.DTYPES)
@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 3, 4)])
def test_tensors_come_back_bit_for_bit(name: str, shape: tuple[int, ...]) -> None:
    tensor = torch.arange(math.prod(shape)).reshape(shape).to(wire.DTYPES[name])
    back = roundtrip(tensor)
    assert type(back) is torch.Tensor
    assert back.dtype == tensor.dtype
    assert torch.equal(back, tensor)


@pytest.mark.parametrize("order", [(0, 2, 1), (2, 0, 1), (2, 1, 0)])
def test_permuted_tensors_come_back_permuted(order: tuple[int, ...]) -> None:
    tensor = torch.arange(24.0).reshape(2, 3, 4).permute(order)
    back = roundtrip(tensor)
    assert torch.equal(back, tensor)
    assert back.stride() == tensor.stride()


@pytest.mark.parametrize(("value", "sent"), [("a\ud800b", "a?b"), ({"\udfff": 1}, {"?": 1})])
def test_half_surrogates_are_replaced(value: object, sent: object) -> None:
    assert roundtrip(value) == sent


def test_other_views_come_back_dense() -> None:
    tensor = torch.arange(12.0).reshape(3, 4)[:, ::2]
    assert torch.equal(roundtrip(tensor), tensor)
    assert roundtrip(tensor).is_contiguous()


@pytest.mark.parametrize(
    "tensor",
    [
        torch.ones(2, device="meta"),
        torch.ones(2).to_sparse(),
        torch.quantize_per_tensor(torch.ones(2), 1.0, 0, torch.qint8),
    ],
    ids=["meta", "sparse", "quantized"],
)
def test_tensors_that_are_no_plain_data_are_named(tensor: torch.Tensor) -> None:
    assert isinstance(roundtrip(tensor), wire.Odd)


HOSTILE = {
    "outside the payload": {"type": "tensor", "dtype": "float32", "shape": [4], "offset": 8},
    "a negative offset": {"type": "tensor", "dtype": "float32", "shape": [1], "offset": -4},
    "a negative size": {"type": "tensor", "dtype": "float32", "shape": [-1], "offset": 0},
    "a shape that overflows": {"type": "tensor", "dtype": "float32", "shape": [2**39] * 9, "offset": 0},
    "too many dimensions": {"type": "tensor", "dtype": "float32", "shape": [1] * 99, "offset": 0},
    "an unknown dtype": {"type": "tensor", "dtype": "object", "shape": [1], "offset": 0},
    "a bool of 7": {"type": "tensor", "dtype": "bool", "shape": [1], "offset": 0},
    "no order of dimensions": {
        "type": "tensor",
        "dtype": "int8",
        "shape": [2, 2],
        "offset": 0,
        "order": [0, 0],
    },
    "an unknown tag": {"type": "pickle", "data": "x"},
    "no tag": {"dtype": "float32"},
    "a float that is a word": {"type": "float", "text": "1e999"},
    "a dict without values": {"type": "dict", "keys": ["a"], "items": []},
    "bytes outside": {"type": "bytes", "offset": 0, "length": 2**40},
    "the wrong type of a field": {"type": "tensor", "dtype": 3, "shape": "x", "offset": 0},
    "one piece as many tensors": {
        "type": "list",
        "items": [{"type": "tensor", "dtype": "int8", "shape": [8], "offset": 0}] * 2,
    },
    "one piece as bytes and as a tensor": {
        "type": "dict",
        "keys": ["a", "b"],
        "items": [
            {"type": "bytes", "offset": 0, "length": 8},
            {"type": "tensor", "dtype": "int8", "shape": [1], "offset": 7},
        ],
    },
}


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_values_are_malformed(value: dict) -> None:
    import json

    with pytest.raises(wire.Malformed):
        answer = wire.decode_answer(json.dumps({"type": "returned", "value": value}).encode())
        wire.unpack(answer.value, memoryview(b"\7" * 8), lambda value: value)


def test_deep_nesting_is_malformed() -> None:
    deep = b'{"type":"list","items":[' * 500 + b"]}" * 500
    with pytest.raises(wire.Malformed):
        answer = wire.decode_answer(b'{"type":"returned","value":' + deep + b"}")
        wire.unpack(answer.value, memoryview(b""), lambda value: value)


@pytest.mark.parametrize(
    "prefix",
    [
        b"XXXX" + bytes(16),
        struct.pack(">4sQII", wire.MAGIC, 1, wire.MAX_JSON + 1, 0),
        struct.pack(">4sQII", wire.MAGIC, 1, 1, wire.MAX_PAYLOAD + 1),
    ],
)
def test_prefixes_over_the_caps_are_malformed(prefix: bytes) -> None:
    with pytest.raises(wire.Malformed):
        wire.decode_prefix(prefix)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_an_answer_or_malformed(data: bytes) -> None:
    try:
        wire.decode_answer(data)
    except wire.Malformed:
        pass


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(
        ["type", "items", "keys", "shape", "dtype", "offset", "length", "id", "kind", "text", "value", "call"]
    ), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    json_values, st.sampled_from(["returned", "raised", "hello", "tensor", "list"]), st.binary(max_size=16)
)
def test_random_messages_are_decoded_or_malformed(value, tag: str, payload: bytes) -> None:
    import json

    try:
        answer = wire.decode_answer(json.dumps({"type": tag, "value": value}).encode())
        if isinstance(answer, wire.Returned):
            wire.unpack(answer.value, memoryview(payload), lambda value: value)
    except wire.Malformed:
        pass
