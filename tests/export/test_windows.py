"""Windows cover all of time, hold about as many tasks each, and are not used when the counts contradict each other."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refonte_frames.export.decode import Page, TaskDoc
from refonte_frames.export.sweep import Border, _without_foreign
from refonte_frames.export.windows import Window, most_rows, plan_windows, target_rows
from refonte_frames.pages import Paging

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

BASE = 1_709_539_200_000_000


def counter(moments: list[int]) -> Callable[[Sequence[tuple[int, int]]], list[int]]:
    """Count as an honest service does."""

    def count_all(slices: Sequence[tuple[int, int]]) -> list[int]:
        return [bisect_right(moments, end) - bisect_left(moments, start) for start, end in slices]

    return count_all


def held(window: Window, moments: list[int]) -> set[int]:
    """Say which tasks a window brings."""
    return {
        index
        for index, moment in enumerate(moments)
        if (window.start is None or moment >= window.start) and (window.end is None or moment <= window.end)
    }


def planned(moments: list[int], target: int, oldest: int | None = None) -> list[Window]:
    """Plan windows for tasks created at these moments."""
    windows = plan_windows(counter(moments), total=len(moments), oldest=oldest, newest=moments[-1], target=target)
    assert windows is not None
    return windows


moments_in_ms = st.lists(st.integers(0, 40_000_000) | st.integers(0, 5), min_size=2, max_size=60)


@given(moments_in_ms, st.integers(1, 20))
def test_every_task_is_in_a_window(milliseconds: list[int], target: int) -> None:
    """Whatever the distribution: bursts, gaps, all at once."""
    moments = sorted(BASE + 1_000 * value for value in milliseconds)
    windows = planned(moments, target)
    assert set().union(*(held(window, moments) for window in windows)) == set(range(len(moments)))
    assert windows[0].end is None
    assert windows[-1].start is None
    assert all(newer.start == older.end for newer, older in pairwise(windows))


def test_evenly_spread_tasks_are_cut_evenly() -> None:
    """No window holds more than the target."""
    moments = [BASE + 7_000_000 * index for index in range(1_000)]
    windows = planned(moments, 100)
    assert max(len(held(window, moments)) for window in windows) <= 101
    assert len(windows) <= 16


@given(st.randoms(use_true_random=False))
def test_a_window_may_hold_a_few_more_rather_than_be_cut(draw: Random) -> None:
    """Ten windows are planned, and ten it are, though none of them holds a tenth exactly."""
    moments = sorted(BASE + 7_000_000 * index + 1_000 * draw.randrange(2_000) for index in range(1_000))
    windows = plan_windows(
        counter(moments), total=1_000, oldest=moments[0], newest=moments[-1], target=100, most=most_rows(100)
    )
    assert windows is not None
    assert len(windows) == 10
    assert max(len(held(window, moments)) for window in windows) <= 113


def test_a_burst_within_one_millisecond_is_not_cut_for_ever() -> None:
    """It makes a large window of its own."""
    moments = sorted([BASE] * 500 + [BASE + 1_000_000 * index for index in range(10)])
    assert max(len(held(window, moments)) for window in planned(moments, 5)) >= 500


def test_a_service_that_ignores_bounds_is_found_out() -> None:
    """By a window in which nothing can have been created."""
    plan = plan_windows(lambda slices: [9] * len(slices), total=9, oldest=None, newest=BASE, target=2)
    assert plan is None


def test_a_service_that_ignores_the_end_is_found_out() -> None:
    """The impossible window has no end either then."""
    moments = [BASE + index for index in range(9)]
    plan = plan_windows(
        lambda slices: [len(moments) - bisect_left(moments, start) for start, _ in slices],
        total=9,
        oldest=None,
        newest=moments[-1],
        target=2,
    )
    assert plan is None


def test_a_service_that_ignores_the_start_is_found_out() -> None:
    """By a window that is still to come."""
    moments = [BASE + index for index in range(9)]
    plan = plan_windows(
        lambda slices: [bisect_right(moments, end) for _, end in slices],
        total=9,
        oldest=None,
        newest=moments[-1],
        target=2,
    )
    assert plan is None


def test_counts_that_do_not_add_up_are_found_out() -> None:
    """A list that loses tasks when it is cut must not be cut."""
    moments = [BASE + 1_000_000 * index for index in range(100)]
    honest = counter(moments)

    def lossy(slices: Sequence[tuple[int, int]]) -> list[int]:
        return [count if count in (0, 100) else count - 1 for count in honest(slices)]

    assert plan_windows(lossy, total=100, oldest=moments[0], newest=moments[-1], target=10) is None


@pytest.mark.parametrize(
    ("total", "workers", "rows"), [(100, 16, 5_000), (6_000, 16, 1_500), (1_000_000, 16, 15_625), (10**8, 16, 25_000)]
)
def test_windows_are_neither_tiny_nor_huge(total: int, workers: int, rows: int) -> None:
    """1,500 to 25,000 tasks, several for every worker where there are enough; few tasks are not cut."""
    assert target_rows(total, workers) == rows


def page(docs: int, token: str | None, *, has_more: bool = True, total: int | None = 1_000) -> Page:
    """Make a page of so many documents."""
    return Page([None] * docs, total, has_more, token)  # type: ignore[list-item]


def test_paging_follows_the_tokens_to_the_last_page() -> None:
    """The last page says that there is no more."""
    paging = Paging(100)
    assert paging.next_token(page(100, "a")) == "a"
    assert paging.next_token(page(100, "b")) == "b"
    assert paging.next_token(page(10, None, has_more=False)) is None


def test_a_repeated_token_ends_paging() -> None:
    """Else it would go round for ever."""
    paging = Paging(100)
    assert paging.next_token(page(100, "a")) == "a"
    assert paging.next_token(page(100, "b")) == "b"
    assert paging.next_token(page(100, "a")) is None


def test_empty_pages_that_promise_more_end_paging() -> None:
    """Three of them are borne."""
    paging = Paging(100)
    assert [paging.next_token(page(0, str(number))) for number in range(4)] == ["0", "1", "2", None]


def test_endless_fresh_tokens_end_paging() -> None:
    """No list has twice as many pages as its total allows, and ten."""
    paging = Paging(100)
    tokens = [paging.next_token(page(1, str(number))) for number in range(40)]
    assert tokens[28] == "28"
    assert tokens[29] is None


def test_more_without_a_token_is_the_end() -> None:
    """There is nothing to ask with."""
    assert Paging(100).next_token(page(100, None)) is None


@pytest.mark.parametrize(
    ("created_at", "is_near"),
    [
        ("2024-03-04T08:00:01.000Z", True),
        ("2024-03-04T08:00:30.000Z", False),
        ("2024-03-04T09:00:30.000+01:00", False),
        ("2024-03-04T09:00:01+01:00", True),
        ("2024-03-04 08:00:30", False),
        ("2024-03-04T08:00:59.500000Z", True),
        ("2024-03-04T09:30:00.000Z", True),
        ("soon", True),
        (None, True),
    ],
)
def test_only_tasks_near_a_bound_can_be_in_two_windows(created_at: str | None, is_near: bool) -> None:  # noqa: FBT001
    """However their time is written; a time nobody can read, or beyond the bounds, may be anywhere."""
    start = 1_709_539_200_000_000
    window = Window(start, start + 60_000_000)
    border, doc = Border(), TaskDoc(task_id="a", created_at=created_at)
    _without_foreign([doc], window, border)
    assert border.owned(window) == (["a"] if is_near else [])
