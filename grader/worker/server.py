"""Answers requests inside a worker: imports the submission, calls its functions, sends what they return.

Nothing here judges. A request that makes the student's code raise is answered with `Raised`; whatever
else goes wrong ends the process, and the trusted side names that.
"""

import contextlib
import importlib
import linecache
import random
import signal
import socket
import sys
import warnings
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from grader.worker import probes, wire
from grader.worker.finished import Ban, ForbiddenOperation
from grader.worker.sandbox import LayerMissing
from grader.worker.sources import PACKAGE, SubmissionImporter, file_of
from grader.worker.torch_setup import import_torch
from grader.worker.untouched import Untouched

torch = import_torch()

STUDENT, PROBES = 1, 2  # ids of the two objects that every worker holds
_FIRST_FREE_ID = 3
_KEPT_GRAPHS = 512  # `gradcheck` calls the function once for each input value before it goes back
_MAX_FRAMES = 12
_READ = 1 << 18  # bytes
_MAX_TEXT = 2000
_OUT_OF_MEMORY = ("not enough memory", "can't allocate memory", "Cannot allocate memory")


class Server:
    """The state of one worker: the submission's modules, held objects and kept graphs.

    `on_error` is called with an exception of the student's code before it is answered (a debugger).
    """

    def __init__(self, on_error: Callable[[BaseException], None] | None = None):
        self._objects: dict[int, Any] = {}
        self._next_id = _FIRST_FREE_ID
        self._graphs: dict[int, tuple[list[Any], Any]] = {}
        self._importer: SubmissionImporter | None = None
        self._ban = Ban("", self._student_line)
        self._untouched: Untouched | None = None
        self._module = ""  # the one of the task
        self._on_error = on_error

    def answer(self, text: bytes, payload: memoryview) -> tuple[wire.Answer, wire.Packer]:
        """The answer to one request, with the payload that belongs to it."""
        request = wire.decode_request(text)
        packer = wire.Packer(self._hold)
        self._ban.used.clear()
        try:
            answer = self._perform(request, payload, packer)
        except BaseException as error:  # SystemExit and KeyboardInterrupt of a student are answers, too
            self._show_sources()
            if self._on_error is not None and not isinstance(error, _Missing):
                self._on_error(error)
            answer, packer = _raised(error), wire.Packer()
        if self._ban.used:
            name, line = self._ban.used[0]
            used = ", ".join(dict.fromkeys(name for name, _ in self._ban.used))
            answer, packer = wire.Raised("forbidden", name, used, [line] if line else []), wire.Packer()
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except BaseException:  # a stream that the student closed or replaced
                continue
        return answer, packer

    def _perform(self, request: wire.Request, payload: memoryview, packer: wire.Packer) -> wire.Answer:
        match request:
            case wire.Open():
                self._open(request, payload)
                return self._returned(None, packer)
            case wire.Get(id=id_, name=name):
                return self._returned(self._attribute(id_, name), packer)
            case wire.Call():
                return self._call(request, payload, packer)
            case wire.Pull():
                return self._pull(request, payload, packer)
            case wire.Next(module=module, bans=bans):
                return self._returned(self._next(module, bans), packer)
            case wire.Reset():
                self.reset()
                return self._returned(None, packer)

    # -- the submission

    def _open(self, request: wire.Open, payload: memoryview) -> None:
        self._importer = SubmissionImporter(wire.unpack(request.files, payload, self._resolve))
        self._importer.install()
        self._untouched = Untouched(self._importer)
        self._import(request.module)
        self._forbid(request.bans)

    def _import(self, module: str) -> None:
        assert self._importer is not None
        assert self._untouched is not None
        _reseed()
        self._module = module
        self._objects = {PROBES: probes}
        if not self._importer.has(module):
            raise _Missing(f"there is no {file_of(module)}.py in the submission")
        self._objects[STUDENT] = importlib.import_module(f"{PACKAGE}.{module}")
        self._untouched.imported()

    def _next(self, module: str, bans: str) -> bool:
        """Get ready for another task; False where something is left of the last one."""
        if bans != self._ban.group:
            self._ban.lift()
        if self._untouched is None or self._importer is None:
            return False
        self._graphs.clear()
        if module == self._module:
            if not self._untouched.holds():
                return False
            _reseed()
            self._objects = {id_: self._objects[id_] for id_ in (STUDENT, PROBES)}
        else:
            if not self._untouched.holds_but_for_modules():
                return False
            self._importer.forget()
            self._import(module)
        if bans != self._ban.group:
            self._forbid(bans)
        return True

    def _forbid(self, bans: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own, about the overridden operators
            self._ban = Ban(bans, self._student_line)

    def reset(self) -> None:
        """Forget the submission and restore the state of torch that a student can change."""
        self._ban.lift()
        self._ban = Ban("", self._student_line)
        if self._importer is not None:
            self._importer.remove()
        self._importer = None
        self._objects.clear()
        self._graphs.clear()
        torch.set_default_dtype(torch.float32)
        torch.set_grad_enabled(True)
        torch.autograd.set_detect_anomaly(False)
        if torch.are_deterministic_algorithms_enabled():  # switching them imports torch's compiler
            torch.use_deterministic_algorithms(False)
        torch.set_num_threads(1)
        linecache.clearcache()

    def _show_sources(self) -> None:
        if self._importer is not None:
            self._importer.show_sources()

    def _student_line(self) -> wire.Frame | None:
        """The innermost line of the submission on this thread's stack."""
        lines = self.student_lines(sys._getframe(), most=1)
        return lines[0] if lines else None

    def student_lines(self, frame: FrameType | None, most: int = _MAX_FRAMES) -> list[wire.Frame]:
        """The innermost lines of the submission on the stack from `frame` on, the last called last."""
        self._show_sources()
        lines: list[wire.Frame] = []
        while frame is not None and len(lines) < most:
            code = frame.f_code
            if code.co_filename.startswith(f"{PACKAGE}/"):
                lines.append(_line(code.co_filename, frame.f_lineno, code.co_name))
            frame = frame.f_back
        return lines[::-1]

    # -- objects

    def _hold(self, value: Any) -> wire.Handle:
        id_ = self._next_id
        self._next_id += 1
        self._objects[id_] = value
        kind = type(value)
        module = str(kind.__module__)
        prefix = "" if module in ("builtins", "__main__") or module.startswith(PACKAGE) else f"{module}."
        return wire.Handle(id_, _sendable(f"{prefix}{kind.__qualname__}"[:200]))

    def _resolve(self, value: wire.Handle | wire.Attribute | wire.Odd) -> Any:
        match value:
            case wire.Handle(id=id_):
                return self._objects[id_]
            case wire.Attribute(id=id_, name=name):
                return self._attribute(id_, name)
        raise wire.Malformed("an odd value cannot be sent to a worker")

    def _attribute(self, id_: int, name: str) -> Any:
        holder = self._objects[id_]
        if id_ == STUDENT and not hasattr(holder, name):
            raise _Missing(f"{holder.__file__} has no {name}")
        return getattr(holder, name)

    # -- calls

    def _call(self, request: wire.Call, payload: memoryview, packer: wire.Packer) -> wire.Answer:
        function = self._objects[request.id]
        if request.name is not None:
            function = self._attribute(request.id, request.name)
        if not callable(function):
            raise TypeError(
                f"{request.name or 'it'} is {_article(type(function).__name__)}, not a function or class"
            )
        arguments = [wire.unpack(value, payload, self._resolve) for value in request.args]
        options = wire.unpack(request.kwargs, payload, self._resolve)
        inputs = []
        if request.differentiate:
            for value, sent in zip(
                (*arguments, *options.values()), (*request.args, *request.kwargs.items), strict=True
            ):
                if isinstance(sent, wire.TensorData) and sent.requires_grad:
                    inputs.append(value.requires_grad_(True))
        # in a process of its own gradients are on already; `--in-process` calls from inside an autograd function
        with torch.enable_grad() if request.differentiate else contextlib.nullcontext():
            result = function(*arguments, **options)
        call = 0
        if inputs and isinstance(result, torch.Tensor) and result.requires_grad:
            call = self._next_id
            self._next_id += 1
            self._graphs[call] = (inputs, result)
            for old in list(self._graphs)[:-_KEPT_GRAPHS]:
                del self._graphs[old]
        return self._returned(result, packer, call)

    def _pull(self, request: wire.Pull, payload: memoryview, packer: wire.Packer) -> wire.Answer:
        inputs, result = self._graphs[request.call]
        gradient = wire.unpack(request.gradient, payload, self._resolve)
        # a sum, not `grad_outputs`: torch imports sympy, half a second, to compare the shapes of those
        with torch.enable_grad():
            scalar = (result * gradient).sum()
        gradients = torch.autograd.grad(scalar, inputs, retain_graph=True, allow_unused=True)
        return self._returned(tuple(gradients), packer)

    def _returned(self, value: Any, packer: wire.Packer, call: int = 0) -> wire.Returned:
        # plain functions on plain tensors: a subclass must not have a say in how it is read
        with torch._C.DisableTorchFunctionSubclass():
            packed = packer.pack(value)
        modules = self._importer.loaded() if self._importer is not None else []
        return wire.Returned(packed, call, modules)


class _Missing(Exception):
    """The submission does not have what was asked for."""


def _article(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def _reseed() -> None:
    random.seed(0)
    torch.default_generator.manual_seed(0)  # `torch.manual_seed` walks the stack for CUDA's sake: 10 ms
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed(0)


def _line(file: str, line: int, function: str) -> wire.Frame:
    text = linecache.getline(file, line).strip()
    return wire.Frame(_sendable(file[:200]), line, _sendable(function[:100]), _sendable(text[:300]))


def _raised(error: BaseException) -> wire.Raised:
    frames = []
    innermost_is_student = False
    traceback: TracebackType | None = error.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        innermost_is_student = code.co_filename.startswith(f"{PACKAGE}/")
        if innermost_is_student:
            frames.append(_line(code.co_filename, traceback.tb_lineno, code.co_name))
        traceback = traceback.tb_next
    if isinstance(error, SyntaxError) and error.filename and error.filename.startswith(f"{PACKAGE}/"):
        frames.append(_line(error.filename, error.lineno or 0, ""))
    try:
        text = _sendable(str(error.msg if isinstance(error, SyntaxError) else error)[:_MAX_TEXT])
    except BaseException:  # an exception with a broken __str__
        text = ""
    kind = "error"
    if isinstance(error, _Missing) or (
        isinstance(error, NotImplementedError) and not text and innermost_is_student
    ):
        kind = "missing"
    elif isinstance(error, MemoryError) or any(words in text for words in _OUT_OF_MEMORY):
        kind = "memory"
    elif isinstance(error, ForbiddenOperation):
        kind = "forbidden"
    elif isinstance(error, PermissionError):
        kind = "refused"
    return wire.Raised(kind, _sendable(str(type(error).__name__)[:200]), text, frames[-_MAX_FRAMES:])


def _sendable(text: str) -> str:
    """The text with half surrogates, which no encoding has, replaced."""
    return text.encode("utf-8", "replace").decode()


def serve(channel: socket.socket, layers: list[str]) -> None:
    """Say hello with the layers that hold, then answer requests until the channel closes.

    Asked by SIGUSR1 in the middle of a request, say which lines of the submission run.
    """
    server = Server()
    asked: int | None = None

    def say_where(_: int, frame: FrameType | None) -> None:
        if asked is not None:
            _send(channel, wire.encode(asked, wire.Running(server.student_lines(frame))))

    if sys.platform != "win32":
        signal.signal(signal.SIGUSR1, say_where)
    _send(channel, wire.encode(0, wire.Hello(layers)))
    space = memoryview(bytearray(_READ))

    def more() -> memoryview:
        count = channel.recv_into(space)
        if count == 0:
            raise EOFError
        return space[:count]

    while True:
        try:
            request_id, text, payload = wire.read_frame(more)
        except EOFError:
            return
        asked = request_id
        answer, packer = server.answer(text, payload)
        asked = None
        _send(channel, wire.encode(request_id, answer, packer))


def refuse(channel: socket.socket, missing: LayerMissing) -> None:
    """Say in the place of hello which layer is missing: not a byte of a submission comes here."""
    _send(channel, wire.encode(0, wire.Refused(missing.layer, missing.reason)))


def _send(channel: socket.socket, pieces: list[bytes | memoryview]) -> None:
    for piece in pieces:
        channel.sendall(piece)
