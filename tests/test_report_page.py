"""The class report: what it says of a class, without names for showing, and in a browser at 1,500 students."""

import base64
import gzip
import html
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, changed, examine, solution_files
from course_kit import report, result
from test_exports import records

from grader.instructor.report.statistics import discrimination
from grader.outcomes import Outcome
from grader.report import Report
from grader.submission import Submission

Grade = Callable[..., subprocess.CompletedProcess[str]]

HOSTILE = (
    "<script>window.owned = true</script>",
    "\"><img src=x onerror='window.owned = true'>",
    "</script><script>window.owned = true</script>",
    "{{ 7 * 7 }}`<b>`",
    "\u202eevil\x1b[31m",
)


def details(page: str) -> dict[str, Any]:
    """What the page unpacks when a student is opened."""
    packed = re.search(r'id="details">([^<]*)<', page)
    assert packed
    found: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(packed[1])))
    return found


# -- what it says -------------------------------------------------------------------------------------


def test_discrimination_is_the_correlation_with_the_rest_score() -> None:
    passed = [True, True, False, True, False, False, True, True, False, True, True, False]
    rest = [9.0, 7.5, 3.0, 8.0, 4.5, 2.0, 9.5, 6.0, 5.5, 3.5, 8.5, 1.0]
    mean_x, mean_y = sum(passed) / 12, sum(rest) / 12
    between = sum((x - mean_x) * (y - mean_y) for x, y in zip(passed, rest, strict=True))
    spread = (sum((x - mean_x) ** 2 for x in passed) * sum((y - mean_y) ** 2 for y in rest)) ** 0.5
    found = discrimination(passed, rest)
    assert found == pytest.approx(between / spread)  # Pearson's, of which it is a special case
    assert discrimination([True] * 12, rest) is None
    assert discrimination(passed, [1.0] * 12) is None
    assert discrimination(passed[:5], rest[:5]) is None


def test_what_needs_a_look_is_named(tmp_path: Path, grade: Grade) -> None:
    results = records(
        tmp_path,
        replace(report("anna"), level="A"),
        replace(report("ben"), level="D"),
        report("chloe", "", result("conv2d", 1.0, Outcome.NO_VERDICT, message="no space left")),
    )
    (results / "roster.csv").write_text("id\nanna\nben\nchloe\ndora\n")
    (results / "policy.toml").write_text("due = 2026-05-01T12:00:00Z\npenalty_per_day = 2\n")
    done = grade("report", results)
    assert done.returncode == 0, done.stderr
    assert "4 students" in done.stdout
    page = (results / "report.html").read_text("utf-8")
    assert "For instructors." in page
    assert "no space left" in page
    assert re.search(r"Level A: 1; Level D: 1", page)
    assert re.search(r">ben</button>\s* \(D\)", page)
    assert "<td>nothing handed in</td>" in page or ">nothing handed in</td>" in page
    unknown = page.partition("Time of handing in unknown")[2].partition("</section>")[0]
    assert [name for name in ("anna", "ben", "chloe", "dora") if f">{name}<" in unknown] == [
        "anna",
        "ben",
        "chloe",
    ]
    found = details(page)
    facts = {found["texts"][label]: found["texts"][value] for label, value in found["students"][0][0]}
    assert facts["Raw score"] == "55"
    assert facts["Handed in"] == "unknown"
    assert facts["Final score"] == "open of 55"


def test_time_and_memory_say_what_is_usual_and_who_took_most(tmp_path: Path, grade: Grade) -> None:
    usual = [
        replace(report(f"s{number}"), level="A", seconds=0.2, memory=40_000_000 + number)
        for number in range(8)
    ]
    large = replace(report("large"), level="A", seconds=0.3, memory=812_000_000)
    older = replace(report("older"), level="A", seconds=9.0)  # from before memory was in records
    results = records(tmp_path, *usual, large, older)
    assert grade("report", results).returncode == 0
    page = (results / "report.html").read_text("utf-8")
    section = page.partition('<section id="time"')[2].partition("</section>")[0]
    assert "known of 9 of 10 submissions" in section
    rows = re.findall(r"<tr><th[^>]*>(Time|Memory)</th>(.*?)</tr>", section, re.DOTALL)
    texts = {what: " ".join(html.unescape(re.sub(r"<[^>]*>", " ", row)).split()) for what, row in rows}
    assert texts["Time"].startswith("0.20 s 9.00 s 9.00 s older (9.00 s), large (0.30 s), s0")
    assert texts["Memory"].startswith("40 MB 812 MB 812 MB large (812 MB), s7 (40 MB), s6")
    assert "older" not in texts["Memory"]


def test_without_names_no_name_is_anywhere_in_the_file(tmp_path: Path, grade: Grade) -> None:
    wrong = result("conv2d", 2.0, message="ValueError in /home/anna.berg/layers.py", location="Anna's file")
    crashed = result("softmax", 1.0, Outcome.ERROR, message="raised by Ziegler")
    results = records(
        tmp_path,
        replace(report("anna.berg", "", wrong, problems=("no notebook of Anna",)), output="I am Anna Berg"),
        report("Ziegler", "", crashed),
    )
    (results / "roster.csv").write_text(
        "id,first_name,last_name,email\nanna.berg,Annika,Bergström,abe@example.org\nZiegler,Zoë,Ziegler,\n"
    )
    pages = []
    for _ in range(2):
        done = grade("report", results, "--anonymous", GRADE_SECRET="of the course")
        assert done.returncode == 0, done.stderr
        pages.append((results / "report-anonymous.html").read_text("utf-8"))
    whole = pages[0] + json.dumps(details(pages[0]), ensure_ascii=False)
    for name in ("anna", "berg", "Ziegler", "Annika", "Bergström", "abe@", "Zoë"):
        assert not re.search(rf"\b{name}", whole, re.IGNORECASE), name
    codes = [re.findall(r"Student [A-Z2-7]{5}", page) for page in pages]
    assert len(set(codes[0])) == 2
    assert codes[0] == codes[1]


# -- in a browser -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real() -> list[Report]:
    """Real reports of right, wrong and hostile submissions."""
    files = solution_files()
    stub = {
        name: re.sub(
            rb"### BEGIN SOLUTION.*?### END SOLUTION", b"raise NotImplementedError", data, flags=re.DOTALL
        )
        for name, data in files.items()
    }
    shouting = dict(files)
    hostile = "; ".join(HOSTILE)
    body = f"print({hostile!r}); raise ValueError({hostile!r})".encode()
    shouting["transforms.py"] = re.sub(
        rb"### BEGIN SOLUTION.*?### END SOLUTION",
        lambda _: body,
        shouting["transforms.py"],
        flags=re.DOTALL,
    )
    wrong = changed("layers", ("windows, weight)", "windows, weight.flip(-1, -2))"))
    handed_in = [Submission("right", files), Submission("stub", stub), Submission("hostile", shouting), wrong]
    return [examine(one, hidden=True, secret=b"secret") for one in handed_in]


@pytest.fixture(scope="module")
def page_of_1500(real: list[Report], tmp_path_factory: pytest.TempPathFactory) -> Path:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import class_records
    finally:
        sys.path.pop(0)
    folder = tmp_path_factory.mktemp("report")
    made = list(class_records.reports(real, 1500 - len(HOSTILE)))
    made += [
        replace(real[2], student=name, output=name, handed_in="2026-05-01T10:00:00+00:00") for name in HOSTILE
    ]
    class_records.write(folder, iter(made))
    (folder / "policy.toml").write_text(
        'due = 2026-05-01T23:59:00\nzone = "Europe/Berlin"\nlate_days = 1\npenalty_per_day = "10%"\n'
    )
    done = subprocess.run(
        [sys.executable, "-m", "grader", "report", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return folder / "report.html"


@pytest.fixture
def opened(page_of_1500: Path, browser: Any) -> Iterator[Any]:
    """The page in Chromium; fails where anything was asked for, or an error met."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    seen: list[str] = []
    page.on("pageerror", lambda error: seen.append(f"error {error}"))
    page.on("console", lambda message: seen.append(message.text) if message.type == "error" else None)
    page.on("dialog", lambda dialog: (seen.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.on(
        "request",
        lambda request: seen.append(request.url) if not request.url.startswith(("file:", "data:")) else None,
    )
    page.goto(page_of_1500.as_uri(), wait_until="load")
    yield page
    assert page.evaluate("window.owned") is None
    page.close()
    assert seen == []


def names(page: Any) -> list[str]:
    found: list[str] = page.eval_on_selector_all(
        "#table tbody tr:not([hidden])", "rows => rows.map(row => row.cells[0].innerText)"
    )
    return found


@pytest.mark.slow
def test_the_page_is_small_and_one_file(page_of_1500: Path) -> None:
    text = html.unescape(page_of_1500.read_text("utf-8"))
    assert page_of_1500.stat().st_size <= 5_000_000
    assert re.findall(r"""(?:src|href)=["'](?!#|data:)([^"']*)""", text) == []
    assert "default-src 'none'" in text
    assert "unsafe" not in text.partition("Content-Security-Policy")[2][:400]


@pytest.mark.slow
def test_the_table_sorts_filters_and_searches(opened: Any) -> None:
    assert len(names(opened)) == 1500
    opened.click('[data-sort="total"]')
    totals = opened.eval_on_selector_all("#table tbody tr", "rows => rows.map(row => row.cells[1].innerText)")
    values = [float(total) if total != "–" else -1.0 for total in totals]
    assert values == sorted(values)
    opened.click('[data-sort="total"]')
    assert opened.get_attribute("th:has([data-sort=total])", "aria-sort") == "descending"
    opened.fill("#search", "anna")
    found = names(opened)
    assert 0 < len(found) < 1500
    assert all("anna" in name.lower() for name in found)
    assert opened.inner_text("#shown") == f"{len(found)} of 1500 students"
    opened.click("button[type=reset]")
    opened.select_option("#task", "Invert")
    lost = opened.eval_on_selector_all(
        "#table tbody tr:not([hidden])", "rows => rows.map(row => row.querySelector('.lost').textContent)"
    )
    assert 0 < len(lost) < 1500
    assert all("Invert" in cell.split(", ") for cell in lost)


@pytest.mark.slow
def test_a_student_opens_by_keyboard_and_shows_the_policy_line_by_line(opened: Any) -> None:
    opened.fill("#search", "anna")
    opened.focus("#table tbody tr:not([hidden]) .name")
    opened.keyboard.press("Enter")
    opened.wait_for_selector("dialog[open] dl")
    labels = opened.eval_on_selector_all("dialog dt", "found => found.map(one => one.textContent)")
    assert labels[3:8] == ["Memory at its peak", "Raw score", "Due", "Handed in", "Late"]
    assert labels[-1] == "Final score"
    first = opened.inner_text("#page-name")
    opened.keyboard.press("ArrowRight")
    opened.wait_for_function("name => document.getElementById('page-name').innerText !== name", arg=first)
    opened.keyboard.press("Escape")
    assert opened.query_selector("dialog[open]") is None


@pytest.mark.slow
def test_hostile_names_and_output_are_text(opened: Any) -> None:
    opened.fill("#search", "owned")
    assert len(names(opened)) == 3
    for row in opened.query_selector_all("#table tbody tr:not([hidden]) .name"):
        row.click()
        opened.wait_for_selector("dialog[open] .failure")
        assert "window.owned = true" in opened.inner_text("#page-body")
        assert (
            opened.query_selector_all("#page-body script, #page-body img[src=x], main img, main script") == []
        )
        opened.click("#close")


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(page_of_1500: Path, browser: Any, scheme: str) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe is not installed (the dependency group dev)"
    )
    context = browser.new_context(color_scheme=scheme, bypass_csp=True)  # axe itself is a script
    page = context.new_page()
    page.goto(page_of_1500.as_uri())
    page.fill("#search", "anna")
    page.click("#table tbody tr:not([hidden]) .name")
    page.wait_for_selector("dialog[open] dl")
    opened = axe.Axe().run(page)
    page.keyboard.press("Escape")
    closed = axe.Axe().run(page)
    context.close()
    for found in (opened, closed):
        assert found.violations_count == 0, found.generate_report()


@pytest.mark.slow
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_is_wider_than_the_page(page_of_1500: Path, browser: Any, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(page_of_1500.as_uri())
    wide = page.evaluate("document.documentElement.scrollWidth")
    page.close()
    assert wide <= width
