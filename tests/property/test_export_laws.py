"""Laws of the export: no key of a reply is lost, and how it was paged, batched or cut changes no row."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from refonte_frames.export.columns import TASK_TABLES, build
from refonte_frames.export.decode import PageDecoder
from refonte_frames.export.drift import Drift
from refonte_frames.export.filters import stamp_of
from refonte_frames.export.flatten import flatten
from refonte_frames.export.versions import NO_HEADS, judged, newest
from refonte_frames.schemas import KEYS, SCHEMAS

NOW = datetime(2026, 1, 2, tzinfo=UTC)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
scalars = st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats(allow_nan=False, allow_infinity=False)
anything = st.recursive(
    scalars | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
moments = st.integers(1_600_000_000_000, 1_800_000_000_000).map(lambda ms: stamp_of(1_000 * ms))


def mostly(documented: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Give what is documented, and at times anything at all."""
    return documented | documented | documented | anything


audits = st.fixed_dictionaries(
    {},
    optional={
        "audited_by": mostly(texts),
        "audited_at": mostly(moments),
        "audit_time_secs": mostly(st.integers(0, 9_999)),
        "audit_result": mostly(texts),
        "comments": mostly(texts),
        "mood": anything,
    },
)
elements = st.fixed_dictionaries(
    {},
    optional={
        "uuid": mostly(texts),
        "id": mostly(texts),
        "type": mostly(st.sampled_from(["box", "polygon", "line"])),
        "label": mostly(texts),
        "text": mostly(texts),
        "left": mostly(st.integers(-(2**60), 2**60) | st.floats(-1e9, 1e9)),
        "top": mostly(st.integers(0, 99)),
        "vertices": mostly(st.lists(st.fixed_dictionaries({"x": st.integers(0, 9), "y": st.floats(0, 9)}), max_size=3)),
        "start": mostly(st.integers(-(2**70), 2**70)),
        "end": mostly(st.integers(0, 99)),
        "page": mostly(st.integers(0, 99)),
        "attributes": mostly(st.dictionaries(texts, scalars, max_size=2)),
        "mood": anything,
    },
)
responses = (
    st.fixed_dictionaries(
        {"annotations": st.lists(elements, max_size=4)}, optional={"links": anything, "global_attributes": anything}
    )
    | st.dictionaries(
        st.sampled_from(["annotations", "fields", "rows", "category", "choice", "events", "error", "labelMapping"]),
        anything,
        max_size=3,
    )
    | anything
)
keys = {
    "unique_id": mostly(texts),
    "project": mostly(texts),
    "batch": mostly(texts),
    "type": mostly(st.sampled_from(["imageannotation", "textcollection", "categorization"])),
    "status": mostly(st.sampled_from(["pending", "completed"])),
    "created_at": mostly(moments),
    "updated_at": mostly(moments),
    "completed_at": mostly(moments),
    "callback_succeeded": mostly(st.booleans()),
    "callback_completed": mostly(st.booleans()),
    "priority": mostly(st.integers(10, 30)),
    "tags": mostly(st.lists(texts, max_size=3)),
    "audits": mostly(st.lists(audits, max_size=3)),
    "attachment_url": mostly(st.lists(texts, max_size=2)),
    "params": mostly(st.dictionaries(texts | st.just("attachments"), anything, max_size=3)),
    "metadata": mostly(st.dictionaries(texts, anything, max_size=3)),
    "response": responses,
    "mood": anything,
}


@st.composite
def tasks(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Make some tasks, documented and not."""
    docs = draw(st.lists(st.fixed_dictionaries({}, optional=keys), max_size=6))
    return [{"task_id": f"{index:024x}", **doc} for index, doc in enumerate(docs)]


def tables_of(
    docs: list[dict[str, Any]], page_size: int, batch_size: int, decoder: PageDecoder | None = None
) -> dict[str, pa.Table]:
    """Read tasks in pages of one size, and make batches of another."""
    decoder = decoder or PageDecoder()
    read = []
    for first in range(0, len(docs), page_size):
        body = msgspec.json.encode({"docs": docs[first : first + page_size]})
        read += decoder.decode(body, where="page").docs
    batches = [
        build(read[first : first + batch_size], tables=TASK_TABLES, exported_at=NOW, drift=Drift())
        for first in range(0, len(read), batch_size)
    ]
    return {name: pa.Table.from_batches([batch[name] for batch in batches], SCHEMAS[name]) for name in TASK_TABLES}


def plain(table: pa.Table) -> list[dict[str, Any]]:
    """Return rows as Python values, times as the service writes them."""
    times = [name for name in table.column_names if pa.types.is_timestamp(table[name].type)]
    for name in times:
        table = table.set_column(table.column_names.index(name), name, table[name].cast(pa.int64()))
    rows: list[dict[str, Any]] = table.to_pylist()
    return [
        {name: stamp_of(value) if name in times and value is not None else value for name, value in row.items()}
        for row in rows
    ]


def rebuilt(row: dict[str, Any], columns: list[str], json_columns: list[str]) -> dict[str, Any]:
    """Undo the table: what has a column from there, what has none from extra_json, which has the last word."""
    found = {name: row[name] for name in columns if row[name] is not None}
    found |= {name: msgspec.json.decode(row[f"{name}_json"]) for name in json_columns if row[f"{name}_json"]}
    return found | (msgspec.json.decode(row["extra_json"]) if row["extra_json"] else {})


@given(tasks())
def test_tables_and_extra_json_rebuild_the_reply(docs: list[dict[str, Any]]) -> None:
    """Whatever was sent, documented or not: no key is lost and no value altered."""
    tables = tables_of(docs, 3, 3)
    rows, audit_rows = plain(tables["tasks"]), plain(tables["audits"])
    columns = [name for name in keys if name in SCHEMAS["tasks"].names]
    audit_columns = ["audited_by", "audited_at", "audit_time_secs", "audit_result", "comments"]
    for doc, row in zip(docs, rows, strict=True):
        found = rebuilt(row, ["task_id", *columns], ["params", "metadata", "response"])
        if row["attachment_urls"] is not None:
            urls = row["attachment_urls"]
            found["attachment_url"] = urls if isinstance(doc["attachment_url"], list) else urls[0]
        if row["n_audits"]:
            mine = [audit for audit in audit_rows if audit["task_id"] == doc["task_id"]]
            found["audits"] = [rebuilt(audit, audit_columns, []) for audit in mine]
            assert sorted(map(repr, map(exact, found.pop("audits")))) == sorted(map(repr, map(exact, doc["audits"])))
        if doc.get("callback_succeeded") is None and isinstance(doc.get("callback_completed"), bool):
            found.pop("callback_succeeded", None)
            found |= {"callback_succeeded": None} if "callback_succeeded" in doc else {}
        wanted = {name: value for name, value in doc.items() if name != "audits" or not row["n_audits"]}
        outcomes = [doc.get("callback_succeeded"), doc.get("callback_completed")]
        if outcomes in ([True, True], [False, False]) and all(isinstance(outcome, bool) for outcome in outcomes):
            wanted.pop("callback_completed")
        assert exact(found) == exact(wanted)


def exact(value: Any) -> Any:
    """Order keys, and let 5 and 5.0 differ only where JSON does."""
    if isinstance(value, dict):
        return {key: exact(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [exact(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53 else value


@given(tasks(), st.integers(1, 6), st.integers(1, 6))
def test_pages_and_batches_of_any_size_make_the_same_tables(
    docs: list[dict[str, Any]], page_size: int, batch_size: int
) -> None:
    """Also for a decoder that has learned keys."""
    whole = tables_of(docs, 6, 6)
    learned = PageDecoder()
    tables_of(docs, 6, 6, learned)
    for other in (tables_of(docs, page_size, batch_size), tables_of(docs, page_size, batch_size, learned)):
        for name, table in whole.items():
            assert sorted_keys(plain(table)) == sorted_keys(plain(other[name]))


def sorted_keys(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Read extra_json: the order of its keys says nothing."""
    return [row | {"extra_json": msgspec.json.decode(row["extra_json"] or "null")} for row in rows]


@given(tasks())
def test_every_table_has_its_schema_and_no_repeated_key(docs: list[dict[str, Any]]) -> None:
    """And the counts in the tasks are those of the other tables."""
    tables = tables_of(docs, 3, 2)
    for name, table in tables.items():
        table.validate(full=True)
        assert table.schema.equals(SCHEMAS[name])
        found = [tuple(row[column] for column in KEYS[name]) for row in table.select(list(KEYS[name])).to_pylist()]
        assert len(found) == len(set(found))
    assert sum(tables["tasks"]["n_annotations"].to_pylist()) == tables["annotations"].num_rows
    assert sum(tables["tasks"]["n_audits"].to_pylist()) == tables["audits"].num_rows


shapes = st.fixed_dictionaries(
    {"uuid": texts, "type": st.sampled_from(["box", "polygon", "line", "point", "cuboid", "ellipse"]), "label": texts},
    optional={
        "left": mostly(st.floats(-1e9, 1e9)),
        "x": mostly(st.integers(0, 99)),
        "vertices": mostly(st.lists(st.fixed_dictionaries({"x": st.integers(0, 9), "y": st.floats(0, 9)}), max_size=3)),
        "attributes": mostly(st.dictionaries(texts, scalars, max_size=2)),
    },
)


@given(st.lists(elements, max_size=5) | st.lists(shapes, max_size=5))
def test_no_key_of_an_element_is_lost(drawn: list[dict[str, Any]]) -> None:
    """What an element said stands in the columns of its row, or in its extra_json: decoded by its form or not."""
    task = {"task_id": "a", "type": "imageannotation", "response": {"annotations": drawn}}
    rows = iter(tables_of([task], 1, 1)["annotations"].to_pylist())
    are_all_known = flatten(Raw(msgspec.json.encode(task["response"])), "imageannotation").is_known
    names = {"text": "value", "type": "geometry"}
    columns = ["label", "left", "top", "x", "start", "end", "page", "text", "type", "vertices"]
    for element in drawn:
        if not are_all_known and not speaks(element):
            continue
        row = next(rows)
        found = {key: row[names.get(key, key)] for key in columns if key in element}
        found |= {"attributes": msgspec.json.decode(row["attributes_json"])} if row["attributes_json"] else {}
        found |= msgspec.json.decode(row["extra_json"]) if row["extra_json"] else {}
        ids = [key for key in ("uuid", "id") if key in element and key not in found]
        found |= dict.fromkeys(ids[:1], row["annotation_id"])
        assert exact(found) == exact(element)
    assert next(rows, None) is None


@given(st.lists(shapes, min_size=1, max_size=4))
def test_an_element_is_the_same_row_among_others_of_any_form(drawn: list[dict[str, Any]]) -> None:
    """A list of shapes is decoded by their forms, and key by key once a stranger is among them."""
    stranger = {"label": None, "mood": 1}
    alone, beside = (
        tables_of([{"task_id": "a", "type": "imageannotation", "response": {"annotations": listed}}], 1, 1)
        for listed in (drawn, [*drawn, stranger])
    )
    assert sorted_keys(beside["annotations"].to_pylist()[: len(drawn)]) == sorted_keys(alone["annotations"].to_pylist())


def speaks(element: dict[str, Any]) -> bool:
    """Whether there is anything to make a row of, beside elements of an unknown form: nulls alone say nothing then."""
    beside = flatten(Raw(msgspec.json.encode({"annotations": [element, {}]})), "imageannotation")
    return bool(beside.rows)


versions = st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2))


@given(
    st.dictionaries(st.integers(0, 9).map(str), versions),
    st.lists(st.dictionaries(st.integers(0, 9).map(str), versions)),
)
def test_an_increment_never_repeats_nor_forgets_a_task(
    base: dict[str, tuple[int, int, int]], parts: list[dict[str, tuple[int, int, int]]]
) -> None:
    """Each task ends once, in a version that is no older than any that was seen."""
    winners = newest([heads(part) for part in parts])
    read = {row["task_id"]: (row["updated"], row["audited"]) for row in winners.to_pylist()}
    held = heads({task_id: version for task_id, version in base.items() if task_id in read})
    later, same = (found.to_pylist() for found in judged(held, winners))
    assert sorted(read) == sorted(set().union(*parts))
    assert same == [task_id for task_id in held["task_id"].to_pylist() if base[task_id][:2] == read[task_id]]
    kept = {task_id: version[:2] for task_id, version in base.items()}
    kept |= {task_id: version for task_id, version in read.items() if task_id not in base or task_id in later}
    for task_id, version in kept.items():
        assert version == max(found[task_id][:2] for found in (base, *parts) if task_id in found)
    positions = dict(zip(winners["task_id"].to_pylist(), winners["part"].to_pylist(), strict=True))
    for task_id, position in positions.items():
        bearers = [index for index, part in enumerate(parts) if part.get(task_id, ())[:2] == read[task_id]]
        assert position == max(bearers)


def heads(versions: dict[str, tuple[int, int, int]]) -> pa.Table:
    """Make a table of versions."""
    updated, audited = ([version[place] for version in versions.values()] for place in (0, 1))
    columns = [list(versions), [0] * len(versions), updated, audited]
    return pa.table(
        [pa.array(values, field.type) for values, field in zip(columns, NO_HEADS.schema, strict=True)],
        NO_HEADS.schema.names,
    )
