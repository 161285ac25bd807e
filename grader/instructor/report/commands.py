"""`grade report`: the class report."""

from pathlib import Path
from typing import Annotated

import typer

from grader.instructor.export.commands import PolicyFile, Results, RosterFile, export_messages, write


def report(
    results: Results = Path("results"),
    anonymous: Annotated[
        bool,
        typer.Option("--anonymous", help="For showing in class: codes for names, nothing of hidden checks."),
    ] = False,
    policy: PolicyFile = None,
    roster: RosterFile = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The file to write.", show_default="report.html beside the records"),
    ] = None,
) -> None:
    """Write the class report: one HTML page that needs no network. Grades nothing."""
    with export_messages():
        import datetime

        from grader.instructor.report.anonymous import Names, course_key
        from grader.instructor.report.page import render
        from grader.instructor.standings import read_standings

        standings = read_standings(results, policy, roster)
        secret, lasting = course_key(standings.results) if anonymous else (None, True)
        names = Names((one.student for one in standings.everyone), standings.roster, secret)
        page = render(standings, names, datetime.datetime.now(datetime.UTC))
        path = out or standings.results / ("report-anonymous.html" if anonymous else "report.html")
        write(path, page.encode("utf-8", "replace"))
    print(f"{len(standings.everyone)} students: {path}")
    if not lasting:
        print("The course's secret is not at hand: codes for names are others in each report.")
    if not anonymous:
        print("It shows hidden checks: for instructors. To show it in class: grade report --anonymous")
