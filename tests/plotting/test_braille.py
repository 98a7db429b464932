"""The chart renderer: what is drawn where, and that nothing is lost or made up."""

from __future__ import annotations

import math
import time
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imbtui.plotting import braille
from imbtui.plotting.braille import Series, draw, labels, legend, render, ticks

NUMBERS = st.one_of(st.floats(-1e12, 1e12), st.sampled_from([math.nan, math.inf, -math.inf, 0.0]))


def inked(lines: list[str]) -> int:
    return sum("\u2800" < c <= "\u28ff" for line in lines for c in line)


@given(
    st.lists(st.lists(NUMBERS, max_size=80), max_size=4),
    st.integers(0, 120),
    st.integers(0, 40),
    st.booleans(),
)
def test_any_numbers_in_any_size_fit_their_frame(
    values: list[list[float]], width: int, height: int, log_y: bool
) -> None:
    series = [Series(f"s{i}", range(len(y)), y) for i, y in enumerate(values)]
    lines = render(series, width, height, log_y=log_y, x_label="epoch")
    assert len(lines) == height
    assert all(len(line) <= max(width, 0) for line in lines)


def test_a_rising_line_goes_from_bottom_left_to_top_right() -> None:
    chart = draw([Series("up", [0, 10], [0, 1])], 40, 10)
    lines = chart.lines
    assert lines[0][-1] in "⠈⠉⠁⠔⠊⡠⠐⠒⢀⡀" and lines[0][chart.left] == " "
    assert lines[7][chart.left] != " " and lines[7][-1] == " "


def test_a_single_spike_among_a_hundred_thousand_points_is_seen() -> None:
    y = array("d", bytes(8 * 100_000))
    y[31_415] = 1.0
    lines = render([Series("spike", range(100_000), y)], 80, 12)
    top = lines[0]
    assert sum("\u2800" < c <= "\u28ff" for c in top) == 1
    assert 80 * 0.25 < next(i for i, c in enumerate(top) if c > "\u2800") < 80 * 0.4


def test_series_differ_by_pattern_alone() -> None:
    x = list(range(50))
    flat = [0.5] * 50
    inks = [inked(render([Series("a", x, flat, pattern=p)], 60, 8)) for p in range(len(braille.PATTERNS))]
    rows = ["".join(render([Series("a", x, flat, pattern=p)], 60, 8)) for p in range(len(braille.PATTERNS))]
    assert len(set(rows)) == len(rows)
    assert inks[0] == max(inks)


def test_more_series_than_patterns_are_told_apart_by_letters_along_their_lines() -> None:
    many = [Series(f"arm {n}", [0, 100], [n, n], mark=m) for n, m in enumerate("abcdefgh")]
    lines = draw(many, 100, 40).lines
    for one in many:
        assert max(line.count(one.mark) for line in lines) >= 3, "at its end and along it"
    few = draw(many[:4], 100, 40).lines
    assert sum(line.count("a") for line in few) == 1
    pairs = {(n % len(braille.PATTERNS), braille.pattern_of(n)) for n in range(16)}
    assert len(pairs) == 16, "colour and pattern together"


def test_without_dots_lines_are_made_of_their_letters() -> None:
    many = [Series(f"arm {n}", [0, 100], [n, n], mark=m) for n, m in enumerate("abcdefghijkl")]
    chart = draw(many, 60, 40, plain=True)
    assert all(any(line.count(one.mark) > 20 for line in chart.lines) for one in many)
    assert [text.split()[0] for text, _ in legend(many, plain=True)] == [2 * one.mark for one in many]


def test_each_piece_names_its_series() -> None:
    chart = draw([Series("low", [0, 9], [0, 0]), Series("high", [0, 9], [1, 1])], 40, 8)
    roles = {role for row in chart.rows for text, role in row if inked([text])}
    assert roles == {0, 1}
    assert {role for text, role in chart.rows[0] if inked([text])} == {1}


def test_values_that_are_no_numbers_leave_the_rest() -> None:
    y = [1.0, math.nan, 2.0, math.inf, 3.0]
    assert render([Series("a", range(5), y)], 40, 8) == render([Series("a", [0, 2, 4], [1, 2, 3])], 40, 8)


def test_a_log_axis_has_powers_of_ten_and_leaves_out_what_has_no_logarithm() -> None:
    lines = render([Series("a", range(5), [100, 10, 1, 0.1, 0])], 40, 14, log_y=True)
    shown = [line.split("┤")[0].strip() for line in lines if "┤" in line]
    assert shown == ["100", "10", "1", "0.1"]


def test_nothing_to_draw_is_an_empty_frame() -> None:
    assert render([], 40, 6) == [""] * 6
    assert render([Series("a", [], [])], 40, 6) == [""] * 6


def test_one_point_and_a_constant_are_drawn() -> None:
    assert inked(render([Series("a", [5], [0.3])], 40, 8)) == 1
    assert inked(render([Series("a", [0, 1], [0.3, 0.3])], 40, 8)) > 20


@pytest.mark.parametrize(
    ("low", "high", "count", "expected"),
    [
        (0.0, 1.0, 6, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.0, 200.0, 5, [0, 50, 100, 150, 200]),
        (0.013, 0.019, 4, [0.014, 0.016, 0.018]),
        (-3.0, 4.0, 4, [-2, 0, 2, 4]),
    ],
)
def test_ticks_are_round(low: float, high: float, count: int, expected: list[float]) -> None:
    assert ticks(low, high, count) == pytest.approx(expected)


def test_labels_have_the_decimals_they_need() -> None:
    assert labels([0.2, 0.4]) == ["0.2", "0.4"]
    assert labels([0, 50, 100]) == ["0", "50", "100"]
    assert labels([0.05, 0.1]) == ["0.05", "0.10"]
    assert labels([1e-6, 2e-6]) == ["1e-6", "2e-6"]
    assert labels([0, 2e7]) == ["0", "2e7"]
    assert labels([0.3130001, 0.31300015]) == ["0.31300010", "0.31300015"]
    assert labels([12345680, 12345685]) == ["1.234568e7", "1.2345685e7"]


def test_the_legend_shows_pattern_and_label() -> None:
    text = "".join(piece for piece, _ in legend([Series("train", [], []), Series("test", [], [])]))
    assert text.endswith("test") and "train  " in text
    assert len({braille.SAMPLES[i] for i in range(4)}) == 4


def test_two_long_series_are_drawn_in_milliseconds() -> None:
    x = array("d", range(100_000))
    y = array("d", (math.sin(i / 3000) for i in range(100_000)))
    series = [Series("a", x, y), Series("b", x, array("d", (v + 0.5 for v in y)))]
    took = []
    for _ in range(5):
        start = time.process_time()
        render(series, 120, 40)
        took.append(time.process_time() - start)
    assert min(took) < 0.05


def test_a_band_is_shaded_between_its_edges_and_nowhere_else() -> None:
    flat = Series("mean", [0, 10], [0.5, 0.5], low=[0.25, 0.25], high=[0.75, 0.75])
    chart = draw([flat], 60, 26, y_range=(0.0, 1.0))
    band = [sum(len(t.strip()) for t, role in row if role == braille.BAND) for row in chart.rows[:24]]
    assert all(band[7:11]) and all(band[13:17]), "a quarter above the middle, a quarter below"
    assert not any(band[:5]) and not any(band[19:])


def test_a_band_counts_for_the_range_of_the_axis() -> None:
    chart = draw([Series("mean", [0, 1], [1.0, 1.0], low=[-2.0, 0.5], high=[1.5, 4.0])], 40, 12)
    assert chart.y_range == (-2.0, 4.0)
    assert draw([Series("m", [0, 1], [1.0, 2.0], low=[-1.0, 1.0], high=[2.0, 3.0])], 40, 12, log_y=True)


def test_letters_stand_at_the_ends_of_lines_and_beside_each_other() -> None:
    series = [Series(n, [0, 10], [0, 1], mark=m) for n, m in (("one", "a"), ("two", "b"))]
    series.append(Series("low", [0, 10], [0, 0], mark="c"))
    lines = draw(series, 40, 10).lines
    assert lines[0].endswith("ba") and lines[7].rstrip().endswith("c")
    assert legend(series)[0][0].endswith(" a one")
