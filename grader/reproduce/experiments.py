"""The experiments as plain data: which networks are trained, on what, with which settings, for how long.

A *run* trains one LeNet-5 from one seed with Adam and cross-entropy. Its result is a function of the run's
own fields, the code and the machine: nothing here depends on the order in which runs are made, or on which
runs share a stack. The write-up's own figures are in `writeup`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum

BATCH_SIZE = 64


class Images(StrEnum):
    """Which images a network is trained or tested on."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    COMBINED = "combined"


class Remedy(StrEnum):
    """Remedies against overfitting, each tried alone."""

    CROP_AND_FLIP = "random crop and flip"  # of the image padded by 4 pixels; flipped with odds of 1/2
    ROTATION = "random rotation"  # by up to 15 degrees
    DROPOUT = "dropout"  # half of the values after fc1 and after fc2
    L2 = "L2 penalty"  # weight decay
    L1 = "L1 penalty"


@dataclass(frozen=True, order=True)
class Setting:
    """What an experiment varies: Adam's learning rate and weight decay (an L2 penalty)."""

    lr: float
    weight_decay: float = 0.0

    def __str__(self) -> str:
        return f"lr {short(self.lr)}, wd {short(self.weight_decay)}"


@dataclass(frozen=True)
class Run:
    """One training. Its `key` names what determines the result; the last two fields say how long it goes on.

    dataset: a name that `datasets.load` takes, or "drawn_digits". max_epochs: at most so many epochs;
    at least `curve_epochs` of them, even where `target` is reached before.
    """

    experiment: str
    dataset: str
    setting: Setting
    seed: int
    trained_on: Images = Images.POSITIVE
    tested_on: tuple[Images, ...] = (Images.POSITIVE,)
    remedy: Remedy | None = None
    batch_size: int = BATCH_SIZE
    target: float | None = None
    curve_epochs: int = 0
    max_epochs: int = 20

    @property
    def label(self) -> str:
        """What distinguishes the run's curve within its experiment, the seed left out."""
        if self.experiment == "remedies":
            return str(self.remedy or "plain")
        if self.experiment == "negatives":
            return f"trained on {'both' if self.trained_on == Images.COMBINED else 'positives'}"
        return str(self.setting)

    @property
    def key(self) -> str:
        """A name for the run, unique, fit for a file: what determines the result, without how long it lasts."""
        parts = [self.experiment, self.dataset, f"lr{short(self.setting.lr)}"]
        parts.append(f"wd{short(self.setting.weight_decay)}")
        if self.trained_on != Images.POSITIVE:
            parts.append(self.trained_on)
        if self.remedy is not None:
            parts.append(self.remedy.replace(" ", "-"))
        if self.batch_size != BATCH_SIZE:
            parts.append(f"batch{self.batch_size}")
        return "_".join([*parts, f"seed{self.seed}"])

    def finished(self, test_accuracy: Sequence[float]) -> bool:
        """Whether the run is over after these accuracies, one an epoch, of the first set it is tested on."""
        epochs = len(test_accuracy)
        if epochs >= self.max_epochs:
            return True
        if self.target is None or epochs < self.curve_epochs:
            return False
        return self.reached_after(test_accuracy) is not None

    def reached_after(self, test_accuracy: Sequence[float]) -> int | None:
        """The first epoch, counted from 1, whose accuracy is at least the target; None where none is."""
        if self.target is None:
            return None
        return next((i for i, accuracy in enumerate(test_accuracy, 1) if accuracy >= self.target), None)

    def as_data(self) -> dict[str, object]:
        """Plain values, for results.json."""
        return asdict(self) | {"key": self.key, "label": self.label}


def short(number: float) -> str:
    """0.0005 as 5e-4, as people write it."""
    if number == 0:
        return "0"
    mantissa, exponent = f"{number:e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


@dataclass(frozen=True)
class Experiment:
    """A data set, the accuracy to reach on it, and the settings to reach it with."""

    name: str
    title: str
    dataset: str
    settings: tuple[Setting, ...]
    target: float | None
    curve_epochs: int
    max_epochs: int


_RATES = (1e-3, 5e-4, 1e-4)
_SIX = tuple(Setting(lr, decay) for lr in _RATES for decay in (0.0, 5e-4))
_FIVE = (Setting(8e-4), Setting(8e-4, 5e-4), Setting(5e-4), Setting(5e-4, 5e-4), Setting(1e-4))
STALLED = Setting(1e-3)
"""The setting with which the write-up's run on CIFAR-10 stalled; the sixth beside its five."""

EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        Experiment("mnist", "MNIST", "mnist", _SIX, 0.99, curve_epochs=15, max_epochs=60),
        Experiment("fashion-mnist", "Fashion-MNIST", "fashion_mnist", _SIX, 0.90, 15, 90),
        Experiment("cifar10", "CIFAR-10", "cifar10", (STALLED, *_FIVE), 0.65, 20, 120),
        Experiment("negatives", "Negative images", "mnist", (Setting(1e-3),), None, 15, 15),
        Experiment("remedies", "Remedies against overfitting", "cifar10", (Setting(1e-3),), None, 30, 30),
    )
}
REMEDY_DECAY = 1e-3  # of the L2 remedy: twice the write-up's decay, so that it shows
L1_PENALTY = 2e-5
"""Times the sum of the parameters' absolute values, added to the loss of the L1 remedy."""

DRAWN_TARGET = 0.95
DRAWN_EPOCHS = {"curve": 4, "max": 8}
ALL_IMAGES = (Images.POSITIVE, Images.NEGATIVE, Images.COMBINED)


def runs_of(
    name: str,
    seeds: Iterable[int],
    settings: Sequence[Setting] = (),
    *,
    max_epochs: int | None = None,
    batch_size: int = BATCH_SIZE,
    drawn: bool = False,
) -> list[Run]:
    """The runs of an experiment. settings: in place of its own; drawn: on drawn digits, for some epochs.

    Runs that can share a stack come after each other.
    """
    experiment = EXPERIMENTS[name]
    run = Run(
        experiment=name,
        dataset=experiment.dataset,
        setting=experiment.settings[0],
        seed=0,
        batch_size=batch_size,
        target=experiment.target,
        curve_epochs=experiment.curve_epochs,
        max_epochs=experiment.max_epochs,
    )
    if drawn:
        run = replace(
            run,
            dataset="drawn_digits",
            target=None if run.target is None else DRAWN_TARGET,
            curve_epochs=DRAWN_EPOCHS["curve"],
            max_epochs=DRAWN_EPOCHS["max" if run.target is not None else "curve"],
        )
    if max_epochs is not None:
        run = replace(run, max_epochs=max_epochs, curve_epochs=min(run.curve_epochs, max_epochs))
    found = []
    for seed in seeds:
        for setting in settings or experiment.settings:
            one = replace(run, seed=seed, setting=setting)
            if name == "negatives":
                found += [
                    replace(one, tested_on=ALL_IMAGES[:2]),
                    replace(one, trained_on=Images.COMBINED, tested_on=ALL_IMAGES),
                ]
            elif name == "remedies":
                decayed = replace(setting, weight_decay=REMEDY_DECAY)
                found += [one, *(replace(one, remedy=remedy) for remedy in Remedy if remedy != Remedy.L2)]
                found.append(replace(one, remedy=Remedy.L2, setting=decayed))
            else:
                found.append(one)
    return found
