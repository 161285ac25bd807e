"""The trusted end of the wall: a worker as the checks use it, asked with deadlines.

A worker's bytes are read, decoded strictly and turned into plain values here; nothing of it is
trusted for more than that. Everything that can go wrong with a worker is an exception that carries
its outcome (`WorkerFailure` and its kin).
"""

import contextlib
import os
import random
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from grader.isolation import SANDBOXED, level_of
from grader.limits import LAST_WORD_SECONDS, READY_SECONDS, Limits
from grader.outcomes import Ending, KitError, Outcome
from grader.submission import Submission
from grader.worker import wire

OUTPUT_KEPT = 64_000  # bytes of a submission's printed output
MOST_FRAMES = 20  # lines of the submission that are kept of a stack
PIPES_CAN_BE_WAITED_FOR = sys.platform != "win32"
_READ = 1 << 18  # bytes


class WorkerFailure(Exception):
    """A request got no result. `outcome` says which of the outcomes this is."""

    outcome = Outcome.ERROR

    def __init__(self, message: str, frames: tuple[wire.Frame, ...] = ()):
        super().__init__(message)
        self.message = message
        self.frames = frames


class StudentError(WorkerFailure):
    """The student's code raised an exception."""


class MissingError(WorkerFailure):
    """The function is still a stub, or not there."""

    outcome = Outcome.MISSING


class OutOfMemoryError(WorkerFailure):
    """The student's code asked for more memory than it may have."""

    outcome = Outcome.MEMORY


class ForbiddenError(WorkerFailure):
    """The finished operation was used."""

    outcome = Outcome.FORBIDDEN


class TimeoutFailure(WorkerFailure):
    """No answer in time."""

    outcome = Outcome.TIMEOUT


class CrashedError(WorkerFailure):
    """The worker died, or its answer could not be read."""

    outcome = Outcome.CRASHED


@dataclass(frozen=True, slots=True)
class RemoteObject:
    """Something in a worker that is not plain data; `kind` is the name of its type."""

    id: int
    kind: str


@dataclass(frozen=True, slots=True)
class OddTensor:
    """A tensor that could not be sent; `detail` says why."""

    kind: str
    detail: str


class Budget:
    """The time that one submission may still use; shared by all its workers."""

    def __init__(self, seconds: float):
        self.seconds = self.left = seconds


# what the phrase that says how a worker died has in it where that is an outcome of its own
_DEATHS: dict[str, type[WorkerFailure]] = {
    "processor time": TimeoutFailure,
    "memory": OutOfMemoryError,
    "sandbox": ForbiddenError,
}


class Transport(Protocol):
    """How bytes get to a worker and back, and how the worker is ended."""

    def exchange(
        self, pieces: list[bytes | memoryview], request_id: int, deadline: float
    ) -> tuple[bytes, memoryview]:
        """Send one frame, return JSON and payload of the answer with the same id."""

    def ask(self, request_id: int) -> bytes:
        """JSON of what a worker says that has not answered that request in time: the lines that it runs.

        Raises `OSError`, `EOFError` or `Malformed` where it says nothing.
        """

    def end(self) -> Ending:
        """End the worker."""


class Worker:
    """One worker with one submission in it. Requests go one at a time; after a failure it is dead."""

    def __init__(self, transport: Transport, layers: list[str], limits: Limits, budget: Budget):
        self.layers = layers
        self.modules: list[str] = []  # the submission's files that were loaded at the last answer
        self.alive = True
        self.memory = 0  # once it has ended: the most bytes that it held beyond what it began with
        self._transport = transport
        self._limits = limits
        self._budget = budget
        self._ids = random.SystemRandom()

    def open(self, submission: Submission, module: str, bans: str) -> None:
        """Import `student.<module>` of the submission and forbid the operations of `bans`."""
        packer = wire.Packer()
        files = [packer.bytes(data) for data in submission.files.values()]
        names: list[str | int] = [name.encode("utf-8", "replace").decode() for name in submission.files]
        request = wire.Open(module, bans, wire.Dict(names, list(files)))
        self._request(request, packer, self._limits.load, f"importing student/{module}.py")

    def get(self, target: RemoteObject, name: str) -> Any:
        return self._request(wire.Get(target.id, name), wire.Packer(), self._limits.call, f"reading {name}")[
            0
        ]

    def call(
        self, id_: int, name: str | None, args: tuple[Any, ...], kwargs: dict[str, Any], differentiate: bool
    ) -> tuple[Any, int]:
        """The result of the call and the id of its kept graph (0 for none)."""
        packer = wire.Packer(_send_remote)
        request = wire.Call(
            id_,
            name,
            [packer.pack(value) for value in args],
            wire.Dict(list(kwargs), [packer.pack(value) for value in kwargs.values()]),
            differentiate,
        )
        return self._request(request, packer, self._limits.call, f"calling {name or 'it'}")

    def pull(self, call: int, gradient: Any) -> Any:
        packer = wire.Packer()
        request = wire.Pull(call, packer.pack(gradient))
        return self._request(request, packer, self._limits.call, "its backward pass")[0]

    def go_on(self, module: str, bans: str) -> bool:
        """Get ready for another task of the submission; False where the last one left something behind."""
        request = wire.Next(module, bans)
        return self._request(request, wire.Packer(), self._limits.load, "going on")[0] is True

    def reset(self) -> None:
        self._request(wire.Reset(), wire.Packer(), self._limits.call, "resetting the worker")

    def end(self) -> str:
        """End it; a phrase that says how it had died, "" where it had not."""
        self.alive = False
        ending = self._transport.end()
        self.memory = ending.memory
        return ending.how

    def _request(
        self, request: wire.Request, packer: wire.Packer, seconds: float, doing: str
    ) -> tuple[Any, int]:
        if not self.alive:
            raise CrashedError("the worker had died before")
        if self._budget.left <= 0:
            raise TimeoutFailure(f"the submission has used up its {self._budget.seconds:.0f} seconds")
        allowed = min(seconds, self._budget.left)
        request_id = self._ids.getrandbits(63)
        pieces = wire.encode(request_id, request, packer)
        try:
            start = time.monotonic()
            try:
                text, payload = self._transport.exchange(pieces, request_id, start + allowed)
            finally:
                self._budget.left -= time.monotonic() - start
            answer = wire.decode_answer(text)
            if isinstance(answer, wire.Raised):
                raise _failure(answer, level_of(self.layers) in SANDBOXED)
            if not isinstance(answer, wire.Returned):
                raise wire.Malformed("an answer of the wrong kind")
            self.modules = [str(name)[:200] for name in answer.modules[:200]]
            return wire.unpack(answer.value, payload, _receive_remote), answer.call
        except TimeoutError:
            frames = self._running(request_id)
            self.end()
            message = f"{doing} took longer than {allowed:.0f} seconds and was stopped"
            raise TimeoutFailure(message, frames) from None
        except wire.Malformed as error:
            self.end()
            raise CrashedError(f"{doing} gave an answer that cannot be read ({error})") from None
        except (EOFError, ConnectionError, BrokenPipeError):
            how = self.end()
            failure = next((kind for words, kind in _DEATHS.items() if words in how), CrashedError)
            raise failure(f"{doing} ended the process{how}") from None

    def _running(self, request_id: int) -> tuple[wire.Frame, ...]:
        """The lines of the submission that run now, the last called last; none where the worker does not say."""
        with contextlib.suppress(OSError, EOFError, wire.Malformed):
            answer = wire.decode_answer(self._transport.ask(request_id))
            if isinstance(answer, wire.Running):
                return tuple(answer.frames[:MOST_FRAMES])
        return ()


def _failure(raised: wire.Raised, sandboxed: bool) -> WorkerFailure:
    frames = tuple(raised.frames[:MOST_FRAMES])
    text = raised.text[:2000]
    match raised.kind:
        case "missing":
            if raised.exception == "NotImplementedError":
                where = f"{frames[-1].function} in {frames[-1].file}" if frames else "it"
                return MissingError(f"{where} is still the stub: it raises NotImplementedError")
            return MissingError(text)
        case "memory":
            return OutOfMemoryError(f"{raised.exception[:100]}: {text}", frames)
        case "forbidden":
            return ForbiddenError(
                f"torch's own {text} was called: the finished operation that this task asks for", frames
            )
        case "refused" if sandboxed:
            return ForbiddenError(
                f"{raised.exception[:100]}: {text}. The sandbox does not let a submission do this", frames
            )
        case _:
            return StudentError(
                f"{raised.exception[:100]}: {text}" if text else raised.exception[:100], frames
            )


def _send_remote(value: Any) -> wire.Handle | wire.Attribute:
    reference = getattr(value, "remote_reference", None)
    if reference is not None:
        return reference()
    raise TypeError(f"a {type(value).__name__} cannot be sent to a worker")


def _receive_remote(value: wire.Handle | wire.Attribute | wire.Odd) -> RemoteObject | OddTensor:
    match value:
        case wire.Handle(id=id_, kind=kind):
            return RemoteObject(id_, kind[:200])
        case wire.Odd(kind=kind, detail=detail):
            return OddTensor(kind[:200], detail[:200])
    raise wire.Malformed("a value that only requests may hold")


# -- transports -------------------------------------------------------------------------------------


class SocketTransport:
    """A worker at the other end of a socket, whose printed output is drained while we wait."""

    def __init__(
        self,
        channel: socket.socket,
        output: int,
        keep: bytearray,
        signal: Callable[[], None],
        end: Callable[[], Ending],
    ):
        self._channel = channel
        self._output: int | None = output
        self._keep = keep
        self._signal = signal
        self._end = end
        self._space = memoryview(bytearray(_READ))
        self._selector = selectors.DefaultSelector()
        channel.setblocking(False)
        self._selector.register(channel, selectors.EVENT_READ)
        self._reader: threading.Thread | None = None
        if PIPES_CAN_BE_WAITED_FOR:
            os.set_blocking(output, False)
            self._selector.register(output, selectors.EVENT_READ)
        else:
            self._output = None
            self._reader = threading.Thread(target=self._read_to_the_end, args=(output,), daemon=True)
            self._reader.start()

    def exchange(
        self, pieces: list[bytes | memoryview], request_id: int, deadline: float
    ) -> tuple[bytes, memoryview]:
        for piece in pieces:
            self._send(piece, deadline)
        return self.receive(request_id, deadline)

    def receive(self, request_id: int, deadline: float) -> tuple[bytes, memoryview]:
        _, text, payload = wire.read_frame(lambda: self._more(deadline), request_id)
        return text, payload

    def ask(self, request_id: int) -> bytes:
        self._signal()
        text, _ = self.receive(request_id, time.monotonic() + LAST_WORD_SECONDS)
        return text

    def end(self) -> Ending:
        ending = self._end()
        self._drain()
        if self._reader is not None:
            self._reader.join(1.0)  # what the worker left behind may hold the pipe open
        self._selector.close()
        self._channel.close()
        if self._output is not None:
            os.close(self._output)
            self._output = None
        return ending

    def _send(self, piece: bytes | memoryview, deadline: float) -> None:
        view = memoryview(piece)
        while view:
            try:
                view = view[self._channel.send(view) :]
            except BlockingIOError:
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise TimeoutError from None
                self._drain()
                with selectors.DefaultSelector() as writable:
                    writable.register(self._channel, selectors.EVENT_WRITE)
                    writable.select(min(remaining, 0.05))

    def _more(self, deadline: float) -> memoryview:
        """What has come, at least one byte, waiting until the deadline."""
        while True:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError
            for key, _ in self._selector.select(remaining):
                if key.fileobj is not self._channel:
                    self._drain()
                    continue
                count = self._channel.recv_into(self._space)
                if count == 0:
                    raise EOFError
                return self._space[:count]

    def _drain(self) -> None:
        if self._output is None:
            return
        for _ in range(64):  # bounded, so that a flood of output cannot hold us here past a deadline
            try:
                data = os.read(self._output, 65536)
            except BlockingIOError:
                return
            if not data:
                with contextlib.suppress(KeyError):
                    self._selector.unregister(self._output)
                return
            self._add(data)

    def _read_to_the_end(self, output: int) -> None:
        """Drain the output in a thread, whose own the descriptor is."""
        try:
            while data := os.read(output, 65536):
                self._add(data)
        finally:
            os.close(output)

    def _add(self, data: bytes) -> None:
        if len(self._keep) < OUTPUT_KEPT:
            self._keep += data[: OUTPUT_KEPT - len(self._keep)]


def greet(transport: SocketTransport, limits: Limits, budget: Budget) -> Worker:
    """Wait for the worker's hello: the sandbox layers that hold. Raises `KitError` where one is missing."""
    try:
        text, _ = transport.receive(0, time.monotonic() + READY_SECONDS)
        hello = wire.decode_answer(text)
        if isinstance(hello, wire.Refused):
            transport.end()
            raise KitError(f"a layer of the sandbox is missing: {hello.layer[:100]} ({hello.reason[:500]})")
        if not isinstance(hello, wire.Hello):
            raise wire.Malformed("no hello")
    except (EOFError, TimeoutError, OSError, wire.Malformed) as error:
        transport.end()
        raise KitError("a worker could not be started in its sandbox") from error
    return Worker(transport, [str(layer) for layer in hello.layers], limits, budget)
