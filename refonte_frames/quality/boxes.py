"""How far shapes of two labelers cover each other: overlap, best matching, agreement and errors by class. Pure."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from refonte_frames.errors import InputError
from refonte_frames.frames import as_pandas
from refonte_frames.quality.taking import key_list, need_extra, numbers, take

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["box_accuracy", "box_agreement", "box_iou"]

_SIDES: Final = ("left", "top", "width", "height")
#: Shapes on different pages and frames are no match, wherever they lie there.
_SHEETS: Final = ("page", "frame")
_MATCHES_AT: Final = 0.5
_COLUMNS: Final = ("task_id", "a", "b", "label", "n_a", "n_b", "matched", "mean_iou", "f1_50", "f1_75")
_COUNTED: Final = ("n_tasks", "tp", "fp", "fn", "iou", "mean_iou", "precision", "recall", "accuracy")
_FEWEST_VERTICES: Final = 3


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
    try:
        boxes = np.asarray(given, float)
    except (TypeError, ValueError):
        boxes = np.full((1, 4), np.nan)
    if boxes.size == 0 or boxes.shape == (4,):
        boxes = boxes.reshape(-1, 4)
    # Twelve numbers in four rows are no three boxes, though they would fill them.
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not (boxes[:, 2:] >= boxes[:, :2]).all():
        raise InputError("A box is four numbers x1, y1, x2, y2, with x2 not below x1 and y2 not below y1.")
    return boxes


def _areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))


def box_agreement(annotations: Any, by: str = "labeler") -> pd.DataFrame:
    """Compare the boxes and polygons that every two labelers drew on the same task, class by class.

    Parameters
    ----------
    annotations : frame
        As `annotations_from` makes them of attempts, or as `read_annotations` gives them, with a column that says who
        drew what: ``task_id, label, left, top, width, height`` and `by`; ``geometry, vertices, rotation, page, frame``
        where they are. Without ``geometry`` all are boxes. Keep one attempt of a labeler at a task.
    by : str
        The column that says who drew it.

    Returns
    -------
    pandas.DataFrame
        One row per task, pair of labelers and class that one of them drew: ``task_id, a, b, label, n_a, n_b,
        matched`` (pairs that cover each other at least by half), ``mean_iou`` (the sum over matched pairs, twice, over
        all shapes of both: an unmatched one counts 0), ``f1_50, f1_75`` (twice the pairs at least so good over all
        shapes). Shapes are paired one to one so that the sum of their overlaps is largest, which a greedy choice
        misses, and only within a page and a frame. A row without shape and label says that somebody looked and drew
        nothing: against a labeler who drew something that is 0, and two who drew nothing have one row without a label
        and agree (1). Of somebody without any row nobody knows. Left out, and counted in ``attrs["n_excluded"]``:
        other geometries, shapes with a missing side or fewer than three corners, and those of nobody named.

    Raises
    ------
    ColumnError
        A column is missing.
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
    drawings, n_excluded = _drawings(annotations, by)
    by_task: dict[Any, dict[Any, _Drawing]] = {}
    for (task, who), drawing in drawings.items():
        by_task.setdefault(task, {})[who] = drawing
    table = pd.DataFrame(
        [
            (task, a, b, *row)
            for task, people in by_task.items()
            for a, b in itertools.combinations(sorted(people, key=str), 2)
            for row in _pair_rows(people[a], people[b])
        ],
        columns=list(_COLUMNS),
    )
    table = table.sort_values(["task_id", "a", "b", "label"], ignore_index=True)
    table.attrs["n_excluded"] = n_excluded
    return table


def box_accuracy(annotations: Any, gold: Any, by: str = "labeler") -> pd.DataFrame:
    """Compare the boxes and polygons that each labeler drew with the right ones, class by class.

    Parameters
    ----------
    annotations, by
        As for `box_agreement`.
    gold : frame
        The right shapes: the same columns, but for `by`, such as ``annotations_from(…, response="expected_json")`` of
        one attempt for each quality task. A row without shape and label says that nothing is there.

    Returns
    -------
    pandas.DataFrame
        One row per labeler and class, over all tasks of `gold` where the labeler has a row: the labeler, ``label,
        n_tasks`` (with this class on either side), ``tp`` (right shapes that one of the labeler's covers by half, in
        the best matching), ``fp`` (drawn besides), ``fn`` (missed), ``precision, recall, accuracy`` (tp over tp + fp
        + fn) and ``mean_iou`` (of the matched). A class drawn under another label is an fp there and an fn here.
        ``attrs["n_excluded"]`` counts annotations that are no shapes, or of nobody, or at tasks without gold.

    Raises
    ------
    ColumnError
        A column is missing.
    InputError
        No task of the annotations has a right answer.
    ImportError
        Without the extra ``[quality]``.

    Examples
    --------
    >>> sides = {"left": 0, "top": 0, "width": 10, "height": 10}
    >>> gold = pd.DataFrame({"task_id": ["t"], "label": "cat", **sides})
    >>> drawn = pd.DataFrame({"task_id": "t", "labeler": "ana", "label": ["cat", "dog"], **sides})
    >>> rf.quality.box_accuracy(drawn, gold)[["labeler", "label", "tp", "fp", "fn", "accuracy"]]
      labeler label  tp  fp  fn  accuracy
    0     ana   cat   1   0   0       1.0
    1     ana   dog   0   1   0       0.0

    >>> rf.quality.box_accuracy(drawn, gold.assign(task_id="u"))
    Traceback (most recent call last):
    refonte_frames.errors.InputError: No task of the annotations has a right answer: ...
    """
    drawings, n_excluded = _drawings(annotations, by)
    truths = {task: truth for (task, _), truth in _drawings(as_pandas(gold).assign(**{by: "gold"}), by)[0].items()}
    counted = [
        {by: who, "label": label, **_counts(one, other)}
        for (task, who), drawing in drawings.items()
        if task in truths
        for label, one, other in _facing(drawing, truths[task])
    ]
    if not truths.keys() & {task for task, _ in drawings}:
        raise InputError("No task of the annotations has a right answer: do the ids in `gold` match `task_id`?")
    rows = pd.DataFrame(counted, columns=[by, "label", *_COUNTED[:5]])
    table = rows.groupby([by, "label"], dropna=False, sort=True).sum().reset_index()
    table["precision"] = table["tp"] / (table["tp"] + table["fp"]).replace(0, np.nan)
    table["recall"] = table["tp"] / (table["tp"] + table["fn"]).replace(0, np.nan)
    table["accuracy"] = table["tp"] / (table["tp"] + table["fp"] + table["fn"])
    table["mean_iou"] = table.pop("iou") / table["tp"].replace(0, np.nan)
    elsewhere = sum(drawing.n_rows for (task, _), drawing in drawings.items() if task not in truths)
    table.attrs["n_excluded"] = n_excluded + elsewhere
    return table


@dataclass(slots=True)
class _Shapes:
    """Shapes of one class on one page: the corners of upright boxes, and all of them as polygons where need be."""

    corners: NDArray[np.float64]
    polygons: NDArray[Any] | None

    def __len__(self) -> int:
        return len(self.corners)

    def as_polygons(self) -> NDArray[Any]:
        if self.polygons is not None:
            return self.polygons
        shapely = need_extra("shapely")
        return np.asarray(shapely.box(*self.corners.T))


#: Of one labeler on one task: shapes by class, and within it by page and frame.
_ByClass = dict[Any, dict[tuple[Any, ...], _Shapes]]


@dataclass(slots=True)
class _Drawing:
    """What one labeler drew on one task; `n_rows` of the frame, also those that say that it is nothing."""

    shapes: _ByClass
    n_rows: int


def _drawings(annotations: Any, by: str) -> tuple[dict[tuple[Any, Any], _Drawing], int]:
    """Gather shapes by task and labeler; the number is that of rows left out."""
    key_list(by, "task_id", "label", *_SIDES, *_COUNTED)
    given = as_pandas(annotations)
    optional = [name for name in ("geometry", "vertices", "rotation", *_SHEETS) if name in given.columns]
    rows = take(given, "task_id", by, "label", *_SIDES, *optional, of="Annotations", lists_in=["vertices"])
    sides = np.column_stack([numbers(rows[name]) for name in _SIDES])
    turned = numbers(rows["rotation"]) if "rotation" in rows else np.zeros(len(rows))
    polygons = _polygons(rows, sides, turned)
    is_polygon = np.array([each is not None for each in polygons], bool)
    is_box = _is_geometry(rows, "box") & np.isfinite(sides).all(axis=1) & (sides[:, 2:] >= 0).all(axis=1)
    is_nothing = _is_nothing(rows, sides)
    is_named = (rows["task_id"].notna() & rows[by].notna()).to_numpy(dtype=bool)
    is_used = is_named & (is_polygon | is_box | is_nothing)
    corners = np.column_stack([sides[:, :2], sides[:, :2] + sides[:, 2:]])
    drawings: dict[tuple[Any, Any], _Drawing] = {}
    for key in zip(rows.loc[is_used, "task_id"].tolist(), rows.loc[is_used, by].tolist(), strict=True):
        drawings.setdefault(key, _Drawing({}, 0)).n_rows += 1
    keys = ["task_id", by, "label", *(name for name in _SHEETS if name in rows)]
    for (task, who, label, *sheet), at in _groups(rows[keys], np.flatnonzero(is_used & ~is_nothing)):
        drawings[task, who].shapes.setdefault(label, {})[tuple(sheet)] = _shapes(
            corners[at], [polygons[one] for one in at]
        )
    return drawings, int((~is_used).sum())


def _groups(rows: pd.DataFrame, at: NDArray[np.intp]) -> Iterator[tuple[tuple[Any, ...], NDArray[np.intp]]]:
    """Give each combination of values among these rows, null as None, with the places of its rows."""
    chosen = rows.iloc[at]
    codes = chosen.groupby(list(rows.columns), dropna=False, observed=True).ngroup().to_numpy()
    order = np.argsort(codes, kind="stable")
    # Two nulls are not equal as they stand in a column: what somebody drew without a label would match nothing.
    columns = [[None if pd.isna(value) else value for value in chosen[name].tolist()] for name in rows.columns]
    for within in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1):
        if len(within):
            yield tuple(column[within[0]] for column in columns), at[within]


def _shapes(corners: NDArray[np.float64], drawn: Sequence[Any]) -> _Shapes:
    plain = _Shapes(corners, None)
    if all(each is None for each in drawn):
        return plain
    upright = plain.as_polygons()
    mixed = [box if each is None else each for each, box in zip(drawn, upright, strict=True)]
    return _Shapes(corners, np.array(mixed, object))


def _is_geometry(rows: pd.DataFrame, name: str) -> NDArray[np.bool_]:
    if "geometry" not in rows:
        return np.full(len(rows), name == "box")
    return (rows["geometry"].astype("string") == name).fillna(value=False).to_numpy(dtype=bool)


def _is_nothing(rows: pd.DataFrame, sides: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Mark rows that say that somebody looked and drew nothing."""
    is_empty = np.isnan(sides).all(axis=1) & rows["label"].isna().to_numpy(dtype=bool)
    return is_empty & (rows["geometry"].isna().to_numpy(dtype=bool) if "geometry" in rows else True)


def _polygons(rows: pd.DataFrame, sides: NDArray[np.float64], turned: NDArray[np.float64]) -> list[Any]:
    """Give polygons and turned boxes as shapely's; None for all others, and for polygons that are none."""
    vertices = rows["vertices"].tolist() if "vertices" in rows else [None] * len(rows)
    is_polygon = _is_geometry(rows, "polygon")
    is_turned = _is_geometry(rows, "box") & np.isfinite(sides).all(axis=1) & (np.nan_to_num(turned) != 0)
    found: list[Any] = [None] * len(rows)
    for at in np.flatnonzero(is_polygon):
        found[at] = _polygon(vertices[at])
    for at in np.flatnonzero(is_turned):
        shapely = need_extra("shapely")
        left, top, width, height = sides[at]
        box = shapely.box(left, top, left + width, top + height)
        # Clockwise as one sees it, since y points down (contract 5.3).
        found[at] = need_extra("shapely.affinity").rotate(box, turned[at], origin="centroid", use_radians=True)
    return found


def _points(vertices: Any) -> NDArray[np.float64]:
    """Give corners, which are objects with x and y or pairs, as rows of a table; none where they are something else."""
    given = list(vertices) if isinstance(vertices, list | tuple | np.ndarray) else []
    pairs = [(each.get("x"), each.get("y")) if isinstance(each, dict) else each for each in given]
    try:
        points = np.array(pairs, float)
    except (TypeError, ValueError):
        return np.empty((0, 2))
    return points if points.ndim == 2 and points.shape[1] == 2 else np.empty((0, 2))


def _polygon(vertices: Any) -> Any:
    points = _points(vertices)
    if len(points) < _FEWEST_VERTICES or not np.isfinite(points).all():
        return None
    shapely = need_extra("shapely")
    polygon = shapely.Polygon(points)
    # A line that crosses itself encloses what it goes around; the plain area would count some of it as negative.
    return polygon if polygon.is_valid else shapely.make_valid(polygon)


def _overlaps(one: _Shapes, other: _Shapes) -> NDArray[np.float64]:
    if one.polygons is None and other.polygons is None:
        return box_iou(one.corners, other.corners)
    shapely = need_extra("shapely")
    a, b = one.as_polygons()[:, None], other.as_polygons()[None, :]
    shared = shapely.area(shapely.intersection(a, b))
    total = shapely.area(a) + shapely.area(b) - shared
    return np.asarray(np.divide(shared, total, out=np.zeros_like(shared), where=total > 0))


def _matched(one: dict[tuple[Any, ...], _Shapes], other: dict[tuple[Any, ...], _Shapes]) -> NDArray[np.float64]:
    """Give the overlaps of the pairs of the best matching, page by page."""
    found, assign = [np.empty(0)], need_extra("scipy.optimize").linear_sum_assignment
    for sheet in one.keys() & other.keys():
        overlaps = _overlaps(one[sheet], other[sheet])
        # What would not count as a match must not draw shapes away from better ones.
        usable = np.where(overlaps >= _MATCHES_AT, overlaps, 0.0)
        rows, columns = assign(usable, maximize=True)
        pairs = usable[rows, columns]
        found.append(pairs[pairs > 0])
    return np.concatenate(found)


def _size(shapes: dict[tuple[Any, ...], _Shapes]) -> int:
    return sum(map(len, shapes.values()))


def _facing(one: _Drawing, other: _Drawing) -> Iterator[tuple[Any, dict[Any, _Shapes], dict[Any, _Shapes]]]:
    """Put the shapes of two side by side, class by class."""
    for label in sorted({*one.shapes, *other.shapes}, key=str):
        yield label, one.shapes.get(label, {}), other.shapes.get(label, {})


def _pair_rows(one: _Drawing, other: _Drawing) -> Iterator[tuple[Any, ...]]:
    if not one.shapes and not other.shapes:
        yield None, 0, 0, 0, 1.0, 1.0, 1.0
    for label, drawn, facing in _facing(one, other):
        overlaps, n_a, n_b = _matched(drawn, facing), _size(drawn), _size(facing)
        at_75 = int((overlaps >= 0.75).sum())
        scores = (2 * float(overlaps.sum()), 2 * len(overlaps), 2 * at_75)
        yield label, n_a, n_b, len(overlaps), *(score / (n_a + n_b) for score in scores)


def _counts(drawn: dict[tuple[Any, ...], _Shapes], right: dict[tuple[Any, ...], _Shapes]) -> dict[str, float]:
    overlaps = _matched(drawn, right)
    tp = len(overlaps)
    return {"n_tasks": 1, "tp": tp, "fp": _size(drawn) - tp, "fn": _size(right) - tp, "iou": float(overlaps.sum())}
