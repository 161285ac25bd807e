"""What a check expects: computed from `solutions/`, or, in a student's kit, read from recordings.

Both answer two questions about an experiment (see `grader.checking`): what does it give with the
right implementation, and which known mistake gives what the student's gave?
"""

import hashlib
import importlib
import importlib.util
import io
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Protocol

import torch
from torch import Tensor

from grader import compare
from grader.assignment import MODULES, TASKS
from grader.worker import probes

ROOT = Path(__file__).resolve().parent.parent
SOLUTIONS = ROOT / "solutions"
RECORDINGS = Path(__file__).parent / "checks" / "expectations.npz"

Experiment = Callable[[Any], Any]
Mistaken = list[tuple[str, Any]]  # hint, and what the experiment gives with that mistake


class Reference(Protocol):
    """Where expectations come from. `key` names the experiment: the check and its number in it."""

    def wanted(self, key: str, experiment: Experiment) -> Any:
        """What the experiment gives with the right implementation."""

    def mistaken(self, key: str, task: str, experiment: Experiment, wanted: Any) -> Mistaken:
        """What it gives with each known mistake of the task that does not give the wanted result."""


class LiveReference:
    """Runs experiments on `solutions/` and on the known mistakes."""

    def __init__(self) -> None:
        modules = load_solutions()
        names = {task.name: getattr(modules[task.module], task.name) for task in TASKS}
        self.solutions = SimpleNamespace(**names, probes=probes)
        # public checks have fixed seeds: what they expect is the same for every submission
        self._wanted: dict[str, Any] = {}
        self._mistaken: dict[str, Mistaken] = {}

    def wanted(self, key: str, experiment: Experiment) -> Any:
        if key in self._wanted:
            return self._wanted[key]
        result = run_local(experiment, self.solutions)
        if key.startswith("public/"):
            self._wanted[key] = result
        return result

    def mistaken(self, key: str, task: str, experiment: Experiment, wanted: Any) -> Mistaken:
        if key in self._mistaken:
            return self._mistaken[key]
        found = self._try_mistakes(task, experiment, wanted)
        if key.startswith("public/"):
            self._mistaken[key] = found
        return found

    def _try_mistakes(self, task: str, experiment: Experiment, wanted: Any) -> Mistaken:
        from grader.instructor.mistakes import MISTAKES

        found: Mistaken = []
        for mistake in MISTAKES.get(task, ()):
            implementation = SimpleNamespace(**{**vars(self.solutions), task: mistake.function})
            try:
                result = run_local(experiment, implementation)
            except Exception:  # this mistake does not even run on this input
                continue
            if compare.difference(result, wanted) is not None:
                found.append((mistake.hint, result))
        return found


class RecordedReference:
    """Reads what `grade release` recorded (`grader.instructor.recordings`)."""

    def __init__(self, path: Path = RECORDINGS):
        with zipfile.ZipFile(path) as archive:
            manifest = json.loads(archive.read("manifest.json"))
            self._arrays = torch_arrays(archive.read("arrays.npz"))
        self._experiments: dict[str, Any] = manifest["experiments"]
        self._hints: list[str] = manifest["hints"]

    def wanted(self, key: str, experiment: Experiment) -> Any:
        return from_plain(self._experiments[key]["wanted"], self._arrays)

    def mistaken(self, key: str, task: str, experiment: Experiment, wanted: Any) -> Mistaken:
        recorded = self._experiments[key]["mistaken"]
        return [(self._hints[hint], from_plain(tree, self._arrays)) for hint, tree in recorded]


def choose() -> Reference:
    """The live reference where `solutions/` is at hand, else the recordings."""
    return LiveReference() if (SOLUTIONS / "layers.py").is_file() else RecordedReference()


def load_solutions() -> dict[str, ModuleType]:
    """The solutions' modules by name, imported as the package `solutions` from beside `grader/`."""
    if "solutions" not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            "solutions", SOLUTIONS / "__init__.py", submodule_search_locations=[str(SOLUTIONS)]
        )
        assert spec is not None
        assert spec.loader is not None
        package = importlib.util.module_from_spec(spec)
        sys.modules["solutions"] = package
        spec.loader.exec_module(package)
    return {name: importlib.import_module(f"solutions.{name}") for name in MODULES}


def run_local(experiment: Experiment, implementation: Any) -> Any:
    """The experiment's result in this process, as plain data, with torch's generator left as it was."""
    state = torch.get_rng_state()
    try:
        return plain(experiment(implementation))
    finally:
        torch.set_rng_state(state)


def plain(value: Any) -> Any:
    """The result as it would have come from a worker: detached tensors, exact containers."""
    match value:
        case Tensor():
            return value.detach().clone()
        case dict():
            return {key: plain(item) for key, item in value.items()}
        case tuple():
            return tuple(plain(item) for item in value)
        case list():
            return [plain(item) for item in value]
    return value


# -- trees as JSON with arrays beside: the form of the recordings -----------------------------------


def to_plain(value: Any, arrays: dict[str, Tensor]) -> Any:
    """The tree as JSON values; its tensors are added to `arrays`, one for all that are equal."""
    match value:
        case Tensor():
            content = f"{value.dtype}{tuple(value.shape)}".encode() + value.contiguous().numpy().tobytes()
            name = hashlib.sha256(content).hexdigest()[:20]
            arrays[name] = value
            return {"tensor": name}
        case tuple():
            return {"tuple": [to_plain(item, arrays) for item in value]}
        case list():
            return {"list": [to_plain(item, arrays) for item in value]}
        case dict():
            return {"dict": [[key, to_plain(item, arrays)] for key, item in value.items()]}
        case float():
            return {"float": value.hex()}
    return value


def from_plain(value: Any, arrays: dict[str, Tensor]) -> Any:
    """The tree that `to_plain` made `value` from."""
    if not isinstance(value, dict):
        return value
    ((tag, content),) = value.items()
    match tag:
        case "tensor":
            return arrays[content]
        case "tuple":
            return tuple(from_plain(item, arrays) for item in content)
        case "list":
            return [from_plain(item, arrays) for item in content]
        case "dict":
            return {key: from_plain(item, arrays) for key, item in content}
        case _:
            return float.fromhex(content)


def torch_arrays(data: bytes) -> dict[str, Tensor]:
    """The arrays of an `.npz` file as tensors by name."""
    import numpy as np

    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
