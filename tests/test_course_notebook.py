"""The graded notebook: answers taken over by `grade_id`, results under their cells, and nothing live of a student's."""

import base64
import json
import re
import struct
import zlib
from html.parser import HTMLParser
from typing import Any

import pytest
from course_kit import (
    ANSWERS,
    FULL,
    MODEL,
    RELEASED,
    as_bytes,
    cell_of,
    grade_id,
    notebook,
    report,
    result,
    text_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.assignment import TASKS
from grader.instructor.course.answers import UnreadableNotebook, graded_notebook, read_cells
from grader.instructor.course.results import score_of, task_output
from grader.instructor.course.safe import image_url, markdown_html, outputs
from grader.outcomes import Outcome
from grader.report import TaskResult


def png(width: int = 4, height: int = 4) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * (min(width, 100) + 1) * min(height, 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


PNG = base64.b64encode(png()).decode()


def graded(made: dict[str, Any] | None = None, *changed: TaskResult, **answers: str):
    made = notebook(**answers) if made is None else made
    return graded_notebook(RELEASED, read_cells(as_bytes(made)), report("anna", "", *changed))


# -- answers


def test_an_answer_goes_into_its_cell() -> None:
    done = graded(a1="A **sum** of products.")
    assert "<strong>sum</strong>" in text_of(cell_of(done.notebook, "a1"))
    assert {name for name, answer in done.answers.items() if answer.answered} == {"a1"}


@pytest.mark.parametrize("text", ["YOUR ANSWER HERE", "", "  \n ", "YOUR ANSWER HERE\n"])
def test_what_says_nothing_is_no_answer(text: str) -> None:
    done = graded(a1=text)
    assert not done.answers["a1"].answered
    assert text_of(cell_of(done.notebook, "a1")) == "YOUR ANSWER HERE"


def test_code_comes_with_its_pictures() -> None:
    made = notebook(a3_figure="plt.show()")
    cell_of(made, "a3-figure")["outputs"] = [
        {"output_type": "display_data", "data": {"image/png": PNG, "text/plain": "<Figure>"}, "metadata": {}}
    ]
    cell = cell_of(graded(made).notebook, "a3-figure")
    assert cell["source"] == "plt.show()"
    assert cell["outputs"][0]["data"] == {"image/png": PNG, "text/plain": "<Figure>"}


def without(name: str) -> dict[str, Any]:
    made = notebook(a1="mine", a2="too")
    made["cells"] = [cell for cell in made["cells"] if grade_id(cell) != name]
    return made


def twice(name: str) -> dict[str, Any]:
    made = notebook(a1="mine", a2="too")
    made["cells"] += [cell_of(made, name), {**cell_of(notebook(), name)}]
    return made


def edited(name: str, **changes: Any) -> dict[str, Any]:
    made = notebook(a1="mine", a2="too")
    cell_of(made, name).update(changes)
    return made


def with_points(points: Any) -> dict[str, Any]:
    made = notebook(a1="mine", a2="too")
    cell_of(made, "conv2d")["metadata"]["nbgrader"]["points"] = points
    return made


BENT = {
    "a deleted test cell": without("conv2d"),
    "a deleted locked cell": without("tasks"),
    "no test cells": {**RELEASED, "cells": [c for c in twice("a1")["cells"] if grade_id(c) not in FULL]},
    "a doubled answer": twice("a1"),
    "a doubled test cell": twice("relu"),
    "an edited test cell": edited("conv2d", source="print('full points')"),
    "an answer as code": edited("a1", cell_type="code", outputs=[], execution_count=None),
    "a test cell as text": edited("conv2d", cell_type="markdown"),
    "more points": with_points(1000),
    "points that are no number": with_points("many"),
    "another order": {**RELEASED, "cells": notebook(a1="mine", a2="too")["cells"][::-1]},
}


@pytest.mark.parametrize("made", BENT.values(), ids=BENT.keys())
def test_bent_cells_cannot_matter(made: dict[str, Any]) -> None:
    done = graded(made)
    plain = graded(a1="mine", a2="too")
    ours = [cell for cell in done.notebook["cells"] if grade_id(cell)]
    assert ours == [cell for cell in plain.notebook["cells"] if grade_id(cell)]
    assert done.answers == plain.answers


def test_cells_of_a_students_own_stay_where_they_stood() -> None:
    made = notebook(a1="mine")
    index = next(i for i, cell in enumerate(made["cells"]) if grade_id(cell) == "a1")
    made["cells"].insert(
        index + 1, {"cell_type": "markdown", "metadata": {}, "source": "See also <b>this</b>."}
    )
    made["cells"].append(
        {"cell_type": "code", "metadata": {"nbgrader": {"grade_id": "zz"}}, "source": "1 + 1"}
    )
    cells = graded(made).notebook["cells"]
    index = next(i for i, cell in enumerate(cells) if grade_id(cell) == "a1")
    assert "&lt;b&gt;this" in cells[index + 1]["source"]
    assert cells[-1]["source"] == "1 + 1"
    assert cells[-1]["metadata"] == {}


def test_a_notebook_of_any_size_stays_readable() -> None:
    huge = {"output_type": "stream", "name": "stdout", "text": "x" * 50_000}
    made = notebook(a1="first")
    added = {"cell_type": "code", "metadata": {}, "source": "y" * 50_000, "outputs": [huge] * 30}
    made["cells"] += [added] * 150
    done = graded_notebook(RELEASED, made["cells"], report("anna"))
    assert len(json.dumps(done.notebook)) < 13_000_000
    assert "first" in text_of(cell_of(done.notebook, "a1"))
    assert "left out" in done.notebook["cells"][-1]["source"]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (MODEL[:5000], "cut short"),
        (b"", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[]", "no notebook"),
        (b'{"cells": 3}', "no notebook"),
        (b'{"worksheets": [{"cells": []}]}', "before 2015"),
        (b"[" * 100_000, "not JSON"),
        (b" " * 31_000_000, "larger than 30 MB"),
    ],
)
def test_a_broken_notebook_says_what_is_wrong(data: bytes, why: str) -> None:
    with pytest.raises(UnreadableNotebook, match=why):
        read_cells(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(
    cells=st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "cell_type": JSON,
                "source": JSON,
                "outputs": JSON,
                "attachments": JSON,
                "metadata": JSON | st.just({"nbgrader": {"grade_id": "a1", "solution": True}}),
            },
        ),
        max_size=4,
    )
)
def test_any_cells_give_a_notebook(cells: list[Any]) -> None:
    import nbformat

    done = graded_notebook(RELEASED, cells, report("anna"))
    nbformat.validate(nbformat.from_dict(done.notebook))
    assert [n for n in map(grade_id, done.notebook["cells"]) if n] == [grade_id(c) for c in RELEASED["cells"]]


def test_the_graded_notebook_is_the_same_each_time() -> None:
    assert json.dumps(graded(a1="x").notebook) == json.dumps(graded(a1="x").notebook)


# -- results


@pytest.mark.parametrize("task", [task.name for task in TASKS])
def test_a_test_cell_holds_its_score(task: str) -> None:
    lost = FULL[task] / 4
    cell = cell_of(graded(None, result(task, lost)).notebook, task)
    (output,) = cell["outputs"]
    assert float(output["data"]["text/plain"]) == FULL[task] - lost
    assert output["output_type"] == "execute_result"  # what nbgrader's own scoring takes for partial credit


def html_of(found: TaskResult) -> str:
    return task_output(found.task, FULL[found.task], found)["data"]["text/html"]


def test_a_public_check_says_all_in_the_students_words() -> None:
    words = {
        "message": "conv2d(x (1, 2))\nthe shape is (3,)",
        "diagnosis": "You flip it.",
        "location": "layers.py, line 3",
    }
    html = html_of(result("conv2d", 1, picture=PNG, **words))
    for text in (
        "5 of 6 points",
        "conv2d/stride",
        "It moves.",
        "conv2d(x (1, 2))",
        "the shape is (3,)",
        "You flip it.",
    ):
        assert text in html
    assert "layers.py, line 3" in html
    assert "grade check conv2d/stride" in html
    assert f"data:image/png;base64,{PNG}" in html


def test_a_hidden_check_shows_its_hint_and_points_and_nothing_else() -> None:
    words = {"message": "conv2d(x (7, 9))\ngot 3", "location": "layers.py, line 3", "picture": PNG}
    html = html_of(result("conv2d", 1, visibility="hidden", diagnosis="You flip it.", **words))
    assert "1 check at grading" in html
    assert "(0 / 1)" in html
    assert "You flip it." in html
    for text in ("stride", "It moves", "(7, 9)", "got 3", "line 3", "image/png"):
        assert text not in html


def test_a_hidden_failure_without_a_hint_still_says_something() -> None:
    assert "a wrong answer" in html_of(result("conv2d", 1, visibility="hidden"))


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_has_its_name_in_the_cell(outcome: Outcome) -> None:
    assert f"{outcome}</span>" in html_of(result("conv2d", 1, outcome))


def test_no_verdict_is_no_score_and_not_a_mistake() -> None:
    found = result("conv2d", 1, Outcome.NO_VERDICT, message="the kit itself failed: KeyError: secret")
    assert score_of(found) is None
    assert "no score yet" in html_of(found)
    assert "secret" not in html_of(found)


def test_a_task_that_is_not_in_the_record_has_no_score() -> None:
    assert score_of(None) is None
    assert "no result" in task_output("conv2d", 6, None)["data"]["text/html"]


@pytest.mark.parametrize("points", [-1.0, float("nan")])
def test_a_score_out_of_bounds_is_never_passed_on(points: float) -> None:
    from dataclasses import replace

    check = replace(result("conv2d").checks[0], points=points)
    with pytest.raises(ValueError, match="conv2d has"):
        score_of(TaskResult("conv2d", 6.0, (check,)))


# -- what students wrote is dead text

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "handler": "<img src=x onerror=alert(1)>",
    "link": "[x](javascript:alert(1))",
    "link in upper case": "[x](JaVaScRiPt:alert(1))",
    "link with entities": "[x](javascript&#58;alert(1))",
    "data link": "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "autolink": "<javascript:alert(1)>",
    "frame": "<iframe src='javascript:alert(1)'></iframe>",
    "svg": "<svg onload=alert(1)>",
    "style": "<style>body { display: none }</style>",
    "form": "<form action=https://example.org><input>",
    "unclosed": "</div></div></body><table><!-- ",
    "math link": "$\\href{javascript:alert(1)}{x}$",
    "math style": "$\\style{background:url(https://example.org)}{x}$",
    "math script": "$x<script>alert(1)</script>$",
    "math environment": "\\begin{align}<img src=x onerror=alert(1)>\\end{align}",
    "code": "```html\n<script>alert(1)</script>\n```",
    "image": "![x](https://example.org/track.png)",
    "image of a file": "![x](file:///etc/passwd)",
    "svg image": "![x](data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+)",
    "attribute": '[x](https://example.org "a\\" onmouseover=\\"alert(1)")',
    "table": "|a|\n|-|\n|<td onclick=alert(1)>|",
    "reference": "[x][y]\n\n[y]: javascript:alert(1)",
    "mermaid": '```mermaid\ngraph TD; A["<img src=x onerror=alert(1)>"]\n```',
    "null": "<scr\0ipt>alert(1)</script>",
}
TAGS = {
    *(
        "div",
        "p",
        "br",
        "hr",
        "em",
        "strong",
        "s",
        "code",
        "pre",
        "blockquote",
        "ul",
        "ol",
        "li",
        "a",
        "img",
        "span",
    ),
    *("h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"),
}


class Live(HTMLParser):
    """Finds in HTML what could run, load or cover something."""

    def __init__(self, html: str):
        super().__init__()
        self.found: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS and not re.fullmatch("m[a-z]+", tag):
            self.found.append(tag)
        for name, value in attrs:
            allowed = {
                "href": r"(https?|mailto):.*",
                "src": r"data:image/(png|jpeg);base64,[\w+/=]*",
                "style": r"text-align:\w+|overflow-wrap:anywhere;overflow-x:auto",
                "class": "tex2jax_ignore mathjax_ignore",
            }.get(
                name,
                r"[\w .%()-]*" if name.startswith(("col", "row", "w", "l", "s", "m", "d", "f")) else ".*",
            )
            if name.startswith("on") or not re.fullmatch(allowed, value or "", re.DOTALL):
                self.found.append(f"{tag} {name}={value}")

    def handle_comment(self, data: str) -> None:
        self.found.append("comment")


@pytest.mark.parametrize("source", HOSTILE.values(), ids=HOSTILE.keys())
def test_nothing_in_an_answer_is_live(source: str) -> None:
    html = markdown_html(f"before\n\n{source}\n\nafter")
    assert Live(html).found == []
    assert html.count("<div") == html.count("</div>")
    assert "\n" not in html  # Markdown passes one line on as it is
    assert "$" not in html
    assert "\\" not in html
    assert "before" in html
    assert "after" in html


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [*HOSTILE.values(), "\n", "\n\n", "`", "$", "$$", "|", "> ", "* ", "<", ">", '"', "a"]
        ),
        max_size=8,
    )
)
def test_no_mix_of_them_is_live(parts: list[str]) -> None:
    html = markdown_html("".join(parts))
    assert Live(html).found == []
    assert html.count("<div") == html.count("</div>")


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("`a < b && c`", "<code>a &lt; b &amp;&amp; c</code>"),
        ("```python\nif a < b:\n\n    c()\n```", "if a &lt; b:&#10;&#10;    c()"),
        ("$x^2$", "<msup><mi>x</mi><mn>2</mn></msup>"),
        ("$$\\frac{1}{2}$$", '<math display="block">'),
        ("\\begin{align}a &= b\\end{align}", "<mtable"),
        ("$a < b$", "<mo>&lt;</mo>"),
        ("$\\nosuchcommand{$", "nosuchcommand"),
        ("a * b < c", "a * b &lt; c"),
        ("|a|b|\n|-|-:|\n|1|2|", '<td style="text-align:right">2</td>'),
        ("[nbgrader](https://nbgrader.readthedocs.io)", 'href="https://nbgrader.readthedocs.io"'),
        ("28$\\times$28 costs \\$5", "<mo>×</mo></mrow></math></span>28 costs &#36;5"),
    ],
)
def test_math_code_and_tables_still_show(source: str, shown: str) -> None:
    assert shown in markdown_html(source)


def test_an_image_pasted_into_an_answer_shows() -> None:
    html = markdown_html("![curve](attachment:curve.png)", {"curve.png": {"image/png": PNG}})
    assert f'<img src="data:image/png;base64,{PNG}" alt="curve">' in html


def test_pages_show_messages_and_names_as_text() -> None:
    words = {
        "message": "<img src=x onerror=alert(1)>\n<script>",
        "location": "<script>alert(1)</script>.py, line 1",
    }
    html = html_of(result("conv2d", 1, **words))
    assert not re.search(r"<script|<img", html)
    done = graded_notebook(RELEASED, [], report("anna"), ["<script>.zip: cannot be read"])
    assert "&lt;script&gt;.zip" in done.notebook["cells"][0]["source"]


@pytest.mark.parametrize(
    ("output", "left"),
    [
        ({"output_type": "display_data", "data": {"text/html": "<script>"}, "metadata": {}}, "of a kind that is not shown"),
        ({"output_type": "display_data", "data": {"application/javascript": "alert(1)"}}, "of a kind that is not shown"),
        ({"output_type": "display_data", "data": {"image/svg+xml": "<svg onload=alert(1)>"}}, "of a kind that is not shown"),
        ({"output_type": "display_data", "data": {"image/png": "not base64!"}}, "cannot be read"),
        ({"output_type": "display_data", "data": {"image/png": base64.b64encode(b"GIF89a" * 9).decode()}}, "cannot be read"),
        ({"output_type": "display_data", "data": {"image/png": base64.b64encode(png(30_000, 30_000)).decode()}}, "30,000 x 30,000"),
        ({"output_type": "execute_result", "data": {"text/html": "<b>", "text/plain": "<b>4"}}, "<b>4"),
        ({"output_type": "stream", "name": "stdout", "text": ["\x1b[31mred\x1b[0m", " x" * 100_000]}, "characters left out"),
        ({"output_type": "stream", "name": "evil", "text": "\x1b]0;title\x07hello"}, "hello"),
        ({"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["\x1b[0;31mE: v"]}, "E: v"),
    ],
)  # fmt: skip
def test_outputs_keep_text_and_small_pictures_only(output: dict[str, Any], left: str) -> None:
    (found,) = outputs([output])
    text = json.dumps(found, ensure_ascii=False)
    assert left in text
    assert "\\u001b" not in text
    assert set(found.get("data", {})) <= {"text/plain", "image/png", "image/jpeg"}
    assert found.get("metadata", {}) == {}
    assert found.get("name", "stdout") in ("stdout", "stderr")


@pytest.mark.parametrize(
    "found", [None, 3, "x", [3, None, {"output_type": "odd"}, {"output_type": "display_data"}]]
)
def test_outputs_that_are_none_are_left_out(found: Any) -> None:
    assert outputs(found) == []


def test_a_huge_jpeg_is_not_shown() -> None:
    frame = (
        b"\xff\xd8"
        + b"\xff\xe0\x00\x04ab"
        + b"\xff\xc0\x00\x11\x08"
        + struct.pack(">HH", 60_000, 60_000)
        + b"\0" * 20
    )
    assert "60,000 x 60,000" in getattr(image_url("image/jpeg", base64.b64encode(frame).decode()), "why", "")


def test_the_model_answers_render_whole() -> None:
    done = graded(json.loads(MODEL))
    for name in ANSWERS:
        html = text_of(cell_of(done.notebook, name))
        assert "<math" in html or name in ("a2", "b", "c2"), name
        assert not re.search(r"<code>[^<]*\\(frac|sum|mathrm)", html), (
            f"{name}: a formula was not read as one"
        )
