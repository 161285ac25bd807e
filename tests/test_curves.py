"""The axes of the curves that `grade reproduce` draws."""

import pytest

from grader.reproduce.figures import span


@pytest.mark.parametrize(
    ("shown", "ends", "enlarged", "expected"),
    [
        pytest.param([97, 99.2, 92, 99, 99], [99.2, 99], 90, (91, 100), id="reached, all above"),
        pytest.param([10.5, 96.5, 95], [96.5], 90, (90, 97.5), id="first epochs below"),
        pytest.param([65, 86.3, 90], [86.3], 90, (81, 91), id="an end a little below"),
        pytest.param([65, 80, 11.5, 36, 95], [80, 36], 90, (10, 96), id="target not reached: all"),
        pytest.param([0.4, 9, 95], [9], 50, (0, 96), id="not below 0"),
    ],
)
def test_the_axis_holds_target_and_all_ends(shown, ends, enlarged, expected):
    bottom, top = span(shown, ends, enlarged)
    assert (bottom, top) == expected
    assert bottom <= min(ends)
    assert top >= max(shown)
