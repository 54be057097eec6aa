"""The base of an exported folder: large sorted files without repeats, of which only those that change are made anew."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import refonte_frames as rf
from refonte_frames.export.dataset import PARTS, Dataset, Job, RunPlan, Settings, WindowDone
from refonte_frames.export.fold import State, folded, laid_out, runs_of, stacked
from refonte_frames.export.parts import PartWriter
from refonte_frames.export.places import RUN
from refonte_frames.export.splice import RowGroups, Splicer
from refonte_frames.export.sweep import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from refonte_frames.export.opened import ExportTable

TABLES = ["tasks", "audits", "annotations"]
SETTINGS = Settings("host", "key", TABLES, {})


def tables_of(indices: Any, *, updated: int = 0, answers: int = 2, read: int = 0) -> dict[str, pa.RecordBatch]:
    """Make rows of tasks that were created a second apart: every third has an audit."""
    indices = np.asarray(list(indices), np.int64)
    ids = pa.array([f"{index:024x}" for index in indices])
    audited = indices % 3 == 0
    known: dict[str, dict[str, Any]] = {
        "tasks": {
            "task_id": ids,
            "created_at": indices * 1_000_000,
            "updated_at": np.full(len(indices), updated),
            "n_annotations": np.full(len(indices), answers),
            "n_audits": audited,
        },
        "audits": {"task_id": ids.filter(pa.array(audited)), "audit_index": np.zeros(audited.sum(), np.int32)},
        "annotations": {
            "task_id": ids.take(pa.array(np.repeat(np.arange(len(indices)), answers))),
            "annotation_index": np.tile(np.arange(answers), len(indices)),
        },
    }
    return {
        table: _batch(rf.schemas.SCHEMAS[table], columns | {"exported_at": read}) for table, columns in known.items()
    }


def _batch(schema: pa.Schema, known: dict[str, Any]) -> pa.RecordBatch:
    length = len(known["task_id"])
    arrays = []
    for field in schema:
        values = known.get(field.name)
        if values is None:
            arrays.append(pa.nulls(length, field.type))
        elif isinstance(values, int):
            arrays.append(pa.array(np.full(length, values), pa.int64()).cast(field.type))
        else:
            arrays.append(pa.array(values).cast(field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def export(
    root: Path,
    windows: Iterable[Iterable[dict[str, pa.RecordBatch]]],
    end: Callable[..., State] | None = None,
    group_tasks: int = 5_000,
) -> State:
    """Do what a run does once its windows are read."""
    dataset = Dataset(root)
    manifest = dataset.manifest()
    plan = RunPlan(
        run_id="a",
        generation=manifest.generation + 1 if manifest else 1,
        settings=SETTINGS,
        schema_version=1,
        started_at="",
        began=0.0,
        jobs=[Job()],
        total=None,
        mode="increment" if end else "windows",
        watermark=0,
        watermark_source="",
    )
    run = dataset.begin(plan)
    for index, batches in enumerate(windows):
        with PartWriter(
            dataset.store, f"{RUN}/{PARTS}", SETTINGS.schemas(), f"w{index}", group_tasks=group_tasks
        ) as part:
            for batch in batches:
                part.write(batch)
            run.note(WindowDone(index, part.finish(), Tally().as_json(), []))
    state = laid_out(dataset, run) if end is None else end(dataset, manifest, run)
    dataset.commit(run, state.files, {"rows": state.rows}, 0, state.deltas)
    return state


def newest_first(first: int, last: int, **more: Any) -> list[dict[str, pa.RecordBatch]]:
    """Cut tasks into batches as they come from the service."""
    starts = range(first, last, 1_000)
    return [tables_of(range(start, min(start + 1_000, last)), **more) for start in starts][::-1]


def indices(root: Path, table: str = "tasks") -> Any:
    """Read which tasks a table has rows of, in the order of its files and rows."""
    ids = pq.read_table(root / table, columns=["task_id"])["task_id"].to_pylist()
    return np.array([int(task_id, 16) for task_id in ids])


def sizes(root: Path, table: str = "tasks") -> list[int]:
    """Count the rows of each file."""
    return [pq.read_metadata(path).num_rows for path in sorted((root / table).iterdir())]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export 330,000 tasks in windows of 22,000, the newest first."""
    root = tmp_path_factory.mktemp("base") / "dock"
    export(root, [newest_first(start, start + 22_000) for start in range(0, 330_000, 22_000)][::-1])
    return root


def test_statistics_name_no_value_that_no_row_has(tmp_path: Path) -> None:
    """Engines answer with them: values of dictionaries that nobody uses stay out, also beside nulls."""
    schema = rf.schemas.TASKS
    unused = pa.DictionaryArray.from_arrays(pa.array([1, None, 1], pa.int32()), ["accepted", "fixed", "rejected"])
    known = {"task_id": ["a", "b", "c"], "first_audit_result": unused}
    columns = [pa.array(known[name]) if name in known else pa.nulls(3) for name in schema.names]
    rows = pa.table([column.cast(field.type) for column, field in zip(columns, schema, strict=True)], schema=schema)
    store = Dataset(tmp_path).store
    with PartWriter(store, "parts", {"tasks": schema}, "x", group_tasks=9) as writer:
        writer.write({"tasks": rows.to_batches()[0]})
        writer.finish()
    spliced = pa.BufferOutputStream()
    splicer = Splicer(spliced, schema)
    splicer.write(rows)
    splicer.close()
    [part] = tmp_path.rglob("*.parquet")
    for file in (part, pa.BufferReader(spliced.getvalue())):
        group = pq.ParquetFile(file).metadata.row_group(0)
        found = group.column(schema.names.index("first_audit_result")).statistics
        assert (found.min, found.max, found.null_count) == ("fixed", "fixed", 1)


def test_files_are_large_sorted_and_free_of_repeats(large: Path) -> None:
    """Whatever the windows were; the rows of a task lie in the pieces of the same name."""
    assert [100_000 <= rows <= 500_000 for rows in sizes(large)] == [True, True]
    assert indices(large).tolist() == list(range(330_000))
    assert indices(large, "audits").tolist() == list(range(0, 330_000, 3))
    assert indices(large, "annotations").tolist() == np.repeat(np.arange(330_000), 2).tolist()
    assert max(sizes(large, "annotations")) <= 500_000
    names = {path.name for path in (large / "tasks").iterdir()}
    assert names == {path.name for path in (large / "audits").iterdir()}


def test_row_groups_of_windows_are_copied(large: Path) -> None:
    """They keep the size that they were written with, but for the rest of a window."""
    metadata = pq.read_metadata(min((large / "tasks").iterdir()))
    groups = [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)]
    assert groups[:5] == [2_000, 5_000, 5_000, 5_000, 5_000]


def test_groups_of_large_tasks_have_fewer_rows(tmp_path: Path) -> None:
    """What waits to be written is bounded in bytes, too: 100 tasks of 100 KB are not held until there are 100."""
    schemas = {"tasks": rf.schemas.SCHEMAS["tasks"]}
    with PartWriter(Dataset(tmp_path).store, "parts", schemas, "large", group_tasks=100) as part:
        for start in range(0, 100, 10):
            rows = tables_of(range(start, start + 10))["tasks"]
            texts = pa.array(["x" * 100_000] * rows.num_rows)
            part.write({"tasks": rows.set_column(rows.schema.get_field_index("params_json"), "params_json", texts)})
        part.finish()
    (path,) = tmp_path.glob("parts/tasks/*.parquet")
    metadata = pq.read_metadata(path)
    assert [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)] == [20] * 5


def test_an_increment_makes_only_those_files_anew_that_it_touches(large: Path, tmp_path: Path) -> None:
    """Answers and audits of a changed task are replaced as a set; new tasks come in at the end."""
    root = copied(large, tmp_path)
    before = {path.name: path.stat().st_ino for path in (root / "tasks").iterdir()}
    state = export(
        root, [[tables_of([*range(200_000, 200_100), *range(330_000, 330_500)], updated=5, answers=1, read=9)]], folded
    )
    assert (state.new, state.changed, state.unchanged) == (500, 100, 0)
    after = {path.name: path.stat().st_ino for path in (root / "tasks").iterdir()}
    assert len(before.items() & after.items()) == 1
    assert indices(root).tolist() == list(range(330_500))
    counts = np.bincount(indices(root, "annotations"))
    assert counts.tolist() == [2] * 200_000 + [1] * 100 + [2] * 129_900 + [1] * 500


def test_files_that_grow_beyond_measure_are_cut(large: Path, tmp_path: Path) -> None:
    """Each stays as large as it is to be."""
    root = copied(large, tmp_path)
    export(root, [newest_first(330_000, 460_000)], folded)
    assert [100_000 <= rows <= 250_000 for rows in sizes(root)] == [True] * 3
    assert indices(root).tolist() == list(range(460_000))


def test_tasks_that_come_in_any_order_end_sorted(tmp_path: Path) -> None:
    """As from a service that does not list by creation, with equal times and with none."""
    order = np.random.default_rng(7).permutation(9_000)
    export(
        tmp_path / "dock",
        [[tables_of(order[start : start + 700]) for start in range(0, 9_000, 700)]],
        group_tasks=1_400,
    )
    assert indices(tmp_path / "dock").tolist() == list(range(9_000))
    assert indices(tmp_path / "dock", "annotations").tolist() == np.repeat(np.arange(9_000), 2).tolist()


def test_a_task_that_two_windows_brought_is_there_once(tmp_path: Path) -> None:
    """With the answers of one of them."""
    export(tmp_path / "dock", [[tables_of(range(100))], [tables_of(range(90, 200), answers=1)]])
    assert indices(tmp_path / "dock").tolist() == list(range(200))
    assert np.bincount(indices(tmp_path / "dock", "annotations")).tolist() == [2] * 100 + [1] * 100


def test_what_an_increment_read_and_what_is_known_is_compared_by_content(tmp_path: Path) -> None:
    """The same under the same times changes nothing; an older version never comes in."""
    root = tmp_path / "dock"
    export(root, [[tables_of(range(100), updated=5)]])
    inode = next((root / "tasks").iterdir()).stat().st_ino
    state = export(
        root, [[tables_of(range(50), updated=5, read=3)], [tables_of(range(50, 60), updated=4, answers=1)]], folded
    )
    assert (state.new, state.changed, state.unchanged) == (0, 0, 60)
    assert next((root / "tasks").iterdir()).stat().st_ino == inode
    state = export(root, [[tables_of(range(2), updated=5, answers=1, read=4)]], folded)
    assert (state.changed, state.unchanged) == (2, 0)


def test_increments_beside_the_base_are_small_and_counted(large: Path, tmp_path: Path) -> None:
    """The base is not touched; rows whose place they take count no more."""
    root = copied(large, tmp_path)
    before = sorted((path.name, path.stat().st_ino) for path in (root / "tasks").iterdir())
    state = export(root, [[tables_of(range(5, 330_000, 3_300), updated=5, answers=1, read=9)]], stacked)
    assert state.changed == 100
    assert state.rows == {"tasks": 330_000, "audits": 110_000, "annotations": 659_900}
    assert sorted((path.name, path.stat().st_ino) for path in (root / "tasks").iterdir()) == before
    assert sum(path.stat().st_size for path in (root / "_delta").rglob("*.parquet")) < 60_000
    opened = rf.open_export(root)
    assert np.bincount(_numbers(opened.annotations)).sum() == 659_900
    state = export(root, [[tables_of([5], updated=6, answers=3, read=10)]], stacked)
    assert state.rows["annotations"] == 659_902
    assert _numbers(rf.open_export(root).annotations).tolist().count(5) == 3
    assert opened.tasks.dataset().count_rows() == 330_000
    rf.open_export(root).compact()
    assert indices(root).tolist() == list(range(330_000))
    assert len(indices(root, "annotations")) == 659_902
    metadata = pq.read_metadata(min((root / "tasks").iterdir()))
    assert 15_000 < metadata.row_group(0).num_rows <= 25_000


def _numbers(table: ExportTable) -> Any:
    return np.array([int(task_id, 16) for task_id in table.to_arrow(columns=["task_id"])["task_id"].to_pylist()])


def copied(root: Path, to: Path) -> Path:
    """Copy a folder, so that a test may change it."""
    shutil.copytree(root, to / "dock")
    return to / "dock"


@given(st.lists(st.tuples(st.integers(0, 300_000), st.booleans()), max_size=12))
def test_neighbours_are_put_together_until_all_files_are_large(pieces: list[tuple[int, bool]]) -> None:
    """In order, none left out; what is large and not touched is made anew only to take a small neighbour in."""
    tasks, touched = [count for count, _ in pieces], [is_touched for _, is_touched in pieces]
    runs = runs_of(tasks, touched)
    assert [position for run in runs for position in run] == list(range(len(pieces)))
    totals = [sum(tasks[position] for position in run) for run in runs]
    assert len(totals) <= 1 or min(totals) >= 100_000
    for run in runs:
        large = [position for position in run if not touched[position] and tasks[position] >= 100_000]
        others = [sum(tasks[position] for position in side) for side in sides(run, large)]
        assert len(run) == 1 or not large or min(others) < 100_000


def sides(run: list[int], large: list[int]) -> list[list[int]]:
    """Split a run before and after its large members."""
    return (
        [[position for position in run if position < large[0]], [position for position in run if position > large[-1]]]
        if large
        else [run]
    )


@given(st.lists(st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=9), min_size=1, max_size=5), st.randoms())
def test_row_groups_that_are_copied_read_as_before(columns: list[list[str | None]], random: Any) -> None:
    """From any file, in any order, mixed with such that are encoded."""
    schema = pa.schema(
        [("task_id", pa.string()), ("label", pa.dictionary(pa.int32(), pa.string())), ("n", pa.list_(pa.int64()))]
    )
    made = [pa.table({"task_id": column, "label": column, "n": [[1]] * len(column)}).cast(schema) for column in columns]
    sources = []
    for table in made:
        sink = pa.BufferOutputStream()
        splicer = Splicer(sink, schema)
        splicer.write(table)
        splicer.close()
        sources.append(RowGroups(pa.BufferReader(sink.getvalue()), "a file"))
    order = [random.randrange(len(made)) for _ in range(6)]
    sink = pa.BufferOutputStream()
    splicer = Splicer(sink, schema)
    for position in order:
        if len(sources[position]) and random.random() < 0.7:
            assert splicer.can_copy(sources[position])
            splicer.copy(sources[position], 0)
        else:
            splicer.write(made[position])
    splicer.close()
    found = pq.read_table(pa.BufferReader(sink.getvalue()))
    expected = [value for position in order for value in made[position]["task_id"].to_pylist()]
    assert found["task_id"].to_pylist() == found["label"].cast(pa.string()).to_pylist() == expected
    assert pc.sum(pc.list_value_length(found["n"])).as_py() in (len(expected), None)
    assert splicer.rows == len(expected)


def test_a_file_that_is_cut_off_is_named() -> None:
    """It is no whole Parquet file."""
    with pytest.raises(rf.ExportError, match="half is no whole Parquet file"):
        RowGroups(pa.BufferReader(b"PAR1" + b"\0" * 40), "half")
    with pytest.raises(rf.ExportError, match="scratched has a damaged footer: it ends in the middle of a field"):
        RowGroups(pa.BufferReader(b"PAR1\x15" + (1).to_bytes(4, "little") + b"PAR1"), "scratched")
