"""The package whose network and training are run: `solutions`, or a student's own.

Unlike in grading, its code runs in this very process, with all rights of whoever started it: an experiment is
for one's own code.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from grader.outcomes import KitError
from grader.submission import read_folder
from grader.worker.sources import PACKAGE, SubmissionImporter


@dataclass(frozen=True)
class Package:
    """What an experiment needs of a package; `name` is how the results call it."""

    name: str
    network: Callable[..., nn.Module]
    fit: Callable[..., Any]

    def model(self, seed: int, in_channels: int, image_size: int) -> nn.Module:
        """Their LeNet5 with the initial weights of a seed. Raises `KitError` where it cannot be built."""
        torch.manual_seed(seed)
        try:
            return self.network(in_channels=in_channels, image_size=image_size)
        except Exception as error:
            raise KitError(
                _first(f"LeNet5(in_channels={in_channels}, image_size={image_size})", error)
            ) from error


@torch.no_grad()
def logits_of(model: nn.Module, images: Tensor, device: torch.device) -> Tensor:
    """Logits `(N, classes)`, on the CPU, of normalised images `(N, C, H, W)`; the model is not touched."""
    asked = deepcopy(model).to(device).eval()
    return torch.cat([asked(few.to(device)).cpu() for few in images.split(500)])


def load_package(folder: Path) -> Package:
    """The package in a folder that holds lenet.py and training.py, whichever way they import each other.

    Raises `KitError` where it does not import or lacks a name, `SubmissionError` where there is no such folder.
    """
    files = dict(read_folder(folder).files)
    importer = SubmissionImporter(files)
    importer.install()
    importer.show_sources()
    found = {}
    for module, wanted in (("lenet", "LeNet5"), ("training", "fit")):
        if f"{module}.py" not in files:
            raise KitError(f"{folder} holds no {module}.py. Name the folder that holds your layers.py.")
        try:
            value = getattr(import_module(f"{PACKAGE}.{module}"), wanted, None)
        except Exception as error:
            raise KitError(_first(f"importing {module}.py", error)) from error
        if not callable(value):
            raise KitError(f"{folder / module}.py has no {wanted}. See: grade check {wanted}")
        found[wanted] = value
    return Package(folder.resolve().name, found["LeNet5"], found["fit"])


def _first(what: str, error: Exception) -> str:
    """What raised, in one line, and how to see the rest."""
    if isinstance(error, NotImplementedError):
        return f"{what} is still a stub: fill it first (grade check says what is missing)."
    return f"{what} raised {type(error).__name__}: {error}. Check your work first: grade check"
