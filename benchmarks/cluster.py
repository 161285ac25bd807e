"""A Dask cluster on this machine, by Dask's own commands: for the figures of `grade all --scheduler`."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from timing import environ

BIN = Path(sys.executable).parent
_SECONDS = 60.0


@contextmanager
def started(threads: tuple[int, ...]) -> Iterator[str]:
    """A scheduler on loopback with a worker of so many threads each; its address."""
    with tempfile.TemporaryDirectory(prefix="dask-") as folder:
        file = Path(folder) / "scheduler.json"
        where = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(file)]
        commands = [["scheduler", "--port", "0", *where]]
        commands += [
            ["worker", "--nthreads", str(count), "--local-directory", folder, *where] for count in threads
        ]
        processes = [
            subprocess.Popen(
                [BIN / "dask", *command],
                env=environ(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for command in commands
        ]
        try:
            address = _address(file)
            _wait_for_workers(address, len(threads))
            yield address
        finally:
            for process in reversed(processes):
                process.terminate()
            for process in processes:
                process.wait()


def _address(file: Path) -> str:
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        if file.is_file() and (text := file.read_text()):
            return json.loads(text)["address"]
        time.sleep(0.1)
    raise RuntimeError("Dask's scheduler did not start")


def _wait_for_workers(address: str, count: int) -> None:
    code = (
        "import sys; from distributed import Client;"
        "Client(sys.argv[1]).wait_for_workers(int(sys.argv[2]), timeout=float(sys.argv[3]))"
    )
    command = [sys.executable, "-c", code, address, str(count), str(_SECONDS)]
    subprocess.run(command, check=True, env=environ(), stdin=subprocess.DEVNULL, capture_output=True)
