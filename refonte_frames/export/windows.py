"""Time is cut into windows of created_at that hold about as many tasks each, so that several threads can read. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import TYPE_CHECKING, Final

from refonte_frames.api import MAX_PAGE_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["IMPOSSIBLE", "Window", "most_rows", "plan_windows", "target_rows", "windows_around"]

#: Times are whole milliseconds on the wire (contract 1.1).
_MS: Final = 1_000
_SECOND: Final = 1_000_000
_DAY: Final = 86_400 * _SECOND
#: Nothing was created then: a service that finds something does not look at the end, or at the start.
IMPOSSIBLE: Final = ((0, _MS), (4_102_444_800 * _SECOND, 4_102_444_800 * _SECOND + _MS))
#: Fewer tasks than this are read page after page sooner than windows for them are planned.
_WORTH_CUTTING: Final = 5_000
#: Windows must be small beside what a worker reads in all, or the last ones keep a single worker busy at the end.
_SMALLEST_TARGET: Final = 1_500
#: Tasks that come with one request: to read so many more costs no more than a window of its own.
_PAGE: Final = MAX_PAGE_SIZE
_LARGEST_TARGET: Final = 25_000
_MAX_SLICES: Final = 256


@dataclass(frozen=True, slots=True)
class Window:
    """An inclusive range of created_at, in microseconds since 1970; None is an open end.

    Neighbours share their bound, so that no task can fall between two of them. Where the service does not look at
    bounds, a window is a batch instead.
    """

    start: int | None = None
    end: int | None = None
    batch: str | None = None


Count = tuple[int, int, int]
"""Start, end, and number of tasks between them."""


def target_rows(total: int, workers: int) -> int:
    """Say how many tasks a window should hold: enough for every worker to get several, few enough to lose little.

    >>> target_rows(4_000, workers=16), target_rows(100_000, workers=16), target_rows(10**8, workers=16)
    (5000, 1563, 25000)
    """
    if total <= _WORTH_CUTTING:
        return _WORTH_CUTTING
    return max(_SMALLEST_TARGET, min(_LARGEST_TARGET, ceil(total / (4 * workers))))


def most_rows(target: int) -> int:
    """Say how many tasks a window may come to hold that is planned for so many.

    Slices of time are never quite equal. To cut one for a few tasks too many leaves two small windows, and in the end
    one worker that reads the last of them alone.

    >>> most_rows(1_600)
    1800
    """
    return target + target // 8


def plan_windows(
    count_all: Callable[[Sequence[tuple[int, int]]], list[int]],
    *,
    total: int,
    oldest: int | None,
    newest: int,
    target: int,
    most: int | None = None,
    finest: int = _MS,
) -> list[Window] | None:
    """Plan windows by asking how many tasks lie in slices of time.

    Parameters
    ----------
    count_all : callable
        Takes (start, end) pairs and returns how many tasks each holds; it may ask for all at once.
    total : int
        Tasks that match altogether.
    oldest : int or None
        No task is older; None when that is not known.
    newest : int
        Created when the newest task was.
    target : int
        Tasks that a window should hold.
    most : int, optional
        Tasks that a window may hold. Default: the target. What is created within `finest` may be more: it is not cut.
    finest : int
        Windows begin and end at multiples of so many microseconds, but for the outer bounds.

    Returns
    -------
    list of Window or None
        Newest first, the outer ones open-ended. None when the counts contradict each other: the service then
        does not look at the bounds, and windows must not be used.

    Examples
    --------
    >>> moments = range(1_000_000_000, 1_010_000_000, 1_000_000)
    >>> def count_all(slices):
    ...     return [sum(start <= moment <= end for moment in moments) for start, end in slices]
    >>> windows = plan_windows(count_all, total=10, oldest=moments[0], newest=moments[-1], target=6)
    >>> [(window.start, window.end) for window in windows]
    [(1004000000, None), (None, 1004000000)]
    """
    if any(count_all(IMPOSSIBLE)):
        return None
    oldest = _find_oldest(count_all, total, newest) if oldest is None else oldest
    if oldest is None:
        return None
    if oldest >= newest:
        return [Window()]
    slices = _slice_all(count_all, (oldest, newest, total), target, most or target, finest)
    return None if slices is None else _joined(slices, target)


def _find_oldest(count_all: Callable[[Sequence[tuple[int, int]]], list[int]], total: int, newest: int) -> int | None:
    """Find a time before the oldest task, close enough for the slices to be of use; None if there is none."""
    starts = [newest - _DAY * 2**power for power in range(15) if newest > _DAY * 2**power]
    counts = count_all([(start, newest) for start in starts])
    if counts != sorted(counts) or any(count > total for count in counts):
        return None
    return next((start for start, count in zip(starts, counts, strict=True) if count == total), None)


def _slice_all(
    count_all: Callable[[Sequence[tuple[int, int]]], list[int]], whole: Count, target: int, most: int, finest: int
) -> list[Count] | None:
    """Cut slices that hold too many until none is left that could be cut; oldest first."""
    done: list[Count] = []
    todo = [whole]
    while todo:
        cut = [(parent, _cut(parent, target, finest)) for parent in todo]
        counts = iter(count_all([piece for _, pieces in cut for piece in pieces]))
        todo = []
        for (_, _, parent_count), pieces in cut:
            counted = [(start, end, next(counts)) for start, end in pieces]
            found = sum(count for _, _, count in counted)
            if found < parent_count or any(count > parent_count for _, _, count in counted):
                return None
            # A task on a bound is in two slices, and none can be in three.
            if found > 2 * parent_count:
                return None
            for piece in counted:
                can_be_cut = len(pieces) > 1 and piece[1] - piece[0] > finest
                (todo if piece[2] > most and can_be_cut else done).append(piece)
    return sorted(done)


def _cut(whole: Count, target: int, finest: int) -> list[tuple[int, int]]:
    """Cut into equal slices that share their bounds; the bounds are whole seconds where there is room."""
    start, end, count = whole
    pieces = max(2, min(_MAX_SLICES, ceil(count / target)))
    grain = _SECOND if end - start > 2 * pieces * _SECOND else finest
    marks = {(start + (end - start) * index // pieces) // grain * grain for index in range(1, pieces)}
    bounds = [start, *sorted(mark for mark in marks if start < mark < end), end]
    return list(pairwise(bounds))


def _joined(slices: list[Count], target: int) -> list[Window]:
    """Join neighbours that together hold no more than the target, so that no time is left out."""
    groups: list[Count] = []
    for start, end, count in slices:
        if groups and groups[-1][2] + count <= target:
            groups[-1] = (groups[-1][0], end, groups[-1][2] + count)
        else:
            groups.append((start, end, count))
    windows = [
        Window(None if index == 0 else start, None if index == len(groups) - 1 else end)
        for index, (start, end, _) in enumerate(groups)
    ]
    return windows[::-1]


def windows_around(seconds: Sequence[int], members: Sequence[int], gaps: Sequence[int], *, target: int) -> list[Window]:
    """Make windows that hold some seconds and little else; a service that looks at whole seconds sees the same.

    Parameters
    ----------
    seconds : sequence of int
        Seconds since 1970, ascending, each once.
    members, gaps : sequence of int
        How many tasks were created in each of them, and between it and the one before.
    target : int
        Tasks that a window should hold at most. One second may hold more: it is not cut.

    Returns
    -------
    list of Window
        Newest first. Two seconds are in one window where less than a page of tasks lies between them.

    Examples
    --------
    >>> windows = windows_around([10, 11, 90], [5, 5, 1], [700, 0, 300], target=5_000)
    >>> [(window.start, window.end) for window in windows]
    [(90000000, 91000000), (10000000, 12000000)]
    """
    groups: list[Count] = []
    for second, count, gap in zip(seconds, members, gaps, strict=True):
        start, end = second * _SECOND, (second + 1) * _SECOND
        if groups and gap < _PAGE and groups[-1][2] + gap + count <= target:
            groups[-1] = (groups[-1][0], end, groups[-1][2] + gap + count)
        else:
            groups.append((start, end, count))
    return [Window(start, end) for start, end, _ in reversed(groups)]
