"""`grade doctor --assignment`: the proof as a table, with what is wrong and what to do."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from grader.assignment import BY_NAME, TASKS
from grader.examine import close
from grader.instructor.authoring.proof import Finding, Proof
from grader.terminal import clean

_NAMED = 8  # things that are wrong with one finding and told one by one


def prove(root: Path, tasks: Sequence[str] | None = None) -> int:
    """Print the proof of the assignment in `root`; exit status 0 where all of it holds, else 1.

    tasks: examine only these tasks' mutants, None for all. Raises `KitError` where the kit itself is broken.
    """
    console = Console(highlight=False)
    chosen = [BY_NAME[name] for name in tasks] if tasks else list(TASKS)
    findings = []
    try:
        with console.status("") as status:
            for finding in Proof(root, chosen).findings():
                findings.append(finding)
                status.update(f"{finding.what}: {'holds' if finding.holds else 'does not hold'} ...")
    finally:
        close()
    console.print(_table(console, findings))
    for finding in findings:
        if not finding.holds:
            _print_wrong(console, finding)
    console.print()
    failed = sum(not finding.holds for finding in findings)
    if failed:
        console.print(f"{failed} of {len(findings)} do not hold.", style="red")
    else:
        console.print("The assignment holds together.", style="green")
    return int(failed > 0)


def _table(console: Console, findings: Sequence[Finding]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("the assignment")
    table.add_column("")
    table.add_column("seen", style="dim", overflow="fold")
    marks = {True: "✓ ", False: "✗ "} if console.encoding.startswith("utf") else {True: "", False: ""}
    for finding in findings:
        word, style = ("pass", "green") if finding.holds else ("fail", "red")
        table.add_row(finding.what, Text(f"{marks[finding.holds]}{word}", style), Text(clean(finding.seen)))
    return table


def _print_wrong(console: Console, finding: Finding) -> None:
    """What is wrong, by what is to be done about it."""
    console.print()
    console.print(Text(finding.what, style="bold"))
    for mend in dict.fromkeys(gap.mend for gap in finding.gaps):
        wrong = [clean(gap.wrong) for gap in finding.gaps if gap.mend == mend]
        if len(wrong) > _NAMED:
            wrong = [*wrong[:_NAMED], f"and {len(wrong) - _NAMED} more"]
        for one in wrong:
            console.print(Padding(Text(one), (0, 0, 0, 2)))
        if mend:
            console.print(Padding(Text(f"To do: {mend}", style="cyan"), (0, 0, 0, 4)))
