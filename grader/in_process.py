"""A worker in this very process, for a debugger: `grade check --in-process`.

The same requests and the same decoding as through the wall, but no sandbox and no deadlines: what the
student's code does, it does to this process. Only for one's own code, never for grading.
"""

import pdb
import sys
import traceback
from pathlib import Path
from types import TracebackType

from grader.examination import OpenWorker
from grader.limits import Limits
from grader.outcomes import Ending
from grader.remote import Budget, Worker
from grader.worker import wire
from grader.worker.server import Server


class InProcessTransport:
    """Answers requests by a `Server` in this process."""

    def __init__(self, debug: bool):
        self._server = Server(on_error=_debug if debug else None)

    def exchange(
        self, pieces: list[bytes | memoryview], request_id: int, deadline: float
    ) -> tuple[bytes, memoryview]:
        answer, packer = self._server.answer(*_split(pieces))
        return _split(wire.encode(request_id, answer, packer))

    def ask(self, request_id: int) -> bytes:
        raise TimeoutError  # never asked: there are no deadlines

    def end(self) -> Ending:
        self._server.reset()
        return Ending()


def _split(pieces: list[bytes | memoryview]) -> tuple[bytes, memoryview]:
    """JSON and payload of a frame."""
    whole = b"".join(pieces)
    _, json_size, _ = wire.decode_prefix(whole[: wire.PREFIX.size])
    body = whole[wire.PREFIX.size :]
    return body[:json_size], memoryview(body)[json_size:]


def open_in_process(debug: bool) -> OpenWorker:
    """What `examine` takes as `open_worker`: gives a worker of this process for each task."""

    def open_worker(limits: Limits, budget: Budget, output: bytearray) -> Worker:
        return Worker(InProcessTransport(debug), [], limits, budget)

    return open_worker


def _debug(error: BaseException) -> None:
    """Open pdb where the student's code raised, on the real terminal."""
    inner = error.__traceback__
    while inner is not None and inner.tb_next is not None and _ours(inner):
        inner = inner.tb_next
    traceback.print_exception(error.with_traceback(inner))
    print("The code raised; `u` and `d` move through the frames, `q` goes on.", file=sys.stderr)
    pdb.post_mortem(inner)


def _ours(frame: TracebackType) -> bool:
    return Path(frame.tb_frame.f_code.co_filename).is_relative_to(Path(__file__).parent)
