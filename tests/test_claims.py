"""The verdicts on the write-up's claims, by the rule that the report states."""

import math
from dataclasses import replace

import pytest

from grader.reproduce import writeup
from grader.reproduce.checkpoint import EpochResult, RunState
from grader.reproduce.claims import Verdict, claims
from grader.reproduce.experiments import ALL_IMAGES, EXPERIMENTS, Images, Setting, runs_of
from grader.reproduce.summary import groups

MAX_EPOCHS = 100


def state(run, epochs_to_target: float, best: float | None = None) -> RunState:
    """A finished run that reaches its target after so many epochs (infinite: not at all)."""
    run = replace(run, max_epochs=MAX_EPOCHS, curve_epochs=0)
    length = MAX_EPOCHS if math.isinf(epochs_to_target) else int(epochs_to_target)
    below = run.target - 0.02 if best is None else best
    accuracies = [below] * length
    if not math.isinf(epochs_to_target):
        accuracies[-1] = run.target
    return RunState(
        run, {}, tuple(EpochResult(0.1, 0.9, (0.1,), (accuracy,), 1.0) for accuracy in accuracies)
    )


def judged(name: str, epochs: dict[Setting, list[float]], best: float | None = None) -> dict[str, Verdict]:
    """The verdicts on an experiment whose settings took so many epochs, one a seed, by the claims' texts."""
    states = []
    for run in runs_of(name, [0]):
        for seed, number in enumerate(epochs.get(run.setting, ())):
            states.append(state(replace(run, seed=seed), number, best))
    return {claim.text: claim.verdict for claim in claims(groups(states), None)}


WRITE_UPS = {
    "mnist": {Setting(1e-3): [8], Setting(1e-3, 5e-4): [9], Setting(1e-4): [20], Setting(1e-4, 5e-4): [23]},
    "fashion-mnist": {
        Setting(1e-3): [6],
        Setting(1e-3, 5e-4): [8],
        Setting(1e-4): [51],
        Setting(1e-4, 5e-4): [40],
    },
}


ORDERS = {
    "the fastest setting",
    "the slowest setting",
    "a higher rate is faster",
    "weight decay only slows",
    "decay helps at 1e-4 and 5e-4 and hurts at 1e-3",
}


@pytest.mark.parametrize("name", WRITE_UPS)
def test_the_write_ups_own_numbers_agree_with_it(name):
    assert set(judged(name, WRITE_UPS[name]).values()) == {Verdict.AGREES}


@pytest.mark.parametrize(
    ("ours", "verdict"),
    [
        ([8], Verdict.AGREES),
        ([12], Verdict.AGREES),  # within a factor of 1.5
        ([13], Verdict.DIFFERS),
        ([5], Verdict.DIFFERS),
        ([3, 20, 5], Verdict.AGREES),  # within the range
        ([math.inf], Verdict.NOT_REACHED),
        ([math.inf, math.inf, 8], Verdict.NOT_REACHED),  # the median did not reach it
        ([math.inf, 7, 9], Verdict.AGREES),
    ],
)
def test_epochs_are_judged_by_range_and_factor(ours, verdict):
    found = judged("mnist", {Setting(1e-3): ours})
    assert found["lr 1e-3, wd 0 reaches 99 % after so many epochs"] == verdict


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10"])
def test_settings_of_which_none_reached_the_target_have_no_order(name):
    states = [state(run, math.inf) for run in runs_of(name, [0])]
    of_settings = [claim for claim in claims(groups(states), None) if claim.text in ORDERS]
    assert len(of_settings) >= 3
    for claim in of_settings:
        assert (claim.ours, claim.verdict) == ("none reached the target", Verdict.NOT_REACHED)
        assert "at best" in claim.why


@pytest.mark.parametrize(
    ("plain", "decayed", "verdict"),
    [(8, 9, Verdict.AGREES), (8, 8, Verdict.AGREES), (9, 8, Verdict.DIFFERS)],
)
def test_decay_only_slows_mnist(plain, decayed, verdict):
    found = judged("mnist", {Setting(1e-3): [plain], Setting(1e-3, 5e-4): [decayed]})
    assert found["weight decay only slows"] == verdict


@pytest.mark.parametrize(
    ("at_1e3", "at_1e4", "verdict"),
    [
        ((6, 8), (51, 40), Verdict.AGREES),
        ((6, 6), (51, 40), Verdict.DIFFERS),  # a tie neither helps nor hurts
        ((6, 8), (51, 51), Verdict.DIFFERS),
        ((8, 6), (51, 40), Verdict.DIFFERS),
    ],
)
def test_decay_helps_fashion_mnist_at_low_rates_only(at_1e3, at_1e4, verdict):
    settings = Setting(1e-3), Setting(1e-3, 5e-4), Setting(1e-4), Setting(1e-4, 5e-4)
    epochs = dict(zip(settings, ([n] for n in (*at_1e3, *at_1e4)), strict=True))
    found = judged("fashion-mnist", epochs)
    assert found["decay helps at 1e-4 and 5e-4 and hurts at 1e-3"] == verdict


@pytest.mark.parametrize(
    ("epochs", "verdict"),
    [({1e-3: 5, 5e-4: 7, 1e-4: 20}, Verdict.AGREES), ({1e-3: 8, 5e-4: 7, 1e-4: 20}, Verdict.DIFFERS)],
)
def test_a_higher_rate_is_faster_at_each_decay(epochs, verdict):
    found = judged("mnist", {Setting(lr): [number] for lr, number in epochs.items()})
    assert found["a higher rate is faster"] == verdict


@pytest.mark.parametrize(
    ("epochs", "best", "verdict"),
    [
        (math.inf, 0.63, Verdict.AGREES),
        (math.inf, 0.60, Verdict.DIFFERS),
        (30, 0.63, Verdict.DIFFERS),
    ],
)
def test_the_stalled_run_on_cifar10(epochs, best, verdict):
    found = judged("cifar10", {Setting(1e-3): [epochs]}, best)
    assert found["lr 1e-3, wd 0 stalls before 65 %"] == verdict


def test_data_sets_on_none_of_which_the_target_was_reached_have_no_order():
    states = [state(runs_of(name, [0])[0], math.inf) for name in ("mnist", "cifar10")]
    (claim,) = (claim for claim in claims(groups(states), None) if claim.experiment == "all data sets")
    assert claim.verdict == Verdict.NOT_REACHED


@pytest.mark.parametrize(("cifar10", "verdict"), [(90, Verdict.AGREES), (7, Verdict.DIFFERS)])
def test_the_order_of_the_data_sets(cifar10, verdict):
    states = [
        state(replace(runs_of(name, [0])[0], setting=Setting(5e-4)), epochs)
        for name, epochs in (("mnist", 8), ("fashion-mnist", 11), ("cifar10", cifar10))
    ]
    (claim,) = (claim for claim in claims(groups(states), None) if claim.experiment == "all data sets")
    assert claim.verdict == verdict
    assert "MNIST 8, Fashion-MNIST 11" in claim.ours


@pytest.mark.parametrize(
    ("on_negatives", "on_both", "verdicts"),
    [
        (0.2, 0.9895, {Verdict.AGREES}),
        (0.29, 0.992, {Verdict.AGREES}),
        (0.31, 0.98, {Verdict.DIFFERS}),
    ],
)
def test_accuracies_on_negatives(on_negatives, on_both, verdicts):
    positives, both = runs_of("negatives", [0])

    def after(run, *accuracies):
        epoch = EpochResult(0.1, 0.9, tuple(0.1 for _ in accuracies), accuracies, 1.0)
        return RunState(run, {}, (epoch,) * run.max_epochs)

    states = [after(positives, 0.99, on_negatives), after(both, 0.99, on_both, on_both)]
    assert {claim.verdict for claim in claims(groups(states), None)} == verdicts


def test_a_claim_that_differs_says_why():
    run = runs_of("mnist", [0])[0]
    for claim in claims(groups([state(run, 40)]), None):
        if claim.verdict != Verdict.AGREES:
            assert claim.why


def test_every_figure_of_the_write_up_is_of_a_setting_that_is_run():
    for name, figures in writeup.FIGURES.items():
        settings = EXPERIMENTS[name].settings
        assert figures.fastest.setting in settings
        assert figures.slowest.setting in settings
    assert {run.trained_on for run in runs_of("negatives", [0])} == {Images.POSITIVE, Images.COMBINED}
    assert runs_of("negatives", [0])[1].tested_on == ALL_IMAGES
