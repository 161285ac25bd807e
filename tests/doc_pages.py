"""Reads the pages of docs/: what they tell the reader to write, to replace and to run."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SPAN = r"(?P<{0}t>`+)(?P<{0}>.+?)(?P={0}t)(?!`)"  # `code`, or `` code with ` in it ``
_INTO = re.compile(rf"Into\s+{_SPAN.format('path')},\s+before\s+{_SPAN.format('text')}:$")
_END = re.compile(rf"At\s+the\s+end\s+of\s+{_SPAN.format('path')}:$")
_IN = re.compile(rf"In\s+{_SPAN.format('path')},(?P<rest>.*?)(?=\bIn\s+`[^`]+`,|\Z)", re.DOTALL)
_BECOMES = re.compile(rf"{_SPAN.format('old')}\s+becomes\s+{_SPAN.format('new')}")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, its text, and the paragraph before it in one line."""

    language: str
    text: str
    before: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    lines = page.read_text(encoding="utf-8").splitlines(keepends=True)
    paragraph: list[str] = []
    fence, language, start = "", "", 0
    inside: list[str] = []
    for number, line in enumerate(lines, 1):
        found = re.match(r"(`{3,})(\w*)\s*$", line)
        if fence:
            if found and found[1] == fence and not found[2]:
                yield Block(language, "".join(inside), " ".join(" ".join(paragraph).split()), start)
                fence, inside, paragraph = "", [], []
            else:
                inside.append(line)
        elif found:
            fence, language, start = found[1], found[2], number
        elif line.strip():
            paragraph.append(line)
        elif paragraph and not paragraph[-1].rstrip().endswith(":"):
            paragraph = []


def follow(page: Path, root: Path) -> Iterator[str]:
    """Do in `root` what the page tells its reader to write; the commands of each `sh` block, as they come.

    Understood are "Into `FILE`, before `TEXT`:" and "At the end of `FILE`:" above a block, and "In `FILE`, `A`
    becomes `B`" in a paragraph. Raises `AssertionError` where a block is told in other words, or a text is not there.
    """
    done = 0
    text = page.read_text(encoding="utf-8")
    for block in blocks(page):
        begins = text.index(f"```{block.language}\n{block.text}", done)
        _replace(text[done:begins], root)
        done = begins + len(block.text)
        if block.language == "sh":
            yield from (line for line in block.text.splitlines() if line.strip() and not line.startswith("#"))
        elif found := _INTO.search(block.before):
            path = root / _span(found["path"])
            source = path.read_text(encoding="utf-8")
            mark = _span(found["text"])
            places = [m.start() for m in re.finditer(rf"^ *{re.escape(mark)}", source, re.MULTILINE)]
            assert len(places) == 1, f"{path}: {mark!r} begins {len(places)} lines"
            path.write_text(source[: places[0]] + block.text + source[places[0] :], encoding="utf-8")
        elif found := _END.search(block.before):
            with (root / _span(found["path"])).open("a", encoding="utf-8") as file:
                file.write(block.text)
        else:
            raise AssertionError(f"{page.name}:{block.line}: where does this go? {block.before!r}")
    _replace(text[done:], root)


def _replace(text: str, root: Path) -> None:
    for paragraph in re.split(r"\n\s*\n", text):
        for part in _IN.finditer(paragraph):
            path = root / _span(part["path"])
            for found in _BECOMES.finditer(part["rest"]):
                old, new = _span(found["old"]), _span(found["new"])
                source = path.read_text(encoding="utf-8")
                assert old in source, f"{path} has no {old!r}"
                path.write_text(source.replace(old, new), encoding="utf-8")


def _span(text: str) -> str:
    return text.strip()
