"""Starts an untrusted program: `python -I boot.py zygote LEVEL CONTROL` or `... spawned LEVEL FD SECONDS`.

`python -I boot.py probe LEVEL` takes the layers of a level on, says which hold, and ends.

Run as a script, so that only `grader.worker` and `datasets` of the kit can be imported from here on:
not the checks, not `grader.instructor`, not `solutions`.
"""

import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

WORKER = Path(__file__).resolve().parent
ROOT = WORKER.parent.parent


class _OnlyDatasets:
    """Finds the kit's `datasets.py` where the kit is not installed among the libraries."""

    @staticmethod
    def find_spec(
        fullname: str, path: object = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != "datasets" or not (ROOT / "datasets.py").is_file():
            return None
        return importlib.util.spec_from_file_location(fullname, ROOT / "datasets.py")


def _narrow() -> None:
    sys.path[:] = [entry for entry in sys.path if entry and Path(entry).resolve() != ROOT]
    # an editable install maps the whole of `grader` by a finder of its own
    standard = ("BuiltinImporter", "FrozenImporter", "PathFinder")
    sys.meta_path[:] = [finder for finder in sys.meta_path if getattr(finder, "__name__", "") in standard]
    sys.meta_path.append(_OnlyDatasets)  # type: ignore[arg-type]
    for name, where in (("grader", []), ("grader.worker", [str(WORKER)])):
        module = ModuleType(name)
        module.__path__ = where
        sys.modules[name] = module


if __name__ == "__main__":
    _narrow()
    match sys.argv[1:]:
        case "zygote", level, control:
            from grader.worker import collector

            with collector.paused():
                from grader.worker import zygote

            zygote.main(zygote.control_socket(control), level)
        case "spawned", level, channel, seconds:
            from grader.worker import spawned

            spawned.main(spawned.receive_channel(channel), int(seconds), level)
        case "probe", level:
            from grader.worker import sandbox

            sandbox.probe(level)
