"""The policy: read strictly, with file, line and key; applied beside the raw score, never guessing."""

import datetime
from pathlib import Path

import pytest

from grader.assignment import TASKS
from grader.instructor.policy import Lateness, Policy, PolicyError, parse_handed_in, read_policy

FULL = {task.name: float(task.points) for task in TASKS}
BERLIN = 'due = 2026-03-28T12:00:00\nzone = "Europe/Berlin"\n'  # the clock changes in the night after


def policy(tmp_path: Path, text: str) -> Policy:
    path = tmp_path / "policy.toml"
    path.write_text(text, encoding="utf-8")
    return read_policy(path)


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ("due = 2026-05-01T23:59:00\n", 1, "due: this time names no zone"),
        (
            'zone = "UTC"\ngrase_minutes = 3\n',
            2,
            "grase_minutes: there is no such setting. Did you mean grace_minutes?",
        ),
        ('drop = ["fitt"]\n', 1, "drop: there is no task fitt. Did you mean fit?"),
        ('zone = "UTC"\n[extensions]\nanna = "x"\n', 3, "anna: write a time"),
        ("[bonus]\nanna = true\n", 2, "anna: write points"),
        ('due = 2026-05-01T00:00:00Z\npenalty_per_day = "200%"\n', 2, "penalty_per_day: write a share"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, line: int, key: str) -> None:
    with pytest.raises(PolicyError) as error:
        policy(tmp_path, text)
    assert f"policy.toml, line {line}, {key}" in str(error.value)


@pytest.mark.parametrize(
    ("handed_in", "days", "final"),
    [
        ("2026-03-28T11:00:00+00:00", 0, 55.0),
        ("2026-03-28T11:10:00+00:00", 0, 55.0),  # within the grace
        ("2026-03-28T11:11:00+00:00", 1, 55.0),  # the free day
        ("2026-03-29T10:10:00+00:00", 1, 55.0),  # noon again, an hour sooner: the clock changed
        ("2026-03-29T10:11:00+00:00", 2, 49.5),
        ("2026-05-28T11:11:00+00:00", 62, 27.5),  # the cap
    ],
)
def test_days_begin_at_the_due_time_of_day(tmp_path: Path, handed_in: str, days: int, final: float) -> None:
    rules = policy(
        tmp_path, BERLIN + 'grace_minutes = 10\nlate_days = 1\npenalty_per_day = "10%"\ncap = "50%"\n'
    )
    standing = rules.standing("anna", FULL, parse_handed_in(handed_in))
    assert (standing.days_late, standing.final, standing.raw) == (days, final, 55.0)


def test_an_unknown_time_gives_no_final_score_where_it_could_cost_points(tmp_path: Path) -> None:
    standing = policy(tmp_path, BERLIN + "penalty_per_day = 2\n").standing("anna", FULL, None)
    assert (standing.lateness, standing.final) == (Lateness.UNKNOWN, None)
    assert policy(tmp_path, BERLIN).standing("anna", FULL, None).final == 55.0


def test_extensions_drops_and_bonus_count(tmp_path: Path) -> None:
    rules = policy(
        tmp_path,
        BERLIN + 'penalty_per_day = 2\ndrop = ["fit"]\n[extensions]\nanna = 2\n[bonus]\nanna = 1.5\n',
    )
    time = datetime.datetime(2026, 3, 30, 9, 0, tzinfo=datetime.UTC)
    assert rules.standing("anna", FULL, time).final == 51.5
    assert rules.standing("ben", FULL, time).final == 46.0
    assert rules.possible == 50
