"""The write-up's own figures and claims: the only results in the kit that were typed in by hand.

From the course homework that the assignment follows ("CNN training on LeNet-5"): single runs with Adam and
cross-entropy, stopped at the first epoch whose test accuracy reaches the target.
"""

from dataclasses import dataclass

from grader.reproduce.experiments import Setting


@dataclass(frozen=True)
class Reached:
    """A setting and the number of epochs in which the write-up's run reached the target with it."""

    setting: Setting
    epochs: int


@dataclass(frozen=True)
class DataSetFigures:
    """What the write-up says of one data set."""

    fastest: Reached
    slowest: Reached


FIGURES = {
    "mnist": DataSetFigures(Reached(Setting(1e-3), 8), Reached(Setting(1e-4, 5e-4), 23)),
    "fashion-mnist": DataSetFigures(Reached(Setting(1e-3), 6), Reached(Setting(1e-4), 51)),
    "cifar10": DataSetFigures(Reached(Setting(8e-4), 9), Reached(Setting(1e-4), 94)),
}
STALLED_NEAR = 0.63
"""The test accuracy on CIFAR-10 at which the write-up's run with a rate of 1e-3 stalled."""

POSITIVE_STATISTICS = (0.1285, 0.3057)
NEGATIVE_STATISTICS = (0.8654, 0.3117)
"""Mean and deviation of MNIST's positives and negatives."""

ON_NEGATIVES = 0.20
"""The accuracy on negatives, about, of a network that was trained on positives."""

BOTH_ACCURACY, BOTH_EPOCHS = 0.9895, 10
"""Trained on both: the accuracy on the negative and on the combined test set, and after how many epochs."""
