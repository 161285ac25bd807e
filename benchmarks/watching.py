"""How long `grade check --watch` takes from a save until its answer stands on the screen."""

import queue
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

FIRST_SECONDS, ANSWER_SECONDS = 120.0, 30.0
_SETTLED = 1.0  # seconds between an answer and the next save: nobody saves faster


def seconds_after_saves(
    command: Sequence[str], file: Path, saves: int, *, cwd: Path, env: Mapping[str, str]
) -> list[float]:
    """The time from each save of `file` until its `checked ...` line, for a watcher started by `command`."""
    process = subprocess.Popen(
        command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    lines: queue.Queue[tuple[float, str]] = queue.Queue()
    reader = threading.Thread(target=_read, args=(process.stdout, lines), daemon=True)
    reader.start()
    try:
        _wait_for("Watching", lines, FIRST_SECONDS)
        source = file.read_text(encoding="utf-8")
        found = []
        for number in range(saves):
            time.sleep(_SETTLED)
            saved = time.perf_counter()
            file.write_text(f"{source}# save {number}\n", encoding="utf-8")
            found.append(_wait_for("checked ", lines, ANSWER_SECONDS) - saved)
        return found
    finally:
        process.terminate()
        process.wait()


def _read(stream: IO[str], lines: "queue.Queue[tuple[float, str]]") -> None:
    for line in stream:
        lines.put((time.perf_counter(), line))


def _wait_for(start: str, lines: "queue.Queue[tuple[float, str]]", seconds: float) -> float:
    """When a line that begins so was printed."""
    end = time.perf_counter() + seconds
    seen = []
    while True:
        try:
            moment, line = lines.get(timeout=max(0.0, end - time.perf_counter()))
        except queue.Empty:
            raise RuntimeError(f"no line {start!r} within {seconds:.0f} s, but:\n{''.join(seen)}") from None
        if line.startswith(start):
            return moment
        seen.append(line)
