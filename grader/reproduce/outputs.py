"""What comes out of an experiment, all made from the runs' states: results.json, curves.csv, figures, report."""

import csv
import io
import json
import math
import os
from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path

from grader.kit import ROOT, versions
from grader.outcomes import KitError
from grader.reproduce import figures, report
from grader.reproduce.checkpoint import RunState
from grader.reproduce.claims import claims
from grader.reproduce.images import source
from grader.reproduce.package import Package, load_package
from grader.reproduce.summary import groups

_CURVES = (
    *("experiment", "dataset", "lr", "weight_decay", "trained_on", "remedy", "batch_size", "seed"),
    *("epoch", "train_loss", "train_accuracy", "tested_on", "test_loss", "test_accuracy", "seconds"),
)


def write(
    states: Collection[RunState],
    out: Path,
    data_dir: str | None,
    package: Package | None,
) -> list[Path]:
    """Write everything that is read into `out`; the files to look at first.

    package: whose network draws the figures, None for the reference.
    Raises `KitError` where the folder cannot be written.
    """
    found = groups(states)
    of_mnist = "negatives" in found and found["negatives"][0].run.dataset == "mnist"
    made = claims(found, source("mnist", data_dir) if of_mnist else None)
    ordered = [state for together in found.values() for group in together for state in group.states]
    results = {
        "made": date.today().isoformat(),
        "versions": versions(),
        "claims": [asdict(claim) for claim in made],
        "runs": [_run(state) for state in ordered],
    }
    try:
        pictures = figures.draw(found, out / "figures", data_dir, package or load_package(ROOT / "solutions"))
        _replace(out / "results.json", json.dumps(results, indent=1, default=str) + "\n")
        _replace(out / "curves.csv", _curves(ordered))
        html, markdown = report.render(found, made, pictures, out / "figures")
        _replace(out / "report.html", html)
        _replace(out / "report.md", markdown)
    except OSError as error:
        raise KitError(
            f"the results could not be written into {out}: {error.strerror}. The runs are kept: make room or "
            "choose another folder, and run the same command again."
        ) from error
    return [out / "report.html", out / "report.md", out / "results.json", out / "curves.csv", out / "figures"]


def _replace(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    partial = path.with_name(f".{path.name}.part")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def _run(state: RunState) -> dict[str, object]:
    """A run with its settings and every epoch, as plain values; null for what is no number."""
    return {
        **state.run.as_data(),
        **state.made,
        "epochs": len(state.history),
        "epochs_to_target": state.run.reached_after(state.test_accuracy),
        "diverged": state.diverged,
        "history": [_finite(asdict(epoch)) for epoch in state.history],
    }


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _curves(states: Sequence[RunState]) -> str:
    """One line for each run, epoch and set of test images."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(_CURVES)
    for state in states:
        run = state.run
        settings = run.experiment, run.dataset, run.setting.lr, run.setting.weight_decay
        fixed = *settings, str(run.trained_on), str(run.remedy or ""), run.batch_size, run.seed
        for number, epoch in enumerate(state.history, 1):
            tests = zip(run.tested_on, epoch.test_loss, epoch.test_accuracy, strict=True)
            for images, loss, accuracy in tests:
                trained = number, epoch.train_loss, epoch.train_accuracy
                lines.writerow([*fixed, *trained, str(images), loss, accuracy, round(epoch.seconds, 4)])
    return text.getvalue()
