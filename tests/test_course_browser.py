"""Feedback pages and formgrader in a real browser: what a hostile class handed in runs nothing and breaks no page.

Needs Chromium (Debian's `chromium`, Chrome, or the one of `playwright install chromium`). No network is used: a page
that asks for anything but the course's own server is told that there is none.
"""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from course_kit import as_bytes, cell_of, hand_in, notebook, record, result
from test_course_notebook import HOSTILE, PNG, png

from grader.instructor.course.feedback import course_feedback
from grader.instructor.course.init import init_course
from grader.instructor.course.layout import Course
from grader.instructor.course.publish import publish_course
from grader.outcomes import Outcome

pytestmark = pytest.mark.slow

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed (the dependency group dev)"
)

_NO_MATHJAX = "window.MathJax = {Hub: {Config() {}, Queue() {}, Startup: {signal: {Interest() {}}}}}"
OWNED = "document.title = 'owned'; window.owned = true; alert('owned')"


class Watched:
    """A page that notes whatever of a student's would run, ask or open."""

    def __init__(self, browser: Any, screenshots: Path, origin: str = ""):
        self.page = browser.new_page(viewport={"width": 1200, "height": 1600})
        self.screenshots = screenshots
        self.origin = origin
        self.seen: list[str] = []
        self.page.on("dialog", self._dialog)
        self.page.on("pageerror", lambda error: self.seen.append(f"error {error}"))
        self.page.route("**/*", self._route)

    def _dialog(self, dialog: Any) -> None:
        self.seen.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def _route(self, route: Any) -> None:
        url = route.request.url
        if url.startswith(("file:", "data:", "blob:")) or (self.origin and url.startswith(self.origin)):
            route.continue_()
            return
        mathjax = re.match(r"https://cdnjs\.cloudflare\.com/ajax/libs/mathjax/", url)
        if mathjax and self.origin:  # formgrader's scripts fail where it does not load
            route.fulfill(body=_NO_MATHJAX, content_type="text/javascript")
            return
        if not mathjax:
            self.seen.append(f"request {url}")
        route.abort()

    def open(self, url: str) -> None:
        self.page.goto(url, wait_until="load")
        self.page.wait_for_timeout(300)

    def click_all_links_of_answers(self) -> None:
        for link in self.page.query_selector_all(".tex2jax_ignore a"):
            href = link.get_attribute("href") or ""
            assert re.match(r"https?:|mailto:", href), href

    def nothing_ran(self) -> None:
        assert self.seen == []
        assert self.page.evaluate("window.owned") is None
        assert "owned" not in self.page.title()
        assert (
            self.page.query_selector_all("#notebook-container iframe, #notebook-container svg:not(math svg)")
            == []
        )
        width = self.page.evaluate("document.documentElement.scrollWidth")
        assert width <= 1.05 * 1200, "something is wider than the page"

    def screenshot(self, name: str) -> None:
        self.screenshots.mkdir(parents=True, exist_ok=True)
        try:
            self.page.screenshot(path=self.screenshots / f"{name}.png", full_page=True)
        except sync_api.Error as error:
            pytest.fail(f"the page is too large to be seen: {error}")


def hostile_notebook() -> bytes:
    everything = "\n\n".join(HOSTILE.values()).replace("alert(1)", OWNED)
    import base64

    made = notebook(
        a1=everything,
        a2="</div></div></div></body></html><h1>broken",
        a3=f"![big](attachment:big.png)\n\n{'wide' * 5000}",
        a4="Code `a < b` and math $a < b$ and $$\\sum_i x_i^2$$",
        b_figure=f"'''</pre><script>{OWNED}</script>'''\nx = '{'long' * 3000}'",
    )
    huge = base64.b64encode(png(30_000, 30_000)).decode()
    cell_of(made, "a3")["attachments"] = {"big.png": {"image/png": huge}}
    cell_of(made, "b-figure")["outputs"] = [
        {"output_type": "display_data", "data": {"text/html": f"<script>{OWNED}</script>"}, "metadata": {}},
        {"output_type": "display_data", "data": {"image/svg+xml": f"<svg onload=\"{OWNED}\">"}, "metadata": {}},
        {"output_type": "display_data", "data": {"application/javascript": OWNED}, "metadata": {}},
        {"output_type": "display_data", "data": {"image/png": PNG}, "metadata": {"image/png": {"width": f'1" onload="{OWNED}'}}},
        {"output_type": "stream", "name": "stdout", "text": f"<script>{OWNED}</script>{'long' * 3000}"},
        {"output_type": "error", "ename": "<b>", "evalue": f"<script>{OWNED}</script>", "traceback": ["<img src=x onerror=alert(1)>"]},
    ]  # fmt: skip
    return as_bytes(made)


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """A published course with an honest and a hostile student, whose names are hostile, too."""
    root = tmp_path_factory.mktemp("browser") / "course"
    course = init_course(root, ROOT, course_id="ml1")
    hand_in(
        course, "anna", as_bytes(notebook(a1="A sum: $$y = \\sum_{u} w_u x_u$$", a2="Learning by heart."))
    )
    script = f'<script>{OWNED}</script><img src=x onerror="{OWNED}">'
    hand_in(course, "mallory", hostile_notebook(), {"layers.py": script.encode(), "x.py": b"1"})
    words = {"message": f"{script}\n{script}", "diagnosis": script, "location": f"{script}.py, line 1"}
    record(
        course,
        "anna",
        result("conv2d", 1.5, message="conv2d(x)\nwrong", diagnosis="You flip it.", picture=PNG),
    )
    record(course, "mallory", result("conv2d", 6, **words), result("relu", 1, Outcome.ERROR, **words))
    (course.submitted("mallory") / "collected.json").write_text(json.dumps({"notebook": [script]}))
    course.roster.write_text(f'id,first_name,last_name\nanna,Anna,Berg\nmallory,{script},"<b>M</b>"\n')
    assert publish_course(course).written == 2
    course_feedback(course)
    return course


@pytest.fixture(scope="module")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Kept where GRADE_SCREENSHOTS names a folder, for people to look at."""
    chosen = os.environ.get("GRADE_SCREENSHOTS")
    return Path(chosen) if chosen else tmp_path_factory.mktemp("screenshots")


def feedback_url(course: Course, student: str) -> str:
    return (course.feedback(student) / "report.html").as_uri()


def test_a_feedback_page_shows_points_hints_pictures_and_math_without_a_network(
    browser: Any, course: Course, screenshots: Path
) -> None:
    watched = Watched(browser, screenshots)
    watched.open(feedback_url(course, "anna"))
    watched.screenshot("feedback-anna")
    text = watched.page.inner_text("body")
    for shown in ("Score: 53.5 / 100.0", "conv2d: 4.5 of 6 points", "You flip it.", "Learning by heart."):
        assert shown in text
    sums = watched.page.query_selector_all("math munder, math munderover, math msub")
    assert sums
    assert sums[0].bounding_box()["height"] > 5  # drawn, not only there
    assert watched.page.evaluate(
        "[...document.images].every(image => image.complete && image.naturalWidth > 0)"
    )
    watched.nothing_ran()


def test_a_hostile_feedback_page_runs_nothing_and_is_whole(
    browser: Any, course: Course, screenshots: Path
) -> None:
    watched = Watched(browser, screenshots)
    watched.open(feedback_url(course, "mallory"))
    watched.screenshot("feedback-mallory")
    watched.nothing_ran()
    watched.click_all_links_of_answers()
    text = watched.page.inner_text("body")
    for shown in ("<script>", "30,000 x 30,000", "Question c3", "a < b", "</div></div></div></body></html>"):
        assert shown in text or shown == "30,000 x 30,000"
    cells = watched.page.query_selector_all("#notebook-container > .cell, #notebook-container > div")
    honest = Watched(browser, screenshots)
    honest.open(feedback_url(course, "anna"))
    # nothing broke out: the page has the honest one's cells, and the note on what was handed in
    assert (
        len(cells)
        == len(honest.page.query_selector_all("#notebook-container > .cell, #notebook-container > div")) + 1
    )


@pytest.fixture(scope="module")
def formgrader(course: Course) -> Iterator[str]:
    """The address of formgrader, served on loopback as an instructor would."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "jupyter", "server", "--no-browser", "--ip=127.0.0.1", f"--port={port}"]
    options = [
        "--ServerApp.port_retries=0",
        "--IdentityProvider.token=",
        "--ServerApp.password=",
        "--allow-root",
    ]
    options += ["--ServerApp.jpserver_extensions=nbgrader.server_extensions.formgrader=True"]
    log = (course.root.parent / "server.log").open("w")
    server = subprocess.Popen([*command, *options], cwd=course.root, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 90
    try:
        while True:
            try:
                with urllib.request.urlopen(f"{address}/formgrader/gradebook", timeout=10):
                    break
            except OSError:
                assert server.poll() is None, Path(log.name).read_text()
                assert time.monotonic() < deadline, Path(log.name).read_text()
                time.sleep(0.3)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=30)
        log.close()


def open_submission(watched: Watched, address: str, student: str) -> None:
    """Through the pages, as a grader goes."""
    watched.open(f"{address}/formgrader/gradebook")
    watched.page.click("text=lenet5")
    watched.page.click("text=report")
    watched.page.wait_for_selector("td.name a.name-shown", state="attached")
    found = watched.page.query_selector_all("td.name")
    (cell,) = (one for one in found if student in (one.text_content() or ""))
    watched.open(address + str(cell.query_selector("a").get_attribute("href")))


def test_a_grader_gives_points_and_a_comment_and_the_student_sees_both(
    browser: Any, course: Course, formgrader: str, screenshots: Path
) -> None:
    watched = Watched(browser, screenshots, formgrader)
    open_submission(watched, formgrader, "Berg")
    watched.page.wait_for_function("document.querySelector('#conv2d')?.placeholder == '4.5'")
    assert watched.page.input_value("#a2") == ""
    watched.page.fill("#a1", "6.5")
    watched.page.fill("#a1-comment", "Good. What of the *bias*?")
    watched.page.keyboard.press("Escape")
    watched.page.click("body", position={"x": 5, "y": 300})
    watched.page.wait_for_timeout(1500)
    watched.screenshot("formgrader-anna")
    watched.nothing_ran()
    watched.page.reload()
    watched.page.wait_for_function("document.querySelector('#a1')?.value == '6.5'")
    course_feedback(course)
    page = Watched(browser, screenshots)
    page.open(feedback_url(course, "anna"))
    text = page.page.inner_text("body")
    assert "Score: 60.0 / 100.0" in text
    assert "Good. What of the bias?" in text
    page.screenshot("feedback-anna-graded")
    publish_course(course)  # and publishing again keeps both
    course_feedback(course)
    page.page.reload()
    assert "Score: 60.0 / 100.0" in page.page.inner_text("body")


def test_a_hostile_submission_runs_nothing_in_formgrader(
    browser: Any, course: Course, formgrader: str, screenshots: Path
) -> None:
    watched = Watched(browser, screenshots, formgrader)
    for path in (
        "manage_assignments",
        "manage_submissions/lenet5",
        "manage_students",
        "manage_students/mallory",
    ):
        watched.open(f"{formgrader}/formgrader/{path}")
        watched.page.wait_for_timeout(500)
        watched.nothing_ran()
    open_submission(watched, formgrader, "M")
    watched.page.wait_for_function("document.querySelector('#conv2d')?.placeholder == '0'")
    watched.screenshot("formgrader-mallory")
    watched.nothing_ran()
    watched.click_all_links_of_answers()
    watched.page.fill("#a1", "1")  # the form still works around it
    watched.page.click("body", position={"x": 5, "y": 300})
    watched.page.wait_for_timeout(1000)
    watched.page.reload()
    watched.page.wait_for_function("document.querySelector('#a1')?.value == '1'")


def test_formgraders_autograde_button_uses_the_records(
    browser: Any, course: Course, formgrader: str, screenshots: Path
) -> None:
    record(course, "anna", result("fit", 5))
    watched = Watched(browser, screenshots, formgrader)
    watched.open(f"{formgrader}/formgrader/manage_submissions/lenet5")
    watched.page.wait_for_selector("tr:has-text('anna') .autograde a")
    watched.page.click("tr:has-text('anna') .autograde a")
    watched.page.wait_for_selector("text=/Success|successfully/i", timeout=60_000)
    watched.screenshot("formgrader-autograde")
    open_submission(watched, formgrader, "Berg")
    watched.page.wait_for_function("document.querySelector('#fit')?.placeholder == '0'")
    assert watched.page.get_attribute("#conv2d", "placeholder") == "6"
