"""A watch over a worker's memory, where the system itself has no limit for it (macOS, Windows)."""

import contextlib
import threading

LIMIT = 1 << 30  # bytes that a worker may add to what it had when it was ready
_EVERY = 0.05  # seconds


class MemoryWatch:
    """Ends the process when it has grown too far; `exceeded` says that it did. Needs psutil."""

    def __init__(self, pid: int, limit: int = LIMIT):
        import psutil  # only where it is used

        self.exceeded = False
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
            most = self._process.memory_info().rss + self._limit
            while not self._stopped.wait(_EVERY):
                if self._process.memory_info().rss > most:
                    self.exceeded = True
                    self._process.kill()
                    return
