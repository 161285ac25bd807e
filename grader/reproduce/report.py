"""The report: one self-contained HTML page, and the same as Markdown beside the figures' files."""

import base64
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from grader.reproduce.claims import RULE, Claim
from grader.reproduce.experiments import EXPERIMENTS
from grader.reproduce.figures import Picture
from grader.reproduce.summary import Group


@dataclass(frozen=True)
class Table:
    """Headings and cells as text."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """One experiment in the report."""

    name: str
    title: str
    introduction: str
    claims: tuple[Claim, ...]
    tables: tuple[Table, ...]
    pictures: tuple[Picture, ...]


def render(
    found: Mapping[str, Sequence[Group]],
    claims: Sequence[Claim],
    pictures: Sequence[Picture],
    figures: Path,
) -> tuple[str, str]:
    """The report as HTML, with the figures of the folder inside, and as Markdown, with links to them."""
    sections = [_section(name, groups, claims, pictures) for name, groups in found.items()]
    states = [state for groups in found.values() for group in groups for state in group.states]
    made = [state.made for state in states]
    drawn = any(state.run.dataset == "drawn_digits" for state in states)
    content = {
        "commands": list(dict.fromkeys(one["command"] for one in made)),
        "rule": RULE,
        "drawn": drawn,
        "sections": sections,
        "overall": [claim for claim in claims if claim.experiment not in found],
        "counts": {
            verdict: sum(claim.verdict == verdict for claim in claims) for verdict in _verdicts(claims)
        },
        "runs": len(states),
        "epochs": sum(len(state.history) for state in states),
        "hours": sum(epoch.seconds for state in states for epoch in state.history) / 3600,
        "ways": sorted({"many networks at once" if one["way"] == "fast" else one["way"] for one in made}),
        "devices": sorted({one["device"] for one in made}),
        "versions": sorted(
            {f"torch {one['torch']}, Python {one['python']}, kit {one['kit']}" for one in made}
        ),
    }
    environment = Environment(
        loader=PackageLoader("grader.reproduce", ""),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
    )

    def inline(picture: Picture) -> Markup:
        data = base64.b64encode((figures / f"{picture.name}.png").read_bytes()).decode()
        return Markup("data:image/png;base64,{}").format(data)

    html = environment.get_template("report.html.j2").render(content, inline=inline)
    return html, environment.get_template("report.md.j2").render(content)


def _verdicts(claims: Sequence[Claim]) -> list[str]:
    return list(dict.fromkeys(claim.verdict for claim in claims))


def _section(
    name: str, groups: Sequence[Group], claims: Sequence[Claim], pictures: Sequence[Picture]
) -> Section:
    experiment = EXPERIMENTS[name]
    run = groups[0].run
    seeds = sorted({len(group.states) for group in groups})
    words = f"{' or '.join(map(str, seeds))} seed{'s' if seeds != [1] else ''} a setting"
    if run.target is not None:
        most = sorted({group.run.max_epochs for group in groups})
        introduction = (
            f"To {100 * run.target:g} % on the test images, at least {run.curve_epochs} epochs for the curves and "
            f"{' or '.join(map(str, most))} at most; batches of {run.batch_size}; {words}."
        )
        tables = (_settings(groups),)
    elif name == "negatives":
        introduction = (
            f"{run.max_epochs} epochs with Adam, {run.setting}; {words}. Positives and negatives are each "
            "normalised with their own training images' statistics, taken before padding; the network trained on "
            "both gets all images with the statistics of both together."
        )
        tables = (_kinds(groups),)
    else:
        introduction = (
            f"{run.max_epochs} epochs on {EXPERIMENTS[name].dataset} with Adam, lr {run.setting.lr:g}; {words}. "
            "Each remedy alone, against the plain run."
        )
        tables = (_remedies(groups),)
    return Section(
        name,
        experiment.title,
        introduction,
        tuple(claim for claim in claims if claim.experiment == name),
        tables,
        tuple(picture for picture in pictures if picture.experiment == name),
    )


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _settings(groups: Sequence[Group]) -> Table:
    return Table(
        (
            "setting",
            "seeds",
            "epochs to target: median (range)",
            "best test accuracy",
            "after the last epoch",
            "training accuracy then",
        ),
        tuple(
            (
                str(group.run.setting),
                str(len(group.states)),
                group.epochs_in_words(),
                _percent(group.best),
                _percent(statistics.median(state.test_accuracy[-1] for state in group.states)),
                _percent(statistics.median(state.history[-1].train_accuracy for state in group.states)),
            )
            for group in groups
        ),
    )


def _kinds(groups: Sequence[Group]) -> Table:
    rows = []
    for group in groups:
        for at, images in enumerate(group.run.tested_on):
            curves = [[epoch.test_accuracy[at] for epoch in state.history] for state in group.states]
            rows.append(
                (
                    group.run.label,
                    str(images),
                    _percent(statistics.median(curve[min(10, len(curve)) - 1] for curve in curves)),
                    _percent(statistics.median(curve[-1] for curve in curves)),
                    f"{_percent(min(map(min, curves)))} to {_percent(max(map(max, curves)))}",
                )
            )
    length = len(groups[0].states[0].history)
    return Table(
        (
            "network",
            "tested on",
            f"after {min(10, length)} epochs",
            f"after {length}",
            "over epochs and seeds",
        ),
        tuple(rows),
    )


def _remedies(groups: Sequence[Group]) -> Table:
    plain = next((group for group in groups if group.run.label == "plain"), groups[0])

    def last(group: Group) -> float:
        return statistics.median(state.test_accuracy[-1] for state in group.states)

    return Table(
        (
            "remedy",
            "best test accuracy",
            "after the last epoch",
            "against plain",
            "training accuracy then",
            "gap",
        ),
        tuple(
            (
                group.run.label,
                _percent(group.best),
                _percent(last(group)),
                f"{100 * (last(group) - last(plain)):+.2f} points",
                _percent(trained := statistics.median(s.history[-1].train_accuracy for s in group.states)),
                f"{100 * (trained - last(group)):.2f} points",
            )
            for group in groups
        ),
    )
