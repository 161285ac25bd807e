"""The command `grade reproduce`, for students (their own network) and instructors (the reference)."""

import importlib.util
import math
import sys
from pathlib import Path
from typing import Annotated

import typer

from grader.reproduce.experiments import BATCH_SIZE, EXPERIMENTS, Setting
from grader.usage import did_you_mean, fail, messages

_NAMES = (*EXPERIMENTS, "all")
_DEVICES = ("auto", "cpu", "cuda")
_INSTRUCTORS = importlib.util.find_spec("grader.instructor") is not None  # not in a student's kit


def _complete(incomplete: str) -> list[str]:
    return [name for name in _NAMES if name.startswith(incomplete)]


def reproduce(
    experiments: Annotated[
        list[str] | None,
        typer.Argument(
            help="mnist, fashion-mnist, cifar10, negatives, remedies; none for all.", autocompletion=_complete
        ),
    ] = None,
    with_package: Annotated[
        str | None,
        typer.Option(
            "--with",
            help="Train with the LeNet5 and fit in this folder (student, solutions, a path), one run after "
            "the other. Without it: in the student's kit with student/, in the instructor's with the "
            "reference, many networks at once.",
        ),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
    seeds: Annotated[
        int | None,
        typer.Option(
            "--seeds", min=1, help="Runs of each setting.", show_default="5 on a GPU, 1 on the processor"
        ),
    ] = None,
    settings: Annotated[
        str | None,
        typer.Option("--settings", help="Other settings, RATE or RATE:DECAY with commas: 1e-3,5e-4:5e-4."),
    ] = None,
    max_epochs: Annotated[
        int | None, typer.Option("--max-epochs", min=1, help="End each run after so many.")
    ] = None,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Images a step.")] = BATCH_SIZE,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="The folder of results. -drawn and the name of the package's folder (-student) are added to "
            "the default's name.",
            show_default="results/reproduction",
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option("--data-dir", help="Where the data sets lie, or are downloaded to."),
    ] = None,
    drawn: Annotated[
        bool,
        typer.Option(
            "--drawn",
            help="Put digits drawn on the spot in the place of each data set, so that mnist and fashion-mnist "
            "give the same numbers; no download. Without --with, in the instructor's kit, all of it takes a "
            "minute or two. With a package's own fit one run takes about that long: name one experiment, as "
            "in grade reproduce mnist --drawn.",
        ),
    ] = False,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler",
            metavar="ADDRESS",
            help="Train on the workers of a Dask cluster (tcp://HOST:PORT, tls://...), not here.",
            hidden=not _INSTRUCTORS,
        ),
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write logs for TensorBoard into OUT/tensorboard.")
    ] = False,
) -> None:
    """Train the write-up's experiments and put its figures beside yours.

    Stopped, it goes on where it was: run the same command again. Finished runs are not repeated.
    """
    names = _experiments(experiments or ["all"])
    if device not in _DEVICES:
        fail(f"--device {device}: it is one of {', '.join(_DEVICES)}.")
    if scheduler is not None and not _INSTRUCTORS:
        fail("--scheduler is for the instructor's kit: it trains with the reference.")
    package = _package(with_package)
    if scheduler is not None and package is not None:
        fail("--scheduler trains with the reference, the fast way: leave out --with, or --scheduler.")
    if package is not None and "remedies" in names:
        if experiments and "all" not in experiments:
            fail(
                "The remedies change the network and the images, which --with does not: they are run with the "
                "reference alone. Leave out remedies, or --with."
            )
        names = tuple(name for name in names if name != "remedies")
    if out is None:
        out = Path("results", "reproduction" + ("-drawn" if drawn else ""))
        if package is not None:
            out = out.with_name(f"{out.name}-{package.resolve().name}")
    chosen = _settings(settings) if settings is not None else ()
    try:
        with messages():
            from grader.reproduce.command import Options, reproduce

            written = reproduce(
                Options(
                    experiments=names,
                    out=out,
                    device=device,
                    seeds=seeds,
                    settings=chosen,
                    max_epochs=max_epochs,
                    batch_size=batch_size,
                    data_dir=None if data_dir is None else str(data_dir),
                    drawn=drawn,
                    tensorboard=tensorboard,
                    package=package,
                    scheduler=scheduler,
                ),
                ["grade", *sys.argv[1:]],
            )
    except typer.Exit:
        print("The same command goes on after the last whole epoch.", file=sys.stderr)
        raise
    for path in written:
        print(path)


def _experiments(names: list[str]) -> tuple[str, ...]:
    """The experiments that were named, in their own order."""
    for name in names:
        if name not in _NAMES:
            fail(
                f"There is no experiment {name}.{did_you_mean(name, _NAMES)} Experiments: {', '.join(_NAMES)}."
            )
    return tuple(name for name in EXPERIMENTS if name in names or "all" in names)


def _settings(text: str) -> tuple[Setting, ...]:
    """Settings from RATE or RATE:DECAY with commas between."""
    found = []
    for part in text.split(","):
        rate, _, decay = part.strip().partition(":")
        try:
            lr, weight_decay = float(rate), float(decay or 0)
        except ValueError:
            fail(f"--settings {text}: {part.strip()!r} is no RATE or RATE:DECAY, such as 1e-3 or 5e-4:5e-4.")
        if not (math.isfinite(lr) and lr > 0):
            fail(f"--settings {text}: a learning rate is above 0 and finite, not {rate}.")
        if not (math.isfinite(weight_decay) and weight_decay >= 0):
            fail(f"--settings {text}: a weight decay is 0 or more and finite, not {decay}.")
        found.append(Setting(lr, weight_decay))
    return tuple(dict.fromkeys(found))


def _package(name: str | None) -> Path | None:
    """The folder that --with names; None for the reference's fast way, where that is at hand."""
    if name is None:
        if _INSTRUCTORS:
            return None
        name = "student"
    here = Path(name)
    if name == "solutions" and not here.is_dir():
        from grader.kit import ROOT

        here = ROOT / name
    if name == "student" and not here.is_dir() and Path("layers.py").is_file():
        here = Path()
    if not here.is_dir():
        fail(f"--with {name}: there is no such folder. Name the one that holds your layers.py.")
    return here
