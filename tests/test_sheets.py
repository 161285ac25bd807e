"""A platform's own CSV: one column is filled, every other byte stays."""

from pathlib import Path

import pytest

from grader.instructor.export.sheet import read_sheet

CANVAS = '\ufeffStudent,ID,"Home ""1"" (7)"\r\n    Points Possible,,55.0\r\n"Berg, Anna\nMaria",101,\r\n=1+1,102,"3"\r\n山田,103,\r\n'


def test_a_filled_cell_changes_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "g.csv"
    path.write_bytes(CANVAS.encode())
    sheet = read_sheet(path)
    assert sheet.data() == CANVAS.encode()
    assert sheet.header == ["Student", "ID", 'Home "1" (7)']
    sheet.fill(2, 2, "42.5")
    sheet.fill(3, 2, "1,5")
    wanted = CANVAS.replace("101,", "101,42.5").replace('102,"3"', '102,"1,5"')
    assert sheet.data() == wanted.encode()


@pytest.mark.parametrize("text", ["a;b\n1;2\n", "a,b\r1,2", "a\tb\r\n\xff\t\r\n", 'a,b\n"x"y,2\n', "a,b\n1,"])
def test_any_file_comes_out_as_it_went_in(tmp_path: Path, text: str) -> None:
    path = tmp_path / "g.csv"
    path.write_bytes(text.encode("latin-1"))
    assert read_sheet(path).data() == text.encode("latin-1")
