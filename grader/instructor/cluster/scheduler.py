"""A Dask scheduler as this machine sees it: which workers may be used, what is on its way, what came back.

A worker is used once it has shown that its kit is the same. It then gets an abstract resource of Dask's,
named after the kit and one for each of its threads, which every task asks for: so no task comes to another
worker, and those that join later, or come back, are used as soon as they are seen.
"""

import logging
import queue
import re
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, NoReturn, TypeVar

from grader.instructor.cluster.on_worker import Unfit
from grader.kit import kit_digest, versions
from grader.outcomes import KitError
from grader.terminal import clean

try:
    from distributed import Client, Future, KilledWorker
    from distributed.security import Security
except ImportError as error:
    raise KitError(
        '--scheduler needs Dask distributed: pip install distributed (or: pip install "lenet5-kit[cluster]").'
    ) from error

RESOURCE = f"lenet5-kit-{kit_digest()[:16]}"
CONNECT_SECONDS = 20.0
_TICK = 0.5  # seconds between two looks at the time left
_FETCH = 2.0  # seconds for a result to come, before other things are seen to
_LOOK = 1.0  # seconds between two looks for new workers

Say = Callable[[str], None]
Item = TypeVar("Item")


class Lost(Exception):
    """Dask gave a task up, since worker after worker died while it was there."""


@dataclass(frozen=True, slots=True)
class _Task(Generic[Item]):
    """What is on its way: `function` of `on_worker` with `arguments`, for `item`."""

    item: Item
    function: str
    arguments: tuple[Any, ...]
    retries: int


class Cluster(Generic[Item]):
    """Functions of `on_worker`, called on workers with the same kit; a context that holds the connection.

    say: gets a line where a worker is not used, or none is there. Raises `KitError` where nothing can be done.
    """

    def __init__(self, address: str, say: Say):
        self.address = address
        self.slots = 0  # tasks at once on the workers that are used
        self._say = say
        self.workers = 0  # that are used
        self._futures: dict[str, tuple[Future, _Task[Item]]] = {}
        self._done: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._refused: dict[str, str] = {}  # a worker's id -> what is said of it
        self._unsaid: list[str] = []
        self._next_look = 0.0
        self._waiting = False

    def __enter__(self) -> "Cluster[Item]":
        # what it logs of lost connections is said by us, and without tracebacks
        for name in ("distributed", "distributed.client", "tornado.application"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        # Dask's client checks neither at once, and ends with a traceback
        if not re.fullmatch(r"(tcp|tls)://[^/\s]+:\d+", self.address):
            raise KitError(
                f"--scheduler {clean(self.address)}: an address is tcp://HOST:PORT or tls://HOST:PORT, as the scheduler"
                " prints it when it starts."
            )
        if self.address.startswith("tls://") and not Security().get_connection_args("client")["ssl_context"]:
            raise KitError(
                f"{clean(self.address)} needs Dask's TLS settings here, too: the files of a certificate and of its"
                " authority, named in Dask's configuration or environment variables (docs/cluster.md)."
            )
        try:
            self._client = Client(
                self.address, timeout=CONNECT_SECONDS, set_as_default=False, name="lenet5-kit"
            )
        except (OSError, TimeoutError, ValueError, TypeError, RuntimeError) as error:
            raise KitError(
                f"No Dask scheduler answers at {clean(self.address)} ({_first_line(error)}). Is it running, and is"
                " the address the one that it printed? One with TLS has tls:// (docs/cluster.md)."
            ) from error
        try:
            self._check_scheduler()
            self._look()
        except BaseException:
            self._client.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        futures = [future for future, _ in self._futures.values()]
        self._futures.clear()
        try:
            if futures and self._client.status == "running":
                self._client.cancel(futures, force=True)
        finally:
            self._client.close(timeout=5)

    @property
    def in_flight(self) -> int:
        return len(self._futures)

    @property
    def room(self) -> int:
        """How many more tasks may be on their way: twice what the workers do at once, so that none waits."""
        return max(2 * self.slots - self.in_flight, 0)

    def submit(self, item: Item, function: str, *arguments: Any, retries: int = 0) -> None:
        """Call the function of `on_worker` on a worker; what it gives comes from `next_done`, with the item."""
        self._send(_Task(item, function, arguments, retries))

    def _send(self, task: "_Task[Item]") -> None:
        future = self._client.submit(
            by_value(task.function),
            *task.arguments,
            pure=False,
            resources={RESOURCE: 1},
            retries=task.retries,
        )
        self._futures[str(future.key)] = future, task
        future.add_done_callback(lambda done: self._done.put(str(done.key)))

    def keep(self, data: bytes) -> Future:
        """Bytes that many tasks take, sent once; Dask brings them again where a worker that had them is gone."""
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", "Sending large graph"
            )  # it is meant: so Dask can bring it again
            return self._client.submit(by_value("same"), data, pure=False, resources={RESOURCE: 1})

    def next_done(self) -> tuple[Item, bytes | Exception] | None:
        """A task that is done, with what it gave or raised; None where only some time has passed.

        What Dask gave up is `Lost`; a task of a worker that turned out to be unfit has gone to another.
        """
        if time.monotonic() >= self._next_look:
            self._look()
        try:
            key = self._done.get(timeout=_TICK)
        except queue.Empty:
            return None
        future, task = self._futures[key]
        if future.status == "cancelled":
            self._raise_lost()
        try:
            found: bytes | Exception = future.result(timeout=_FETCH)
        except TimeoutError:  # its worker is gone, and so it is made again
            self._done.put(key)
            return None
        except KilledWorker as error:
            found = Lost(
                f"{error.allowed_failures + 1} workers died while they had it, the last {error.last_worker}"
            )
        except Unfit as error:
            del self._futures[key]
            self._withdraw(error)
            self._send(task)
            return None
        except Exception as error:
            if self._client.status != "running":
                self._raise_lost()
            found = error
        del self._futures[key]
        return task.item, found

    # -- workers ------------------------------------------------------------------------------------

    def _check_scheduler(self) -> None:
        found: Any = self._client.get_versions()
        theirs = found["scheduler"]["host"]["python"]
        if _minor(theirs) != _minor(_python()):
            raise KitError(
                f"The scheduler at {self.address} runs Python {theirs}, this machine {_python()}. Dask needs the"
                " same minor version everywhere: start scheduler and workers from one environment or image."
            )

    def _look(self) -> None:
        """See which workers there are, and introduce those that are new."""
        self._next_look = time.monotonic() + _LOOK
        if self._client.status != "running":
            self._raise_lost()
        try:
            workers = self._client.scheduler_info(n_workers=-1)["workers"]
            new = [
                address
                for address, info in workers.items()
                if RESOURCE not in info["resources"] and info["id"] not in self._refused
            ]
            if new:
                self._introduce(new, workers)
                workers = self._client.scheduler_info(n_workers=-1)["workers"]
        except (OSError, TimeoutError):
            self._raise_lost()
        offered = [int(info["resources"].get(RESOURCE, 0)) for info in workers.values()]
        self.slots, self.workers = sum(offered), sum(slots > 0 for slots in offered)
        if not self.slots and self._unsaid:
            raise KitError("\n".join(["No worker can be used.", *self._unsaid]))
        while self._unsaid:
            self._say(self._unsaid.pop(0))
        waiting = not self.slots
        if waiting and not self._waiting:
            self._say(
                f"No worker at {self.address} that can be used: waiting for some to join. Ctrl-C stops."
            )
        elif self._waiting and not waiting:
            self._say("Workers have joined.")
        self._waiting = waiting

    def _introduce(self, addresses: list[str], workers: dict[str, Any]) -> None:
        scheduler: Any = self._client.scheduler
        pythons = self._client.sync(
            scheduler.broadcast, msg={"op": "versions"}, workers=addresses, on_error="ignore"
        )
        fit = []
        for address, found in pythons.items():
            if _minor(found["host"]["python"]) == _minor(_python()):
                fit.append(address)
            else:
                self._refuse(
                    workers[address]["id"], address, f"runs Python {found['host']['python']}, not {_python()}"
                )
        if not fit:
            return
        answers = self._client.run(_introduction(), kit_digest(), RESOURCE, workers=fit, on_error="return")
        for address, found in answers.items():
            if isinstance(found, Exception):  # it went away, most likely; if not, it is asked again
                continue
            if found["why"]:
                self._refuse(workers[address]["id"], address, found["why"])

    def _withdraw(self, unfit: Unfit) -> None:
        """Use a worker no more that was thought to be fit."""
        try:
            info = self._client.scheduler_info(n_workers=-1)["workers"].get(unfit.address)
            if info is not None and info["id"] not in self._refused:
                self._client.run(_withdrawal(), RESOURCE, workers=[unfit.address], on_error="return")
                text = f"The worker {clean(unfit.address)} is not used any more: it {clean(unfit.why)}."
                self._refused[info["id"]] = text
                self._unsaid.append(text)
        except (OSError, TimeoutError):
            self._raise_lost()
        self._look()

    def _refuse(self, worker: str, address: str, why: str) -> None:
        ours = ", ".join(f"{name} {version}" for name, version in versions().items())
        text = (
            f"The worker {clean(address)} is not used: it {clean(why)}. Here: {ours}, {_short(kit_digest())}. Install"
            " the same kit with the same packages there (docs/cluster.md) and start the worker anew."
        )
        self._refused[worker] = text
        self._unsaid.append(text)

    def _raise_lost(self) -> NoReturn:
        raise KitError(
            f"The connection to the scheduler at {self.address} is lost. What is finished is kept; the same command"
            " goes on from there."
        )


# -- sent by value ----------------------------------------------------------------------------------


def by_value(name: str) -> Callable[..., Any]:
    """The function of `on_worker` as something that can be sent through a scheduler that has no kit."""

    def call(*arguments: Any) -> Any:
        from importlib import import_module

        return getattr(import_module("grader.instructor.cluster.on_worker"), name)(*arguments)

    return call


def _introduction() -> Callable[..., Any]:
    async def introduce(digest: str, resource: str, dask_worker: Any) -> dict[str, str]:
        if sys.platform != "linux":
            return {"why": f"runs on {sys.platform}, and examinations on a cluster need Linux"}
        from distributed.core import Status

        try:
            from grader.instructor.cluster import on_worker  # noqa: F401
            from grader.kit import kit_digest, versions
        except ImportError as error:
            return {"why": f"has no instructor's kit ({error})"}
        if kit_digest() != digest:
            own = ", ".join(f"{name} {version}" for name, version in versions().items())
            return {"why": f"has another kit: {own}, digest {kit_digest()[:12]}"}
        await dask_worker.set_resources(**{resource: dask_worker.state.nthreads})
        if dask_worker.status is Status.running:
            # Dask looks for tasks that wait for such a worker only when a worker begins to run
            dask_worker.status = Status.paused
            dask_worker.status = Status.running
        return {"why": ""}

    return introduce


def _withdrawal() -> Callable[..., Any]:
    async def withdraw(resource: str, dask_worker: Any) -> None:
        await dask_worker.set_resources(**{resource: 0})

    return withdraw


def _python() -> str:
    return versions()["python"]


def _minor(version: str) -> tuple[str, ...]:
    return tuple(version.split(".")[:2])


def _short(digest: str) -> str:
    return f"digest {digest[:12]}"


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
