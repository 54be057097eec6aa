"""How far boxes of two labelers cover each other: intersection over union, best matching, agreement by class. Pure."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from refonte_frames.errors import InputError
from refonte_frames.frames import as_pandas
from refonte_frames.quality.taking import need_scipy, numbers, take

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

__all__ = ["box_agreement", "box_iou"]

_SIDES: Final = ("left", "top", "width", "height")
_MATCHES_AT: Final = 0.5
_COLUMNS: Final = ("task_id", "a", "b", "label", "n_a", "n_b", "matched", "mean_iou", "f1_50", "f1_75")


def box_iou(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Compute how far every box of `a` and every box of `b` cover each other.

    Parameters
    ----------
    a, b : array_like
        Boxes as rows ``x1, y1, x2, y2``, the second corner not before the first.

    Returns
    -------
    numpy.ndarray
        ``len(a)`` by ``len(b)``: the area of the intersection over that of the union, 0 to 1; 0 for two empty boxes.

    Raises
    ------
    InputError
        These are no boxes.

    Examples
    --------
    >>> rf.quality.box_iou([[0, 0, 10, 10]], [[0, 0, 10, 5], [20, 20, 30, 30]])
    array([[0.5, 0. ]])

    >>> rf.quality.box_iou([[10, 0, 0, 10]], [[0, 0, 10, 10]])
    Traceback (most recent call last):
    refonte_frames.errors.InputError: A box is four numbers x1, y1, x2, y2, ...
    """
    one, other = _boxes(a), _boxes(b)
    corner = np.maximum(one[:, None, :2], other[None, :, :2])
    opposite = np.minimum(one[:, None, 2:], other[None, :, 2:])
    shared = np.prod(np.clip(opposite - corner, 0, None), axis=2)
    total = _areas(one)[:, None] + _areas(other)[None, :] - shared
    return np.asarray(np.divide(shared, total, out=np.zeros_like(shared), where=total > 0))


def _boxes(given: ArrayLike) -> NDArray[np.float64]:
    boxes = np.asarray(given, float).reshape(-1, 4) if np.size(given) % 4 == 0 else np.full((1, 4), np.nan)
    if not (boxes[:, 2:] >= boxes[:, :2]).all():
        raise InputError("A box is four numbers x1, y1, x2, y2, with x2 not below x1 and y2 not below y1.")
    return boxes


def _areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))


def box_agreement(annotations: Any, by: str = "labeler") -> pd.DataFrame:
    """Compare the boxes that every two labelers drew on the same task, class by class.

    Parameters
    ----------
    annotations : frame
        As `read_annotations` gives them, with a column that says who drew what: ``task_id, label, left, top, width,
        height`` and `by`. Only rows whose ``geometry`` is box, where there is that column; polygons are not compared.
    by : str
        The column that says who drew it.

    Returns
    -------
    pandas.DataFrame
        One row per task, pair of labelers and class that one of them drew: ``task_id, a, b, label, n_a, n_b,
        matched`` (pairs that cover each other at least by half), ``mean_iou`` (the sum over matched pairs, twice, over
        all boxes of both: an unmatched box counts 0), ``f1_50, f1_75`` (twice the pairs at least so good over all
        boxes). Boxes are paired one to one so that the sum of their overlaps is largest, which a greedy choice misses.
        Somebody who drew nothing at all on a task is not in the annotations and hence not here. Boxes with a missing
        side, or of nobody named, are left out: ``attrs["n_excluded"]``.

    Raises
    ------
    ImportError
        Without the extra ``[quality]``.

    Examples
    --------
    >>> boxes = pd.DataFrame({"task_id": "t", "labeler": ["ana", "bob"], "label": "cat", "left": [0, 0], "top": [0, 0],
    ...     "width": [10, 10], "height": [10, 8]})
    >>> rf.quality.box_agreement(boxes)[["a", "b", "label", "matched", "mean_iou", "f1_75"]]
         a    b label  matched  mean_iou  f1_75
    0  ana  bob   cat        1       0.8    1.0

    >>> rf.quality.box_agreement(boxes, by="worker")
    Traceback (most recent call last):
    refonte_frames.errors.ColumnError: Annotations need a column 'worker', ...
    """
    given = as_pandas(annotations)
    rows = take(given, "task_id", by, "label", *_SIDES, of="Annotations")
    if "geometry" in given.columns:
        geometry = take(given, "geometry", of="Annotations")["geometry"].astype("string")
        rows = rows.loc[(geometry == "box").fillna(value=False).to_numpy()]
    sides = np.column_stack([numbers(rows[name]) for name in _SIDES])
    is_whole = np.asarray(np.isfinite(sides).all(axis=1) & (sides[:, 2:] >= 0).all(axis=1))
    # Nobody knows whether boxes without a name are those of one labeler.
    is_whole &= (rows["task_id"].notna() & rows[by].notna()).to_numpy(dtype=bool)
    rows, sides = rows.loc[is_whole], sides[is_whole]
    corners = np.column_stack([sides[:, :2], sides[:, :2] + sides[:, 2:]])
    places: Any = rows.reset_index(drop=True).groupby(["task_id", "label", by], dropna=False, observed=True).indices
    table = pd.DataFrame(list(_compared(places, corners)), columns=list(_COLUMNS))
    table = table.sort_values(["task_id", "a", "b", "label"], ignore_index=True)
    table.attrs["n_excluded"] = int((~is_whole).sum())
    return table


def _compared(places: dict[Any, NDArray[np.intp]], corners: NDArray[np.float64]) -> Iterator[tuple[Any, ...]]:
    drawn: dict[Any, dict[Any, dict[Any, NDArray[np.float64]]]] = {}
    for (task, label, who), at in places.items():
        drawn.setdefault(task, {}).setdefault(who, {})[label] = corners[at]
    nothing = np.empty((0, 4))
    for task, by_labeler in drawn.items():
        for a, b in itertools.combinations(sorted(by_labeler, key=str), 2):
            for label in sorted({*by_labeler[a], *by_labeler[b]}, key=str):
                one, other = by_labeler[a].get(label, nothing), by_labeler[b].get(label, nothing)
                yield task, a, b, label, len(one), len(other), *_scores(one, other)


def _scores(one: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[int, float, float, float]:
    overlaps = box_iou(one, other)
    # What would not count as a match must not draw boxes away from better ones.
    usable = np.where(overlaps >= _MATCHES_AT, overlaps, 0.0)
    rows, columns = need_scipy("scipy.optimize").linear_sum_assignment(usable, maximize=True)
    matched = usable[rows, columns]
    matched = matched[matched > 0]
    boxes = len(one) + len(other)
    at_75 = int((matched >= 0.75).sum())
    return len(matched), 2 * float(matched.sum()) / boxes, 2 * len(matched) / boxes, 2 * at_75 / boxes
