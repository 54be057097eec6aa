"""read_, scan_ and look-ups over real HTTP, from a service that behaves and from one that does not."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from listing import Listing, small_task
from service import TEXT, post

import refonte_frames as rf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TASKS = [small_task(index) for index in range(11_000)][::-1]


@pytest.fixture
def client_of(tmp_path: Any) -> Iterator[Callable[[Listing], rf.Client]]:
    """Make a client of a listing."""
    made: list[rf.Client] = []

    def make(listing: Listing, **options: Any) -> rf.Client:
        made.append(rf.Client(api_key="live_demo", base_url=listing.base_url, state_dir=tmp_path, **options))
        return made[-1]

    yield make
    for client in made:
        client.close()


def assert_all_there(frame: pd.DataFrame, count: int = len(TASKS)) -> None:
    """Every task once, newest first."""
    assert frame["task_id"].tolist() == [task["task_id"] for task in TASKS[:count]]


def test_a_frame_has_every_task_once_newest_first(client_of: Any) -> None:
    """Read in windows, by several threads."""
    with Listing(TASKS) as listing:
        frame = rf.read_tasks(client=client_of(listing))
    assert_all_there(frame)
    assert frame.attrs["refonte"]["mode"] == "windows"
    assert frame.attrs["refonte"]["windows"] > 3


@pytest.mark.parametrize(
    "manners",
    [
        {"ignores": {"start_time", "end_time"}},
        {"ignores": {"end_time"}},
        {"ignores": {"start_time"}},
        {"expires_once": True},
        {"promises_more": True},
        {"hides_once": True},
        {"repeats_docs": True},
    ],
)
def test_bad_manners_of_a_service_do_not_change_the_rows(manners: dict[str, Any], client_of: Any) -> None:
    """Filters ignored, tokens expired, more promised than there is, tasks hidden or repeated."""
    with Listing(TASKS, **manners) as listing:
        assert_all_there(rf.read_tasks(client=client_of(listing)).sort_values("created_at", ascending=False))


def test_a_service_without_bounds_is_read_in_one_pass(client_of: Any) -> None:
    """And the frame says so."""
    with Listing(TASKS, ignores={"start_time", "end_time"}) as listing:
        assert rf.read_tasks(client=client_of(listing)).attrs["refonte"]["mode"] == "sequential"


def test_tasks_that_are_counted_and_never_come_are_a_warning(client_of: Any) -> None:
    """Reading ends, and nobody can overlook what is missing."""
    with Listing(TASKS[:250], repeats_token=True) as listing, pytest.warns(UserWarning, match="150 tasks that the"):
        frame = rf.read_tasks(client=client_of(listing))
    assert_all_there(frame, 100)
    assert frame.attrs["refonte"]["windows_unsettled"] == 1


def test_few_tasks_take_one_request_and_their_pages(client_of: Any) -> None:
    """No windows are planned for them."""
    with Listing(TASKS[:250]) as listing:
        rf.read_tasks(client=client_of(listing))
        assert len(listing.requests) == 4


@pytest.mark.parametrize("body", [b"not json", b'{"docs":[{"task_id":1}]}', b'{"docs":"none"}', b"\xff"])
def test_a_broken_page_is_an_error_and_no_rows(body: bytes, client_of: Any) -> None:
    """It names the page."""
    with Listing(TASKS[:250], body=body) as listing, pytest.raises(rf.ReplyError, match="GET /tasks"):
        rf.read_tasks(client=client_of(listing))


def test_an_error_in_one_window_ends_all_threads(client_of: Any) -> None:
    """None is left behind, waiting."""
    before = threading.active_count()
    with Listing(TASKS, ignores={"limit_none"}) as listing:
        # Many workers could have read all pages by the time of the first one.
        client = client_of(listing, max_workers=2)
        reader = rf.scan_tasks(client=client)
        reader.read_next_batch()
        listing.body = b"broken"
        with pytest.raises(rf.ReplyError):
            reader.read_all()
        client.close()
    del reader
    assert threading.active_count() <= before + 1


def test_a_stream_brings_every_task_once(client_of: Any) -> None:
    """In any order."""
    with Listing(TASKS) as listing:
        ids = rf.scan_tasks(client=client_of(listing)).read_all()["task_id"].to_pylist()
    assert sorted(ids) == sorted(task["task_id"] for task in TASKS)


def test_polars_takes_a_stream_as_it_is(client_of: Any) -> None:
    """Batch after batch, dictionaries and all."""
    with Listing(TASKS[:250]) as listing:
        frame = pl.from_arrow(rf.scan_annotations(client=client_of(listing)))
    assert isinstance(frame, pl.DataFrame)
    assert frame.shape == (500, len(rf.schemas.ANNOTATIONS))


def test_a_stream_that_is_closed_early_asks_for_no_more(client_of: Any) -> None:
    """The threads end; what was asked for is all there is."""
    with Listing(TASKS) as listing:
        reader = rf.scan_tasks(client=client_of(listing, max_workers=1))
        reader.read_next_batch()
        reader.close()
        del reader
        asked = len(listing.requests)
        assert asked < 110
        assert len(listing.requests) == asked


def test_several_tables_come_of_one_pass(client_of: Any) -> None:
    """The same frames as one by one, for the requests of one."""
    with Listing(TASKS[:250]) as listing:
        client = client_of(listing)
        frames = rf.read("tasks", "audits", "annotations", client=client)
        assert len(listing.requests) == 4
        alone = rf.read_audits(client=client)
    assert {name: len(frame) for name, frame in frames.items()} == {"tasks": 250, "audits": 83, "annotations": 500}
    pd.testing.assert_frame_equal(
        frames["audits"].drop(columns="exported_at"), alone.drop(columns="exported_at"), check_like=False
    )


def test_ids_are_looked_up_in_few_calls_and_the_missing_are_named(client_of: Any) -> None:
    """In the order of the ids."""
    ids = pd.Series([f"u{number}" for number in range(90)] + ["none", None])
    with Listing(TASKS[-100:]) as listing:
        client = client_of(listing)
        with pytest.warns(UserWarning, match="1 ids were not found: 'none'") as caught:
            frame = rf.read_tasks(unique_id=ids, client=client)
        assert caught[0].filename == __file__
        assert len(listing.requests) == 3
    assert frame["unique_id"].tolist() == ids.iloc[:90].tolist()
    assert frame.attrs["refonte"]["not_found"] == ["none"]


def test_a_service_that_looks_at_one_id_only_is_found_out(client_of: Any) -> None:
    """Every id is then asked for alone."""

    class OneIdOnly(Listing):
        def _matching(self, query: list[tuple[str, str]]) -> list[dict[str, Any]]:
            ids = [pair for pair in query if pair[0] == "unique_id"]
            return super()._matching([pair for pair in query if pair not in ids[1:]])

    with OneIdOnly(TASKS[-100:]) as listing:
        frame = rf.read_tasks(unique_id=["u1", "u2", "u3"], client=client_of(listing))
    assert frame["unique_id"].tolist() == ["u1", "u2", "u3"]


def test_a_service_that_ignores_ids_is_an_error(client_of: Any) -> None:
    """Rows nobody asked for are never returned."""
    with (
        Listing(TASKS[-100:], ignores={"unique_id"}) as listing,
        pytest.raises(rf.ReplyError, match="does not honour this filter"),
    ):
        rf.read_tasks(unique_id=["u1", "u2"], client=client_of(listing))


def test_tasks_are_read_by_their_own_ids(client_of: Any) -> None:
    """One by one; those that are not there are named."""
    wanted = [TASKS[-5]["task_id"], "0" * 24, TASKS[-1]["task_id"]]
    with Listing(TASKS[-10:]) as listing, pytest.warns(UserWarning, match="1 ids were not found"):
        frame = rf.read_tasks(task_ids=wanted, client=client_of(listing))
    assert frame["task_id"].tolist() == [wanted[0], wanted[2]]


def test_many_task_ids_are_looked_up_in_few_calls(client_of: Any) -> None:
    """In the list of what was created in their time."""
    ids = [task["task_id"] for task in TASKS[-300::2]]
    with Listing(TASKS[-300:]) as listing:
        frame = rf.read_tasks(task_ids=pd.Series(ids), client=client_of(listing))
        assert len(listing.requests) == 4
    assert frame["task_id"].tolist() == ids


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table])
def test_a_receipt_is_a_filter_in_few_calls(make: Any, client_of: Any) -> None:
    """The unique_ids beside the task ids take forty to a call; a row without a task asks for nothing."""
    wanted = [*TASKS[-90:], {"task_id": None, "unique_id": "u2"}]
    receipt = make({name: [task[name] for task in wanted] for name in ("task_id", "unique_id")})
    with Listing(TASKS[-100:]) as listing:
        frame = rf.read_tasks(task_ids=receipt, client=client_of(listing))
        assert len(listing.requests) == 3
    assert frame["task_id"].tolist() == [task["task_id"] for task in TASKS[-90:]]
    assert frame.attrs["refonte"]["pages"] == 3
    assert frame.attrs["refonte"]["wire_bytes"] > 0


def test_a_frame_has_the_ids_in_the_column_of_that_name(client_of: Any) -> None:
    """Without one the sentence says how."""
    with Listing(TASKS[-100:]) as listing:
        client = client_of(listing)
        assert len(rf.read_audits(unique_id=pd.DataFrame({"unique_id": ["u3", "u6", None]}), client=client)) == 2
        for name in ("unique_id", "task_ids"):
            with pytest.raises(rf.ColumnError, match="has no column"):
                rf.read_tasks(**{name: pd.DataFrame({"scene": ["u3"]})}, client=client)


@pytest.mark.parametrize("make", [pd.Series, pl.Series, pa.array, tuple, iter, set])
def test_ids_may_lie_in_anything(make: Any, client_of: Any) -> None:
    """In Arrow's arrays and in Series of polars, too."""
    with Listing(TASKS[-100:]) as listing:
        frame = rf.read_tasks(unique_id=make(["u3", "u4"]), client=client_of(listing))
    assert sorted(frame["unique_id"]) == ["u3", "u4"]


def test_task_ids_and_another_filter_do_not_go_together(client: rf.Client) -> None:
    """The service reads a task by its id alone."""
    with pytest.raises(rf.InputError, match="cannot be combined with status"):
        rf.read_tasks(task_ids=["a"], status="pending", client=client)


def test_no_ids_are_no_rows_and_no_requests(client: rf.Client) -> None:
    """The columns are there."""
    frame = rf.read_tasks(unique_id=pd.Series([], dtype=object), client=client)
    assert frame.shape == (0, len(rf.schemas.TASKS))
    assert client.requests_by_status() == {}


def test_an_unknown_table_is_a_sentence(client: rf.Client) -> None:
    """With what there is."""
    with pytest.raises(rf.InputError, match=r"There is no table 'labels'\. There are tasks, audits, annotations"):
        rf.read("tasks", "labels", client=client)


def made_tasks(client: rf.Client) -> None:
    """Make 30 tasks of two projects in the sandbox."""
    for project in ("mail", "chat"):
        post(client, "projects", body={"type": "categorization", "name": project})
    for number in range(30):
        project = "mail" if number % 3 else "chat"
        body = {**TEXT, "attachment": f"text {number}", "project": project, "unique_id": f"id,{number}"}
        post(client, "task", "categorization", body=body | {"tags": [f"t{number % 2}"], "metadata": {"n": number}})


@pytest.mark.parametrize(
    ("filters", "rows"),
    [
        ({}, 30),
        ({"project": "mail"}, 20),
        ({"project": "nobody"}, 0),
        ({"tags": "t1"}, 15),
        ({"tags": ["t0", "t1"]}, 30),
        ({"status": "completed"}, 0),
        ({"status": "pending", "project": "chat"}, 10),
        ({"created_before": "2020-01-01"}, 0),
        ({"created_after": "2020-01-01"}, 30),
        ({"type": "imageannotation"}, 0),
        ({"unique_id": ["id,3", "id,4"]}, 2),
        ({"limited_response": True}, 30),
        ({"include_attachment_url": True}, 30),
    ],
)
def test_filters_work_against_the_sandbox(filters: dict[str, Any], rows: int, client: rf.Client) -> None:
    """Each filter as its documentation says."""
    made_tasks(client)
    assert len(rf.read_tasks(**filters, client=client)) == rows


def test_metadata_comes_as_columns_where_asked(client: rf.Client) -> None:
    """Behind the fixed columns, with its own type."""
    made_tasks(client)
    frame = rf.read_tasks(metadata="columns", client=client)
    assert frame.columns[-1] == "metadata.n"
    assert frame["metadata.n"].tolist() == list(range(29, -1, -1))


def test_a_task_is_read_as_the_service_sends_it(client: rf.Client) -> None:
    """A plain dict."""
    made_tasks(client)
    task_id = rf.read_tasks(unique_id="id,7", client=client)["task_id"][0]
    task = rf.get_task(task_id, client=client)
    assert (task["task_id"], task["unique_id"], task["metadata"]) == (task_id, "id,7", {"n": 7})


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"metadata": "colums"}, "there are 'json' and 'columns'"),
        ({"categories": ["mood"]}, "categories holds 'mood'"),
        ({"dtype_backend": "numpy"}, "there are 'pyarrow' and 'numpy_nullable'"),
        ({"categories": ["metadata.camera"]}, "categories holds 'metadata.camera'"),
        ({"status": "done"}, "status='done' is no value"),
        ({"created_after": "2024-03-05", "created_before": "2024-03-04"}, "no task can be between"),
        ({"tags": [""]}, "tags holds ''"),
        ({"unique_id": 7}, "unique_id: give a text"),
        ({"task_ids": ["a"], "unique_id": "b"}, "cannot be combined with unique_id"),
    ],
)
def test_an_option_nobody_can_follow_is_refused_before_anything_is_sent(options: Any, says: str) -> None:
    """For one table as for several."""
    with Listing([]) as listing, rf.Client(api_key="live_demo", base_url=listing.base_url) as client:
        for ask in (rf.read_tasks, lambda **options: rf.read("tasks", "audits", **options)):
            with pytest.raises(rf.InputError, match=says):
                ask(**options, client=client)
        assert listing.requests == []


def test_hostile_texts_come_through_to_the_file(client_of: Any, tmp_path: Any) -> None:
    """Formulas, control characters, emoji and integers of any size: in frames, and in Parquet written from them."""
    texts = ["=cmd()", "\x00\x1b[2J", "\U0001f408\u200d\u2b1b", "a\r\n\tb", "\u202e", "'; DROP TABLE tasks; --"]
    task = small_task(0)
    for box, text in zip(task["response"]["annotations"] * 3, texts, strict=True):
        task["response"]["annotations"].append({**box, "label": text, "attributes": {text: 2**63 + 1, "note": text}})
    task["metadata"] = {text: text for text in texts} | {"big": 2**63 + 1}
    with Listing([task]) as listing:
        client = client_of(listing)
        frames = rf.read("tasks", "annotations", metadata="columns", attributes="columns", client=client)
    for name, frame in frames.items():
        frame.to_parquet(tmp_path / name)
        again = pq.read_table(tmp_path / name)
        assert again.column_names == frame.columns.tolist()
        assert again["task_id"].to_pylist() == frame["task_id"].tolist()
    annotations, tasks = frames["annotations"], frames["tasks"]
    assert annotations["label"].tolist()[2:] == annotations["attributes.note"].tolist()[2:] == texts
    assert [annotations[f"attributes.{text}"].dropna().tolist() for text in texts] == [["9223372036854775809"]] * 6
    assert [tasks[f"metadata.{text}"][0] for text in texts] == texts
    assert tasks["metadata.big"].tolist() == ["9223372036854775809"]


@pytest.fixture
def typed_tasks(client: rf.Client) -> rf.Client:
    """Make two tasks whose metadata agree in some keys."""
    post(client, "projects", body={"type": "categorization", "name": "p"})
    for metadata in ({"camera": "left", "n": 2**63 + 1, "=x": True}, {"camera": "left", "n": 1, "lens": 2.5}):
        post(client, "task", "categorization", body={**TEXT, "attachment": "x", "metadata": metadata, "project": "p"})
    return client


@pytest.mark.parametrize("backend", ["pyarrow", "numpy_nullable"])
def test_spread_columns_follow_backend_and_categories(backend: Any, typed_tasks: rf.Client) -> None:
    """As the fixed columns do; a category that no task has is none."""
    names = ["metadata.camera", "metadata.none", "status"]
    options = {"dtype_backend": backend, "categories": names, "client": typed_tasks}
    frame = rf.read_tasks(metadata="columns", **options)
    assert isinstance(frame["metadata.camera"].dtype, pd.CategoricalDtype)
    assert frame["metadata.n"].tolist() == ["1", "9223372036854775809"]
    assert frame["metadata.=x"].dtype == ("boolean" if backend == "numpy_nullable" else pd.ArrowDtype(pa.bool_()))
    assert frame["metadata.lens"].dtype == ("Float64" if backend == "numpy_nullable" else pd.ArrowDtype(pa.float64()))
    assert "metadata.none" not in frame


def test_attributes_come_as_columns_where_asked(client_of: Any) -> None:
    """One for every attribute, behind the fixed columns; tasks are not touched."""
    task = small_task(0)
    boxes = task["response"]["annotations"]
    boxes[0]["attributes"] = {"occluded": True, "count": 3}
    boxes[1]["attributes"] = {"occluded": False, "colour": ["red"]}
    with Listing([task]) as listing:
        client = client_of(listing)
        frame = rf.read_annotations(attributes="columns", client=client)
        both = rf.read("tasks", "annotations", attributes="columns", metadata="columns", client=client)
    names = ["attributes.occluded", "attributes.count", "attributes.colour"]
    assert frame.columns.tolist() == [*rf.schemas.ANNOTATIONS.names, *names]
    assert frame[names].to_numpy().tolist() == [[True, 3, pd.NA], [False, pd.NA, '["red"]']]
    assert both["tasks"].columns[-1] == "metadata.index"
    assert both["annotations"].columns.tolist() == frame.columns.tolist()


def test_batches_and_attempts_come_with_the_tasks(typed_tasks: rf.Client) -> None:
    """In the order asked for; each filter goes to the tables that know it."""
    client = typed_tasks
    post(client, "batches", body={"project": "p", "name": "b"})
    names = ("attempts", "batches", "tasks")
    frames = rf.read(*names, project="p", status="completed", labeler_emails="a@b.c", detailed=True, client=client)
    assert tuple(frames) == names
    assert [len(frames[name]) for name in names] == [0, 1, 0]
    assert frames["batches"]["tasks_pending"].tolist() == [0]
    assert rf.read("batches", status="staging", client=client)["batches"].empty


@pytest.mark.parametrize(
    ("tables", "filters", "says"),
    [
        (["batches", "attempts"], {}, "Whose attempts"),
        (["attempts"], {"project": "p", "labeler_emails": "a"}, "project cannot be followed: attempts knows"),
        (["batches"], {"tags": "x", "type": "t"}, "type and tags cannot be followed: batches knows project, status"),
        (["tasks"], {"labeler_emails": pd.Series(["a"])}, "labeler_emails cannot be followed: tasks knows"),
        (["tasks", "audits"], {"detailed": True}, "detailed cannot be followed: tasks, audits know project"),
        (["attempts", "batches"], {"status": "pending", "labeler_emails": "all"}, "is no state of a batch"),
        (["batches", "tasks"], {"status": "staging"}, "status='staging' is no value"),
        (["batches", "tasks"], {"categories": ["labeler"]}, "categories holds 'labeler'"),
    ],
)
def test_a_filter_that_no_table_knows_is_refused(tables: Any, filters: Any, says: str, client: rf.Client) -> None:
    """It would be passed over, and rows come that nobody asked for."""
    with pytest.raises(rf.InputError, match=says):
        rf.read(*tables, **filters, client=client)
    assert client.requests_by_status() == {}


def test_polars_takes_batches_without_a_copy(client_of: Any) -> None:
    """Its numbers and times lie where the stream's lie."""
    with Listing(TASKS[:250]) as listing:
        batch = rf.scan_annotations(client=client_of(listing)).read_next_batch()
    frame = pl.DataFrame(pl.from_arrow(batch))
    for name in ("left", "top", "annotation_index", "exported_at"):
        assert frame[name].to_arrow().buffers()[1].address == batch[name].buffers()[1].address, name


def test_duckdb_reads_a_stream_as_it_comes(client_of: Any) -> None:
    """It asks for no more pages than it needs, and aggregates what is more than it holds."""
    with Listing(TASKS) as listing:
        client = client_of(listing, max_workers=1)
        reader = rf.scan_tasks(client=client)
        first = duckdb.from_arrow(reader).project("task_id, status").limit(3).fetchall()
        few = len(listing.requests)
        reader.close()
        annotations = rf.scan_annotations(client=client)  # noqa: F841 - DuckDB finds it by its name
        told = duckdb.sql('SELECT label, count(*), max("left") FROM annotations GROUP BY label').fetchall()
    assert len(first) == 3
    assert few < 60
    assert told == [("a", 22_000, 10_999.0)]


def test_a_category_may_be_of_one_of_several_tables(client_of: Any) -> None:
    """The others have no such column."""
    with Listing([small_task(index) for index in range(3)][::-1]) as listing:
        frames = rf.read("tasks", "audits", categories=["status", "type"], client=client_of(listing))
    assert isinstance(frames["tasks"]["status"].dtype, pd.CategoricalDtype)
    assert isinstance(frames["audits"]["type"].dtype, pd.CategoricalDtype)


@pytest.mark.parametrize("task_id", ["", None, 17])
def test_what_is_no_id_of_a_task_is_not_asked_for(task_id: Any) -> None:
    """The empty one would ask for something else than a task."""
    client = rf.Client(api_key="k", base_url="http://127.0.0.1:9/v1")
    with pytest.raises(rf.InputError, match="give a task's id as text"):
        rf.get_task(task_id, client=client)


@pytest.mark.parametrize(
    "filters", [{"project": "\ud83d"}, {"tags": ["\ud83d"]}, {"unique_id": ["\ud83d"]}, {"task_ids": ["\ud83d"]}]
)
def test_half_a_character_in_a_filter_is_told(filters: dict[str, Any]) -> None:
    """Nothing is sent: UTF-8 has none."""
    client = rf.Client(api_key="k", base_url="http://127.0.0.1:9/v1")
    with pytest.raises(rf.InputError, match="ud83d"):
        rf.read_tasks(**filters, client=client)
