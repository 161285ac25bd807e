"""A watch over a worker's memory, where the system itself has neither limit nor account of it (macOS, Windows)."""

import contextlib
import threading

LIMIT = 1 << 30  # bytes that a worker may add to what it had when it was ready
_EVERY = 0.05  # seconds


class MemoryWatch:
    """Ends the process when it has grown too far; `exceeded` says that it did. Needs psutil.

    peak: the most bytes that it was seen to hold beyond what it had at the start.
    """

    def __init__(self, pid: int, limit: int = LIMIT):
        import psutil  # only where it is used

        self.exceeded = False
        self.peak = 0
        self._limit = limit
        self._process = psutil.Process(pid)
        self._gone = psutil.Error
        self._stopped = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def stop(self) -> None:
        """Watch no longer."""
        self._stopped.set()

    def _watch(self) -> None:
        with contextlib.suppress(self._gone):  # it ended by itself
            start = self._process.memory_info().rss
            while not self._stopped.wait(_EVERY):
                self.peak = max(self.peak, self._process.memory_info().rss - start)
                if self.peak > self._limit:
                    self.exceeded = True
                    self._process.kill()
                    return
