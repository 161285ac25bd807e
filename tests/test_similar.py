"""`grade similar`: who is alike is seen whatever names are used, and a page that runs nothing of what it shows."""

import csv
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, SOLUTIONS, solution_files

from grader.instructor import release
from grader.instructor.similarity import page
from grader.instructor.similarity.compare import alikeness, pairs_of, passages
from grader.instructor.similarity.tokens import NOTHING_GIVEN, Document, K, document, given

GIVEN = given(release.stubs(SOLUTIONS))

POOL = """
def max_pool2d(x, kernel_size, stride=None):
    step = stride or kernel_size
    rows = (x.shape[2] - kernel_size) // step + 1
    columns = (x.shape[3] - kernel_size) // step + 1
    result = x.new_full((x.shape[0], x.shape[1], rows, columns), float("-inf"))
    for i in range(rows):
        for j in range(columns):
            patch = x[:, :, i * step : i * step + kernel_size, j * step : j * step + kernel_size]
            result[:, :, i, j] = patch.amax(dim=(2, 3))
    return result
"""
EPOCH = """
def train_epoch(model, loader, optimizer, device="cpu"):
    model.train()
    seen, correct, summed = 0, 0, 0.0
    for images, labels in loader:
        optimizer.zero_grad()
        logits = model(images.to(device))
        loss = cross_entropy(logits, labels.to(device))
        loss.backward()
        optimizer.step()
        seen += len(labels)
        summed += loss.item() * len(labels)
        correct += (logits.argmax(1) == labels).sum().item()
    return summed / seen, correct / seen
"""


def doc(name: str, *sources: str) -> Document:
    return document(name, {f"file{i}.py": text.encode() for i, text in enumerate(sources)}, NOTHING_GIVEN)


def alike(first: str, second: str) -> float:
    return float(alikeness([doc("a", first), doc("b", second)], 2)[0, 1])


RENAMED = re.sub(r"\b(step|rows|columns|result|patch|i|j|max_pool2d)\b", r"my_\1", POOL)


@pytest.mark.parametrize(
    "other",
    [
        POOL,
        RENAMED,
        POOL.replace("    ", "  "),
        POOL.replace("\n    ", "\n    # a thought\n    ").replace(
            ":\n", ':\n    """Largest of each window."""\n', 1
        ),
        POOL.replace("patch = x[", "patch = (\n            x[").replace("kernel_size]\n", "kernel_size])\n"),
        "import math\nprint(math.pi)\n" + POOL,
        POOL.replace("\n", "\r\n"),
        POOL + "\n    this is ) no python (",
    ],
    ids=[
        "same",
        "renamed",
        "indented",
        "commented",
        "broken anew",
        "after other code",
        "line ends",
        "no Python",
    ],
)
def test_the_same_work_is_alike_however_it_is_dressed(other: str) -> None:
    assert alike(POOL, other) > 0.75


def test_other_operations_make_other_work() -> None:
    assert alike(POOL, EPOCH) == 0


def test_work_that_was_copied_into_a_longer_one_is_found() -> None:
    assert alike(POOL, EPOCH + POOL) > 0.9
    assert alike(POOL + EPOCH, EPOCH + POOL) > 0.8, "the order of functions does not matter"


def test_what_everybody_was_given_is_not_compared() -> None:
    stubs = {name: text.encode() for name, text in release.stubs(SOLUTIONS).items()}
    assert len(document("stub", stubs, GIVEN).starts) == 0
    own = document("solution", solution_files(), GIVEN)
    text = "".join(own.text[s:e] for s, e in zip(own.starts, own.ends, strict=True))
    assert "unfold" in text
    assert "_uniform_parameter" not in text


def test_given_lines_that_were_broken_anew_do_not_make_submissions_alike() -> None:
    def reformatted(body: str) -> bytes:
        stub = (
            release.stubs(SOLUTIONS)["layers.py"]
            .replace(", ", ",\n        ")
            .replace("raise NotImplementedError()", "pass")
        )
        return f"{stub}\n{body}".encode()

    two = [
        document(name, {"layers.py": reformatted(body)}, GIVEN) for name, body in (("a", POOL), ("b", EPOCH))
    ]
    assert alikeness(two, 2)[0, 1] < 0.2


def test_what_many_wrote_weighs_less_than_what_two_wrote() -> None:
    others = [
        doc(f"s{i}", EPOCH, f"own = [{i}, " + ", ".join(str(i * n) for n in range(99)) + "]")
        for i in range(10)
    ]
    pair = [doc("a", EPOCH, POOL), doc("b", EPOCH, POOL)]
    found = alikeness([*pair, *others], 12)
    assert found[0, 1] == pytest.approx(1)
    assert found[2:, 2:].max() < 0.1


def test_the_solution_does_not_make_work_common() -> None:
    documents = [doc("a", POOL), doc("b", EPOCH), doc("the solution", POOL)]
    found = alikeness(documents, 2, reference=1)
    assert found[0, 2] == pytest.approx(1)
    assert found[1, 2] == 0


@pytest.mark.parametrize("source", ["", "x = 1\n", "def relu(x):\n    return x.clamp(min=0)\n", "\0" * 500])
def test_too_little_is_alike_to_nothing(source: str) -> None:
    assert alike(source, source) == 0


def test_no_submission_at_all() -> None:
    assert alikeness([], 0).shape == (0, 0)
    assert pairs_of(np.zeros((0, 0)), 0.5) == []


def test_pairs_come_once_and_the_most_alike_first() -> None:
    matrix = np.array([[0, 0.6, 0.9], [0.6, 0, 0.2]])
    assert [(p.first, p.second, p.alike) for p in pairs_of(matrix, 0.5)] == [(0, 2, 0.9), (0, 1, 0.6)]


def test_passages_are_the_same_tokens_on_both_sides() -> None:
    first, second = doc("a", POOL + EPOCH), doc("b", EPOCH.replace("+= 1", "+= 2") + RENAMED)
    found = passages(first, second)
    for number in range(1, int(found.first.max()) + 1):
        sides = [
            [document.text[document.starts[i]] for i in np.flatnonzero(labels == number)]
            for document, labels in ((first, found.first), (second, found.second))
        ]
        assert len(sides[0]) == len(sides[1]) >= K
    assert found.tokens == np.count_nonzero(found.first)
    assert K <= found.longest <= found.tokens


# -- the page ---------------------------------------------------------------------------------------

HOSTILE_NAME = "<script>alert(1)</script>'\"=x"
HOSTILE = (
    POOL + "# </pre><script>alert(2)</script><img src=x onerror=alert(3)> \u202e right to left\n" + EPOCH
)


def made_page(*documents: Document, number: int = 10) -> str:
    matrix = alikeness(documents, len(documents))
    pairs = pairs_of(matrix, 0.3)
    notes = [""] * len(pairs)
    summary = page.Summary(
        len(documents), 0, (("<b>olga</b>", "<i>broken</i>"),), 0.1, (0,) * 9 + (1,), 0.3, len(pairs)
    )
    return page.render(page.shown(pairs, documents, notes, number), summary)


class Read(HTMLParser):
    """The page's elements with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_hostile_names_and_sources_are_text() -> None:
    read = Read(made_page(doc(HOSTILE_NAME, HOSTILE), doc("ben", HOSTILE)))
    assert not {tag for tag, _ in read.elements} & {
        "script",
        "img",
        "iframe",
        "object",
        "link",
        "form",
        "b",
        "i",
    }
    assert not [
        name
        for _, attributes in read.elements
        for name in attributes
        if name.startswith(("on", "src", "style"))
    ]
    assert HOSTILE_NAME in read.text
    assert "\\u202e" in read.text
    assert "\u202e" not in read.text


def test_every_link_of_the_page_leads_somewhere_in_it() -> None:
    read = Read(made_page(doc("ada", POOL, EPOCH), doc("ben", EPOCH, RENAMED), doc("cem", POOL)))
    links = [attributes["href"] for tag, attributes in read.elements if tag == "a"]
    ids = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert links
    assert {str(link).removeprefix("#") for link in links} <= set(ids)


def test_the_page_does_not_grow_with_the_square_of_the_class() -> None:
    clique = [doc(f"s{i}", POOL, EPOCH) for i in range(12)]
    read = Read(made_page(*clique, number=8))
    assert "66 pairs are at least 30 % alike; 8 of them are shown" in " ".join(read.text.split())
    assert sum(tag == "section" for tag, _ in read.elements) == 8


# -- the command ------------------------------------------------------------------------------------


def hand_in(folder: Path, student: str, *sources: str) -> None:
    package = folder / student / "student"
    package.mkdir(parents=True)
    for name, source in zip(("layers.py", "training.py"), sources, strict=False):
        (package / name).write_text(source, encoding="utf-8")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_command_writes_a_page_and_a_table(grade: Callable, tmp_path: Path) -> None:
    hand_in(tmp_path / "class", "ada", POOL, EPOCH)
    hand_in(tmp_path / "class", "=ben", RENAMED, EPOCH)
    hand_in(tmp_path / "class", "cem", "x = 1\n")
    hand_in(tmp_path / "2024", "ada", POOL, EPOCH)
    (tmp_path / "class" / "olga.zip").write_bytes(b"no zip")
    done = grade("similar", "class", "--earlier", "2024", "--out", "out", "--at-least", "40")
    assert done.returncode == 0, done.stderr
    assert "says nothing about anybody" in done.stdout
    found = rows(tmp_path / "out" / "similar.csv")
    assert [(row["first"], row["second"]) for row in found] == [
        ("'=ben", "ada"),
        ("'=ben", "ada (2024)"),
        ("ada", "ada (2024)"),
    ]
    assert [row["note"] for row in found[1:]] == [
        "with an earlier year",
        "with an earlier year, the same name: perhaps the same person again",
    ]
    text = Read((tmp_path / "out" / "similar.html").read_text(encoding="utf-8")).text
    assert "nothing on this page is a finding about anybody" in " ".join(text.split())
    assert "olga.zip cannot be read" in text
    assert "cem: fewer than" in text


def test_command_names_who_handed_in_the_solution(grade: Callable, tmp_path: Path) -> None:
    package = tmp_path / "class" / "ada" / "student"
    package.mkdir(parents=True)
    for name, data in solution_files().items():
        (package / name).write_bytes(data)
    hand_in(tmp_path / "class", "ben", POOL, EPOCH)
    assert grade("similar", "class", "--out", "out").returncode == 0
    assert [tuple(row.values()) for row in rows(tmp_path / "out" / "similar.csv")] == [
        ("ada", "the solution", "1.000", "with the solution")
    ]


def test_command_says_what_is_wrong_with_a_folder(grade: Callable, tmp_path: Path) -> None:
    done = grade("similar", tmp_path / "none")
    assert done.returncode == 2
    assert "There is no folder" in done.stderr
    hand_in(tmp_path / "class", "ada", POOL)
    done = grade("similar", "class", "--earlier", "class/ada/student")
    assert done.returncode == 2
    assert "one student's submission" in done.stderr


@pytest.mark.slow
def test_right_versions_in_unlike_styles_do_not_stand_out(
    grade: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import alike as sample_class

    sample_class.write_class(tmp_path / "class", 60, copies=((1, 2), (30, 41)))
    assert grade("similar", "class", "--out", "out", "--jobs", "2").returncode == 0
    found = {(row["first"], row["second"]) for row in rows(tmp_path / "out" / "similar.csv")}
    assert found == {("student0001", "student0002"), ("student0030", "student0041")}


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_runs_nothing_and_asks_for_nothing_in_a_browser(
    tmp_path: Path, browser: Any, scheme: str
) -> None:
    (tmp_path / "similar.html").write_text(
        made_page(doc(HOSTILE_NAME, HOSTILE), doc("ben", HOSTILE)), encoding="utf-8"
    )
    seen: list[str] = []
    page = browser.new_page(viewport={"width": 1200, "height": 900}, color_scheme=scheme)
    page.on("console", lambda message: seen.append(message.text))
    page.on("dialog", lambda dialog: (seen.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: seen.append(request.url))
    address = (tmp_path / "similar.html").as_uri()
    page.goto(address)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # the region of the table, then its first link
    page.wait_for_url(f"{address}#pair-1")
    marked = page.evaluate("getComputedStyle(document.querySelector('mark')).backgroundColor")
    width = page.evaluate("document.documentElement.scrollWidth")
    page.close()
    assert seen == [address]
    assert marked != "rgba(0, 0, 0, 0)", "the page's own style is not used"
    assert width <= 1200
