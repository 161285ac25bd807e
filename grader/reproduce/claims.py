"""Each claim and figure of the write-up beside ours, with a verdict by one rule.

The rule (`RULE` says it to the reader): an epoch count agrees where the write-up's lies within a factor of
`FACTOR` of our range over seeds; an accuracy within `POINTS`, one that the write-up gives with "about" or
"near" within `ABOUT`; a statistic within `CLOSE`; an order where it holds for our medians. *Not reached*
where the median run did not reach the target. Where something differs, the reason is computed from the runs.
"""

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import torch

from datasets import Dataset
from grader.reproduce import writeup
from grader.reproduce.experiments import EXPERIMENTS, STALLED, Images, Setting, short
from grader.reproduce.images import of_kind
from grader.reproduce.images import statistics as image_statistics
from grader.reproduce.summary import Group

FACTOR = 1.5
POINTS = 0.003
ABOUT = 0.10
NEAR = 0.015
CLOSE = 0.001
RULE = (
    f"An epoch count agrees where the write-up's lies within a factor of {FACTOR:g} of our range over seeds; "
    f'an accuracy within {100 * POINTS:.1f} points, one that the write-up gives with "about" within '
    f'{100 * ABOUT:.0f} points and with "near" within {100 * NEAR:.1f}; a mean or deviation within {CLOSE:g}; '
    "an order of settings or data sets where it holds for our medians (a tie for fastest or slowest agrees). "
    '"Not reached": the median run did not reach the target within its epochs. A run that did not reach the '
    "target counts as slower than every one that did."
)


class Verdict(StrEnum):
    """How our result stands to the write-up's."""

    AGREES = "agrees"
    DIFFERS = "differs"
    NOT_REACHED = "not reached"
    OTHER_DATA = "other data"  # drawn digits: nothing to compare


@dataclass(frozen=True)
class Claim:
    """What the write-up says, its figure and ours; why they differ, where they do."""

    experiment: str
    text: str
    theirs: str
    ours: str
    verdict: Verdict
    why: str = ""


def claims(found: Mapping[str, Sequence[Group]], mnist: Dataset | None) -> list[Claim]:
    """All claims for which there are runs. mnist: for the statistics of its images, where it was used."""
    made: list[Claim] = []
    for name in writeup.FIGURES:
        by_setting = {group.run.setting: group for group in found.get(name, ())}
        if by_setting:
            made += _of_data_set(name, by_setting)
    made += _order_of_data_sets(found)
    if "negatives" in found:
        made += _of_negatives(found["negatives"], mnist)
    drawn = any(group.run.dataset == "drawn_digits" for of_one in found.values() for group in of_one)
    return [replace(claim, verdict=Verdict.OTHER_DATA, why="") for claim in made] if drawn else made


# -- one data set -----------------------------------------------------------------------------------------


def _of_data_set(name: str, groups: Mapping[Setting, Group]) -> list[Claim]:
    figures = writeup.FIGURES[name]
    target = f"{100 * (EXPERIMENTS[name].target or 0):g} %"
    asked = {s: g for s, g in groups.items() if s != STALLED or name != "cifar10"}
    made = []
    for reached in (figures.fastest, figures.slowest):
        if reached.setting in groups:
            group = groups[reached.setting]
            made.append(
                Claim(
                    name,
                    f"{reached.setting} reaches {target} after so many epochs",
                    str(reached.epochs),
                    group.epochs_in_words(),
                    verdict := _of_epochs(reached.epochs, group),
                    "" if verdict == Verdict.AGREES else _chance(group),
                )
            )
    orders: list[Claim] = []
    if len(asked) > 1:
        ends = ("fastest", figures.fastest.setting, min), ("slowest", figures.slowest.setting, max)
        for word, theirs, choose in ends:
            limit = choose(group.median for group in asked.values())
            ours = [setting for setting, group in asked.items() if group.median == limit]
            agrees = theirs in ours
            verdict = Verdict.NOT_REACHED if math.isinf(limit) else _verdict(agrees)
            words = " and ".join(map(str, ours))
            why = "; ".join(
                f"{setting}: {asked[setting].epochs_in_words()}"
                for setting in (theirs, *ours)
                if setting in asked and verdict != Verdict.AGREES
            )
            orders.append(Claim(name, f"the {word} setting", str(theirs), words, verdict, why))
        orders.append(_higher_is_faster(name, asked))
    if name == "mnist":
        orders += _decay(name, groups, "weight decay only slows", slows_at=None)
    if name == "fashion-mnist":
        orders += _decay(name, groups, "decay helps at 1e-4 and 5e-4 and hurts at 1e-3", slows_at=(1e-3,))
    if orders and all(math.isinf(group.median) for group in asked.values()):
        orders = [_none_reached(claim, asked) for claim in orders]
    made += orders
    if name == "cifar10" and STALLED in groups:
        group = groups[STALLED]
        stalled = math.isinf(group.median)
        near = abs(group.best - writeup.STALLED_NEAR) <= NEAR
        made.append(
            Claim(
                name,
                f"{STALLED} stalls before {target}",
                f"near {100 * writeup.STALLED_NEAR:.0f} %",
                f"best {100 * group.best:.2f} %; target: {group.epochs_in_words()}",
                _verdict(stalled and near),
                "" if stalled and near else _chance(group),
            )
        )
    return made


def _none_reached(claim: Claim, groups: Mapping[Setting, Group]) -> Claim:
    """A claim on the order of settings, none of which reached the target: there is no order."""
    setting, best = max(groups.items(), key=lambda of_one: of_one[1].best)
    why = f"at best {100 * best.best:.2f} % in {len(best.states[0].history)} epochs ({setting})"
    return replace(claim, ours="none reached the target", verdict=Verdict.NOT_REACHED, why=why)


def _of_epochs(theirs: int, group: Group) -> Verdict:
    if math.isinf(group.median):
        return Verdict.NOT_REACHED
    low, high = group.range
    return _verdict(low / FACTOR <= theirs <= high * FACTOR)


def _verdict(agrees: bool) -> Verdict:
    return Verdict.AGREES if agrees else Verdict.DIFFERS


def _chance(group: Group) -> str:
    """How much of an epoch count is chance: the accuracy's jitter beside its gain an epoch, near the target."""
    target = group.run.target or 0
    jitters, gains = [], []
    for state in group.states:
        best = state.test_accuracy.index(max(state.test_accuracy)) + 1
        reached = state.run.reached_after(state.test_accuracy) or best
        near = state.test_accuracy[max(0, reached - 6) : reached + 4]
        if len(near) > 3:
            steps = [after - before for before, after in itertools.pairwise(near)]
            jitters.append(statistics.stdev(steps))
            gains.append(statistics.mean(steps))
    ours = f"ours: {len(group.states)} seed{'s' if len(group.states) > 1 else ''}"
    if not jitters:
        return f"{ours}."
    jitter, gain = 100 * statistics.median(jitters), 100 * statistics.median(gains)
    moves = (
        f"around {100 * target:g} % the accuracy moves by {jitter:.2f} points from one epoch to the next and gains "
        f"{gain:.2f}"
    )
    if math.isinf(group.median):
        return (
            f"at best {100 * group.best:.2f} % in {len(group.states[0].history)} epochs, where the accuracy moves by "
            f"{jitter:.2f} points from one epoch to the next: whether a run crosses the line is decided by its seed "
            f"({ours})."
        )
    if jitter > gain:
        return f"{moves}: the first epoch beyond the line is largely chance, and the write-up has one run ({ours})."
    return (
        f"{moves}: more than chance between two epochs. The write-up says neither its initial weights nor its "
        f"order of images nor, exactly, its preprocessing ({ours})."
    )


def _higher_is_faster(name: str, groups: Mapping[Setting, Group]) -> Claim:
    against = []
    for decay in sorted({setting.weight_decay for setting in groups}):
        rates = sorted((s.lr for s in groups if s.weight_decay == decay), reverse=True)
        for higher, lower in itertools.pairwise(rates):
            fast, slow = groups[Setting(higher, decay)], groups[Setting(lower, decay)]
            if fast.median > slow.median:
                against.append(
                    f"{fast.run.setting}: {fast.epochs_in_words()}; {slow.run.setting}: {slow.epochs_in_words()}"
                )
    return Claim(
        name,
        "a higher rate is faster",
        "yes",
        "yes, at each decay (or as fast)" if not against else "not always",
        _verdict(not against),
        "; ".join(against),
    )


def _decay(
    name: str, groups: Mapping[Setting, Group], text: str, slows_at: Sequence[float] | None
) -> list[Claim]:
    """Whether decay slows at these rates (None: at all) and helps at the others."""
    said, against = [], []
    for lr in sorted({setting.lr for setting in groups}, reverse=True):
        pair = [groups.get(Setting(lr, decay)) for decay in (0.0, 5e-4)]
        plain, decayed = pair
        if plain is None or decayed is None:
            continue
        words = f"{Setting(lr)}: {plain.epochs_in_words()}, with decay {decayed.epochs_in_words()}"
        said.append(words)
        slows = slows_at is None or lr in slows_at
        # "only slows" admits a tie, "helps" does not
        holds = plain.median <= decayed.median if slows else plain.median > decayed.median
        if not holds or (slows_at is not None and plain.median == decayed.median):
            against.append(f"lr {short(lr)}")
    if not said:
        return []
    why = f"not at {', '.join(against)}: {_seeds_of(groups)}." if against else ""
    return [Claim(name, text, "yes", "; ".join(said), _verdict(not against), why)]


def _seeds_of(groups: Mapping[Setting, Group]) -> str:
    """What the medians rest on."""
    most = max(len(group.states) for group in groups.values())
    if most == 1:
        return "one seed of each setting, and the next seed may take several epochs more or less"
    spread = max(
        (high - low for low, high in (group.range for group in groups.values()) if math.isfinite(high)),
        default=0,
    )
    return f"medians of up to {most} seeds, between which one setting differs by up to {spread:g} epochs"


def _order_of_data_sets(found: Mapping[str, Sequence[Group]]) -> list[Claim]:
    names = [name for name in writeup.FIGURES if name in found]
    if len(names) < 2:
        return []
    medians = {name: statistics.median_high([group.median for group in found[name]]) for name in names}
    ordered = all(medians[a] < medians[b] for a, b in itertools.pairwise(names))
    words = ", ".join(
        f"{EXPERIMENTS[name].title} {'not reached' if math.isinf(m) else format(m, 'g')}"
        for name, m in medians.items()
    )
    theirs = " < ".join(EXPERIMENTS[name].title for name in names)
    return [
        Claim(
            "all data sets",
            "which data set is learnt in the fewest epochs",
            theirs,
            f"median over the settings: {words}",
            Verdict.NOT_REACHED if all(map(math.isinf, medians.values())) else _verdict(ordered),
        )
    ]


# -- negative images --------------------------------------------------------------------------------------


def _of_negatives(groups: Sequence[Group], mnist: Dataset | None) -> list[Claim]:
    made: list[Claim] = []
    if mnist is not None:
        for images, theirs in (
            (Images.POSITIVE, writeup.POSITIVE_STATISTICS),
            (Images.NEGATIVE, writeup.NEGATIVE_STATISTICS),
        ):
            true = image_statistics(of_kind(mnist, images).train.images)
            ours = float(true.mean), float(true.std)
            agrees = all(abs(a - b) <= CLOSE for a, b in zip(theirs, ours, strict=True))
            made.append(
                Claim(
                    "negatives",
                    f"mean and deviation of the {images}s",
                    "{:.4f} / {:.4f}".format(*theirs),
                    "{:.4f} / {:.4f} (all training images)".format(*ours),
                    _verdict(agrees),
                    "" if agrees else _one_batch(of_kind(mnist, images), theirs, ours),
                )
            )
    for group in groups:
        run = group.run
        if run.trained_on == Images.POSITIVE:
            at = run.tested_on.index(Images.NEGATIVE)
            curves = [[epoch.test_accuracy[at] for epoch in state.history] for state in group.states]
            last = statistics.median(curve[-1] for curve in curves)
            low, high = min(map(min, curves)), max(map(max, curves))
            made.append(
                Claim(
                    "negatives",
                    "accuracy on negatives of a network trained on positives",
                    f"about {100 * writeup.ON_NEGATIVES:.0f} %",
                    f"{100 * last:.1f} % ({100 * low:.0f} to {100 * high:.0f} % over epochs and seeds)",
                    _verdict(abs(last - writeup.ON_NEGATIVES) <= ABOUT),
                    "nothing in training holds this number still: it moves by "
                    f"{100 * _mean_step(curves):.0f} points from one epoch to the next.",
                )
            )
        else:
            for images in (Images.NEGATIVE, Images.COMBINED):
                at = run.tested_on.index(images)
                curves = [[epoch.test_accuracy[at] for epoch in state.history] for state in group.states]
                then = [curve[min(writeup.BOTH_EPOCHS, len(curve)) - 1] for curve in curves]
                after_ten = statistics.median(then)
                end = statistics.median(curve[-1] for curve in curves)
                made.append(
                    Claim(
                        "negatives",
                        f"trained on both: accuracy on the {images} test set after {writeup.BOTH_EPOCHS} epochs",
                        f"{100 * writeup.BOTH_ACCURACY:.2f} %",
                        f"{100 * after_ten:.2f} % ({100 * end:.2f} % after {len(curves[0])})",
                        verdict := _verdict(abs(after_ten - writeup.BOTH_ACCURACY) <= POINTS),
                        ""
                        if verdict == Verdict.AGREES
                        else "the accuracy moves by "
                        f"{100 * _mean_step(curves):.2f} points from one epoch to the next.",
                    )
                )
    return made


def _mean_step(curves: Sequence[Sequence[float]]) -> float:
    """The mean size of the change from one epoch to the next."""
    steps = [abs(b - a) for curve in curves for a, b in itertools.pairwise(curve)]
    return statistics.mean(steps) if steps else 0.0


def _one_batch(dataset: Dataset, theirs: Sequence[float], true: Sequence[float]) -> str:
    """How likely one shuffled batch gives statistics as far off as the write-up's."""
    generator = torch.Generator().manual_seed(0)
    images = dataset.train.images
    sentences = []
    for size in (64, 256):
        far = 0
        for _ in range(_BATCHES):
            batch = images[torch.randint(len(images), (size,), generator=generator)].float() / 255
            mean, std = float(batch.mean()), float(batch.std())
            far += abs(mean - true[0]) >= abs(theirs[0] - true[0]) or abs(std - true[1]) >= abs(
                theirs[1] - true[1]
            )
        sentences.append(f"{100 * far / _BATCHES:.0f} % of batches of {size} images")
    return (
        "the statistics of a whole set do not depend on chance; those of one shuffled batch do: "
        f"{' and '.join(sentences)} are at least as far off. The write-up's two means do not add up to 1, as those "
        "of a set and its negative must, so they come from two different samples."
    )


_BATCHES = 1000
