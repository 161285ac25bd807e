"""Frames and values that cross the wall, and their strict decoding.

A frame is a fixed prefix (magic, request id, two lengths), a JSON message and raw tensor bytes.
Decoding raises `Malformed` for whatever is not exactly that: wrong magic, a length over its cap,
JSON that does not fit the message types, an unknown dtype, a tensor outside the payload. Decoded
tensors are always fresh, dense, plain `torch.Tensor`s on the CPU. Nothing is unpickled or evaluated.
"""

import math
import struct
from collections.abc import Callable
from typing import Any

import msgspec
import torch
from torch import Tensor

MAGIC = b"LN5\x01"
PREFIX = struct.Struct(">4sQII")  # magic, request id, bytes of JSON, bytes of payload
MAX_JSON = 2_000_000
MAX_PAYLOAD = 256_000_000
MAX_DEPTH = 12
MAX_ITEMS = 20_000
MAX_DIMENSIONS = 12
MAX_TEXT = 20_000
_SIZES = range(2**40)  # of a dimension
_JOINED = 65_536  # bytes of payload that are copied once more to save writes

DTYPES: dict[str, torch.dtype] = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.complex64, torch.complex128,
        torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool,
    )
}  # fmt: skip
_NAMES = {dtype: name for name, dtype in DTYPES.items()}


class Malformed(Exception):
    """Bytes that are not a frame of this protocol."""


# -- values -----------------------------------------------------------------------------------------


class TensorData(msgspec.Struct, tag="tensor", frozen=True):
    """A dense tensor whose bytes lie in the payload, in the order of `shape`.

    `order`: the permutation of those dimensions that gives the tensor, [] for none: a transposed input
    arrives transposed, and not contiguous.
    """

    dtype: str
    shape: list[int]
    offset: int
    requires_grad: bool = False
    order: list[int] = []


class Bytes(msgspec.Struct, tag="bytes", frozen=True):
    offset: int
    length: int


class NonFinite(msgspec.Struct, tag="float", frozen=True):
    """A float that JSON has no word for: "nan", "inf" or "-inf"."""

    text: str


class List(msgspec.Struct, tag="list", frozen=True):
    items: "list[Value]"


class Tuple(msgspec.Struct, tag="tuple", frozen=True):
    items: "list[Value]"


class Dict(msgspec.Struct, tag="dict", frozen=True):
    keys: "list[str | int]"
    items: "list[Value]"


class Handle(msgspec.Struct, tag="handle", frozen=True):
    """An object that stays in the worker: `id` names it in later requests, `kind` its class."""

    id: int
    kind: str


class Attribute(msgspec.Struct, tag="attribute", frozen=True):
    """The attribute `name` of a held object, looked up in the worker."""

    id: int
    name: str


class Odd(msgspec.Struct, tag="odd", frozen=True):
    """A tensor that cannot be sent as it is; `detail` says why ("on device meta")."""

    kind: str
    detail: str


Value = (
    None | bool | int | float | str
    | TensorData | Bytes | NonFinite | List | Tuple | Dict | Handle | Attribute | Odd
)  # fmt: skip

# -- messages ---------------------------------------------------------------------------------------


class Open(msgspec.Struct, tag="open", frozen=True):
    """Take the submission's files, import `student.<module>`, forbid the operations of `bans`."""

    module: str
    bans: str
    files: Dict


class Get(msgspec.Struct, tag="get", frozen=True):
    """Read the attribute `name` of a held object."""

    id: int
    name: str


class Call(msgspec.Struct, tag="call", frozen=True):
    """Call a held object, or its attribute `name`. With `differentiate`, keep the graph for `Pull`."""

    id: int
    name: str | None
    args: list[Value]
    kwargs: Dict
    differentiate: bool = False


class Pull(msgspec.Struct, tag="pull", frozen=True):
    """The vector-Jacobian product of the call that was kept as `call`, for the result's gradient."""

    call: int
    gradient: Value


class Next(msgspec.Struct, tag="next", frozen=True):
    """Go on to another task of the submission: True, or False where something is left of the last one."""

    module: str
    bans: str


class Reset(msgspec.Struct, tag="reset", frozen=True):
    """Forget the submission and restore torch's global state (a spawned worker between two tasks)."""


Request = Open | Get | Call | Pull | Next | Reset


class Hello(msgspec.Struct, tag="hello", frozen=True):
    """The worker's first word, before a byte of a submission: the sandbox layers that hold."""

    layers: list[str]


class Refused(msgspec.Struct, tag="refused", frozen=True):
    """In the place of Hello: a wanted sandbox layer could not be had, and the worker ends."""

    layer: str
    reason: str


class Returned(msgspec.Struct, tag="returned", frozen=True):
    """A result. `call` names the kept graph; `modules` are the submission's files that are loaded."""

    value: Value
    call: int = 0
    modules: list[str] = []


class Frame(msgspec.Struct, frozen=True):
    """One line of the student's own code in a traceback."""

    file: str
    line: int
    function: str
    text: str


class Raised(msgspec.Struct, tag="raised", frozen=True):
    """The code raised `exception`. `kind` is "error", "missing", "memory", "forbidden" or "refused"."""

    kind: str
    exception: str
    text: str
    frames: list[Frame] = []


class Running(msgspec.Struct, tag="running", frozen=True):
    """Before the answer, where it did not come in time and the worker was signalled: the lines that run now."""

    frames: list[Frame] = []


Answer = Hello | Refused | Returned | Raised | Running

_encoder = msgspec.json.Encoder()
_requests = msgspec.json.Decoder(Request)
_answers = msgspec.json.Decoder(Answer)


# -- plain values to wire values and back -----------------------------------------------------------


def _sendable(text: str) -> str:
    """The text, not too long, and with half surrogates, which no encoding has, replaced."""
    return text[:MAX_TEXT].encode("utf-8", "replace").decode()


class Packer:
    """Collects the payload of one frame while values are packed.

    `hold` is asked for what is not plain data: it returns the `Handle` (or `Attribute`) to send.
    """

    def __init__(self, hold: Any = None):
        self.chunks: list[bytes | memoryview] = []
        self.size = 0
        self._items = 0
        self._hold = hold

    def _append(self, data: bytes | memoryview) -> int:
        offset = self.size
        self.chunks.append(data)
        self.size += len(data)
        return offset

    def bytes(self, data: bytes) -> Bytes:
        return Bytes(self._append(data), len(data))

    def pack(self, value: Any, depth: int = 0) -> Value:
        """`value` as a wire value; raises `ValueError` where it is too deep or too large to send."""
        self._items += 1
        if depth > MAX_DEPTH or self._items > MAX_ITEMS:
            raise ValueError("the value is nested too deeply or holds too many items")
        if value is None or value is True or value is False:
            return value
        if isinstance(value, Tensor):
            return self._tensor(value)
        if isinstance(value, float):
            number = float(value)
            return number if math.isfinite(number) else NonFinite(str(number))
        if isinstance(value, int):
            number = int(value)
            return number if abs(number) < 2**63 else Odd("int", f"of {number.bit_length()} bits")
        if isinstance(value, str):
            return _sendable(str(value))
        if type(value) is list:
            return List([self.pack(item, depth + 1) for item in value])
        if isinstance(value, tuple):
            return Tuple([self.pack(item, depth + 1) for item in value])
        if isinstance(value, dict) and all(type(key) in (str, int) for key in value):
            keys = [_sendable(key) if type(key) is str else key for key in value]
            return Dict(keys, [self.pack(item, depth + 1) for item in value.values()])
        if self._hold is None:
            raise ValueError(f"a {type(value).__name__} cannot be sent")
        return self._hold(value)

    def _tensor(self, tensor: Tensor) -> Value:
        # hundreds a submission: what most tensors do not need is not done for them
        name = _NAMES.get(tensor.dtype)
        if tensor.layout is not torch.strided:
            return Odd("torch.Tensor", f"of layout {tensor.layout}")
        if not tensor.is_cpu:
            return Odd("torch.Tensor", f"on device {tensor.device}")
        if name is None:
            return Odd("torch.Tensor", f"of dtype {str(tensor.dtype).removeprefix('torch.')}")
        size = tensor.numel() * tensor.element_size()
        if size > MAX_PAYLOAD - self.size or tensor.dim() > MAX_DIMENSIONS:
            return Odd("torch.Tensor", f"of shape {tuple(tensor.shape)}, too large to send")
        plain = tensor.detach() if tensor.requires_grad else tensor
        if plain.is_conj() or plain.is_neg():
            plain = plain.resolve_conj().resolve_neg()
        order: list[int] = []
        if not plain.is_contiguous():
            strides = plain.stride()
            by_stride = sorted(range(plain.dim()), key=lambda dim: -strides[dim])
            if plain.permute(by_stride).is_contiguous():
                plain = plain.permute(by_stride)
                order = [by_stride.index(dim) for dim in range(len(by_stride))]
            plain = plain.contiguous()
        data: bytes | memoryview = b""
        if size > _JOINED or plain.dtype is torch.bfloat16:  # the latter has no name in NumPy
            data = plain.reshape(-1).view(torch.uint8).numpy().data
        elif size:
            data = plain.numpy().tobytes()
        return TensorData(name, list(plain.shape), self._append(data), tensor.requires_grad, order)


class _Payload:
    """The bytes that a value's tensors lie in. Each is given out once: many views of one piece, as copies,
    would be any amount of memory."""

    def __init__(self, data: memoryview):
        self._data = data
        self._left = len(data)

    def take(self, offset: int, length: int) -> memoryview:
        """A piece of the payload; raises `Malformed` where it is not inside, or was given out before."""
        if offset < 0 or length < 0 or offset + length > len(self._data):
            raise Malformed("a tensor or bytes outside the payload")
        self._left -= length
        if self._left < 0:
            raise Malformed("tensors that overlap in the payload")
        return self._data[offset : offset + length]


def unpack(value: Value, payload: memoryview, resolve: Any) -> Any:
    """The plain value of a wire value; `resolve` turns a `Handle`, `Attribute` or `Odd` into an object."""
    return _unpack(value, _Payload(payload), resolve, 0)


def _unpack(value: Value, payload: _Payload, resolve: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise Malformed("a value is nested too deeply")
    match value:
        case TensorData():
            return _unpack_tensor(value, payload)
        case NonFinite(text=text):
            if text not in ("nan", "inf", "-inf"):
                raise Malformed("not a float")
            return float(text)
        case List(items=items):
            return [_unpack(item, payload, resolve, depth + 1) for item in items]
        case Tuple(items=items):
            return tuple(_unpack(item, payload, resolve, depth + 1) for item in items)
        case Dict(keys=keys, items=items):
            if len(keys) != len(items):
                raise Malformed("a dict with as many keys as values was expected")
            return dict(
                zip(keys, (_unpack(item, payload, resolve, depth + 1) for item in items), strict=True)
            )
        case Bytes(offset=offset, length=length):
            return bytes(payload.take(offset, length))
        case Handle() | Attribute() | Odd():
            return resolve(value)
        case _:
            return value


def _unpack_tensor(value: TensorData, payload: _Payload) -> Tensor:
    """A fresh tensor from its bytes; raises `Malformed` where they are not inside the payload."""
    dtype = DTYPES.get(value.dtype)
    if dtype is None:
        raise Malformed("unknown dtype")
    if len(value.shape) > MAX_DIMENSIONS or not all(map(_SIZES.__contains__, value.shape)):
        raise Malformed("impossible shape")
    count = math.prod(value.shape)
    piece = payload.take(value.offset, count * dtype.itemsize)
    if value.order and sorted(value.order) != list(range(len(value.shape))):
        raise Malformed("not an order of dimensions")
    if count == 0:
        try:
            tensor = torch.empty(value.shape, dtype=dtype)
        except RuntimeError:  # sizes that overflow all the same, as of [0, 2**39, 2**39]
            raise Malformed("impossible shape") from None
        return tensor.permute(value.order) if value.order else tensor
    # copied, so that it is aligned and nothing else can reach its memory
    data = bytearray(piece)
    # by torch: Python's own `max` takes four seconds for what one message may hold
    if dtype is torch.bool and bool((torch.frombuffer(data, dtype=torch.uint8) > 1).any()):
        raise Malformed("a bool that is neither 0 nor 1")
    tensor = torch.frombuffer(data, dtype=dtype).view(value.shape)
    return tensor.permute(value.order) if value.order else tensor


# -- frames -----------------------------------------------------------------------------------------


def encode(
    request_id: int, message: Request | Answer, packer: Packer | None = None
) -> list[bytes | memoryview]:
    """The pieces of one frame, to be written one after the other (small ones are joined)."""
    text = _encoder.encode(message)
    if len(text) > MAX_JSON:
        raise ValueError("the message is too large to send")
    chunks, size = (packer.chunks, packer.size) if packer else ([], 0)
    head = PREFIX.pack(MAGIC, request_id, len(text), size) + text
    if size <= _JOINED:
        return [b"".join([head, *chunks])]
    return [head, *chunks]


def decode_prefix(data: bytes) -> tuple[int, int, int]:
    """Request id, bytes of JSON and bytes of payload; raises `Malformed`."""
    magic, request_id, json_size, payload_size = PREFIX.unpack(data)
    if magic != MAGIC:
        raise Malformed("not a frame")
    if json_size > MAX_JSON or payload_size > MAX_PAYLOAD:
        raise Malformed("a frame over its size limit")
    return request_id, json_size, payload_size


def read_frame(
    more: Callable[[], bytes | memoryview], expected: int | None = None
) -> tuple[int, bytes, memoryview]:
    """Request id, JSON and payload of one frame; `more` gives the next bytes, at least one.

    Raises `Malformed`, also for a frame of another id than the expected one, and for bytes after it.
    """
    data = bytearray()  # grown as bytes come, not as a prefix claims
    while len(data) < PREFIX.size:
        data += more()
    request_id, json_size, payload_size = decode_prefix(bytes(data[: PREFIX.size]))
    if expected is not None and request_id != expected:
        raise Malformed("an answer to no question")
    start, end = PREFIX.size + json_size, PREFIX.size + json_size + payload_size
    while len(data) < end:
        data += more()
    if len(data) > end:
        raise Malformed("more than a frame")
    return request_id, bytes(data[PREFIX.size : start]), memoryview(data)[start:]


def decode_answer(text: bytes) -> Answer:
    """The worker's message; raises `Malformed`."""
    return _decode(_answers, text)


def decode_request(text: bytes) -> Request:
    """The trusted side's message; raises `Malformed`."""
    return _decode(_requests, text)


def _decode(decoder: msgspec.json.Decoder, text: bytes) -> Any:
    try:
        return decoder.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, ValueError) as error:
        raise Malformed("a message of no known kind") from error
