"""A pool examines submissions: work goes in, each piece comes back with its report.

    with LocalPool(processes, terms, submissions) as pool:
        for result in pool.each(work):   # (work, report as JSON), or None where only time has passed

`batch` knows no more of a pool than this (`Pool`), so that other machines can take the place of this one's
processes. Work is plain data, and reports are bytes. One submission never stops a pool: a process that
dies takes at most its own submission's verdict along, and what fails in the kit itself is a report, too.
"""

import multiprocessing.process
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing import connection
from multiprocessing.connection import Connection
from pickle import dumps
from typing import Protocol

from grader.instructor.examiners import Terms, Work, no_verdict, start_here
from grader.instructor.hosted import Host
from grader.outcomes import KitError
from grader.submission import SubmissionError

_TICK = 0.5  # seconds between two looks at the time left
ENDED_TWICE = "the kit's process that examined it ended twice, the second time with nothing beside it"

Result = tuple[Work, bytes]


class Pool(Protocol):
    """Something that examines submissions; a context within which it is ready to."""

    def __enter__(self) -> "Pool": ...

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None: ...

    def ready(self) -> bool:
        """Can an examination begin at once? `each` waits until one can."""

    def each(self, work: Iterable[Work]) -> Iterator[Result | None]:
        """Each piece of work with its report as JSON, in the order in which they are done.

        None where only time has passed. Takes no more work ahead than twice what it examines at once.
        """


@dataclass(slots=True)
class _Examiner:
    """A process that examines, and what it was given: the first is on its way, another may wait."""

    connection: Connection
    process: multiprocessing.process.BaseProcess | None  # None where it was forked from the host
    given: deque[Work] = field(default_factory=deque)

    def give(self, item: Work) -> bool:
        """Did it get there? If not, the process has ended."""
        self.given.append(item)
        try:
            self.connection.send_bytes(dumps(item))
        except OSError:
            return False
        return True

    def report(self) -> bytes | None:
        """On the first of what it was given; None where the process has ended."""
        try:
            return self.connection.recv_bytes()
        except (EOFError, OSError):
            return None

    def end(self, at_once: bool = False) -> None:
        self.connection.close()
        if self.process is not None:
            if at_once:
                self.process.kill()
            self.process.join()


class LocalPool:
    """Processes of this machine that examine submissions; another takes the place of one that dies.

    host: where they are forked from; it may be on its way already, and is closed here. Whoever entered the pool can do
    something else while it gets ready.
    """

    def __init__(self, processes: int, terms: Terms, submissions: int, host: Host | None = None):
        self._processes = processes
        self._terms = terms
        self._submissions = submissions
        self._host = host
        self._examiners: list[_Examiner] = []
        self._taken = 0
        self._again: deque[Work] = deque()  # waited in a process that died
        self._suspects: list[Work] = []  # a process died of one of these, or with it: each once more, alone

    def __enter__(self) -> "LocalPool":
        if self._host is not None:
            self._host.ask_for(self._terms, self._submissions)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        at_once = kind is not None  # do not wait for what nobody will take
        self._end_all(at_once)
        if self._host is not None:
            self._host.close(at_once)

    def ready(self) -> bool:
        """See `Pool`."""
        return self._host is None or self._host.ready()

    def each(self, work: Iterable[Work]) -> Iterator[Result | None]:
        """See `Pool`. Raises `SubmissionError` where nothing can be examined."""
        try:
            yield from self._each(iter(work))
        except KitError as error:
            raise SubmissionError(f"Nothing can be examined here: {error}.") from error

    def _each(self, work: Iterator[Work]) -> Iterator[Result | None]:
        self._hand_out(work, 2 * self._processes)
        while busy := [examiner for examiner in self._examiners if examiner.given]:
            ready = connection.wait([examiner.connection for examiner in busy], _TICK)
            if not ready:
                yield None
            done = [self._take(examiner) for examiner in busy if examiner.connection in ready]
            # first of all, since what is done with the results takes its time
            given = sum(len(examiner.given) for examiner in self._examiners)
            self._hand_out(work, 2 * self._processes - given - len(done))
            yield from filter(None, done)
        while self._suspects:
            self._end_all()
            yield from self._alone(self._suspects.pop())

    def _hand_out(self, work: Iterator[Work], room: int) -> None:
        """Give each examiner something to do, and something that waits while there is much left; `room` in all."""
        for most in (1, 2):
            if most == 2 and self._submissions - self._taken <= self._processes:
                return  # in the end, whoever is free first takes the next
            for _ in range(self._processes):
                free = next((examiner for examiner in self._examiners if len(examiner.given) < most), None)
                if room <= 0 or (free is None and len(self._examiners) == self._processes):
                    break
                item = self._again.popleft() if self._again else next(work, None)
                if item is None:
                    return
                room -= 1
                self._taken += 1
                if free is None:
                    free = self._open()
                if not free.give(item):
                    self._lost(free)

    def _take(self, examiner: _Examiner) -> Result | None:
        report = examiner.report()
        if report is None:
            self._lost(examiner)
            return None
        return examiner.given.popleft(), report

    def _lost(self, examiner: _Examiner) -> None:
        self._examiners.remove(examiner)
        examiner.end()
        if examiner.given:
            self._suspects.append(examiner.given.popleft())
        self._again += examiner.given
        self._taken -= len(examiner.given)

    def _alone(self, item: Work) -> Iterator[Result | None]:
        examiner = self._open()
        report = None
        if examiner.give(item):
            while not connection.wait([examiner.connection], _TICK):
                yield None
            report = examiner.report()
        yield item, report or no_verdict(item, self._terms.kit, ENDED_TWICE)

    def _open(self) -> _Examiner:
        if self._host is not None:
            examiner = _Examiner(self._host.fork(), None)
        else:
            others = [examiner.connection for examiner in self._examiners]
            examiner = _Examiner(*start_here(self._terms, others))
        self._examiners.append(examiner)
        return examiner

    def _end_all(self, at_once: bool = False) -> None:
        for examiner in self._examiners:
            examiner.connection.close()
        for examiner in self._examiners:
            examiner.end(at_once)
        self._examiners.clear()
