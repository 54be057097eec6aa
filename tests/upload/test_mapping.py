"""What the caller says about columns: what it means, and what it cannot mean."""

from __future__ import annotations

from typing import Any

import pytest

from refonte_frames.errors import ColumnError, InputError
from refonte_frames.upload.mapping import RECEIPT_COLUMNS, MappingRequest, RowMapping, resolve_mapping

IMAGE = "imageannotation"


def resolved(names: list[Any], **request: Any) -> RowMapping:
    """Settle a mapping for a frame with these columns."""
    return resolve_mapping(names, MappingRequest(**{"type": IMAGE} | request))


def test_columns_named_like_parameters_feed_them() -> None:
    """Without a mapping names decide, and what no parameter is called stays at home."""
    found = resolved(
        ["attachment", "priority", "geometries.box.min_height", "metadata.camera", "customer_name", "title"]
    )
    assert found.targets == {
        "attachment": "attachment",
        "priority": "priority",
        "geometries.box.min_height": "geometries.box.min_height",
    }
    assert found.metadata == {"camera": "metadata.camera"}


def test_a_parameter_of_another_type_stays_at_home() -> None:
    """`title` belongs to textcollection, not to images."""
    assert resolved(["attachments", "title"], type="textcollection").targets == {
        "attachments": "attachments",
        "title": "title",
    }
    assert "title" not in resolved(["attachment", "title"]).targets


def test_a_mapping_in_words_is_all_that_is_sent() -> None:
    """With columns= nothing is mapped by name."""
    assert resolved(["url", "priority"], columns={"attachment": "url"}).targets == {"attachment": "url"}


def test_what_the_caller_says_for_all_rows_goes_before_a_column_of_that_name() -> None:
    """project= and params= win over columns that happen to be called so."""
    found = resolved(["attachment", "project", "instruction"], project="p", params={"instruction": "Box"})
    assert found.targets == {"attachment": "attachment"}
    assert found.constants == {"project": "p", "instruction": "Box"}


def test_the_wrong_way_round_is_shown_mended() -> None:
    """{column: parameter} is a common slip."""
    with pytest.raises(ColumnError, match=r"columns=\{'attachment': 'url', 'priority': 'prio'\}"):
        resolved(["url", "prio"], columns={"url": "attachment", "prio": "priority"})


def test_a_missing_column_is_named_with_the_nearest_ones() -> None:
    """The error says what is missing, what it feeds, and what there is instead."""
    with pytest.raises(ColumnError, match=r"no column 'image_uri', which should feed 'attachment'.*'image_url'"):
        resolved(["image_url", "x"], columns={"attachment": "image_uri"})
    with pytest.raises(ColumnError, match=r"It has: 1, 2"):
        resolved([1, 2], columns={"attachment": "zzz"})


def test_a_column_that_is_there_twice_cannot_be_mapped() -> None:
    """Which of the two is meant nobody knows."""
    with pytest.raises(ColumnError, match="2 columns named 'url'"):
        resolved(["url", "url"], columns={"attachment": "url"})


def test_a_type_comes_from_the_argument_or_from_a_column() -> None:
    """One of the two must be there."""
    assert resolved(["type", "attachment"], type=None).type_column == "type"
    assert resolved(["kind", "u"], type=None, columns={"type": "kind", "attachment": "u"}).type_column == "kind"
    with pytest.raises(ColumnError, match="No task type"):
        resolved(["attachment"], type=None)
    with pytest.raises(InputError, match="Did you mean imageannotation"):
        resolved(["attachment"], type="imageanotation")


def test_the_two_ways_to_name_the_id_column_say_the_same() -> None:
    """columns={'unique_id': c} is unique_id=c; two different ones are an error."""
    by_argument = resolved(["u", "scene"], columns={"attachment": "u"}, unique_id="scene")
    by_columns = resolved(["u", "scene"], columns={"attachment": "u", "unique_id": "scene"})
    assert by_argument.unique_id == by_columns.unique_id == "scene"
    assert not by_argument.makes_ids
    with pytest.raises(InputError, match="differ"):
        resolved(["u", "a", "b"], columns={"attachment": "u", "unique_id": "a"}, unique_id="b")
    with pytest.raises(ColumnError, match="'scen'"):
        resolved(["u", "scene"], columns={"attachment": "u"}, unique_id="scen")
    with pytest.raises(InputError, match="contradict"):
        resolved(["u", "a"], columns={"attachment": "u", "unique_id": "a"}, unique_id=None)


def test_metadata_in_its_three_forms() -> None:
    """A list, a dict, or the rest."""
    columns = ["u", "camera", "scene", 7, "outcome"]
    assert resolved(columns, columns={"attachment": "u"}, metadata=["camera", 7]).metadata == {
        "camera": "camera",
        "7": 7,
    }
    assert resolved(columns, columns={"attachment": "u"}, metadata={"cam": "camera"}).metadata == {"cam": "camera"}
    rest = resolved(columns, columns={"attachment": "u"}, metadata="rest").metadata
    assert rest == {"camera": "camera", "scene": "scene", "7": 7}
    with pytest.raises(InputError, match="'rest'"):
        resolved(columns, columns={"attachment": "u"}, metadata="camera")
    with pytest.raises(ColumnError, match="'camra'"):
        resolved(columns, columns={"attachment": "u"}, metadata=["camra"])


@pytest.mark.parametrize("column", [name for name in RECEIPT_COLUMNS if name != "unique_id"])
def test_receipt_columns_are_never_metadata(column: str) -> None:
    """A receipt can be submitted again without telling a vendor how the first try went."""
    with pytest.raises(ColumnError, match="receipts"):
        resolved(["u", column], columns={"attachment": "u"}, metadata=[column])


def test_a_receipt_is_known_by_its_columns() -> None:
    """Ids that an earlier call made are made anew."""
    found = resolved(["attachment", *RECEIPT_COLUMNS])
    assert found.remakes_ids
    assert found.makes_ids
    assert found.unique_id == "unique_id"


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ({"params": {"type": "x"}}, "'type'"),
        ({"params": {"unique_id": "x"}}, "'unique_id'"),
        ({"params": {"project": "x"}, "project": "y"}, "'project'"),
        ({"params": {"geometries": {"box": {1: 2}}}}, r"params\['geometries'\]"),
        ({"params": {"attachment": "x"}, "columns": {"attachment": "u"}}, "the same for all rows too"),
        ({"columns": {"geometries": "u", "geometries.box": "u"}}, "mapped both"),
        ({"columns": {"a..b": "u"}}, "no parameter name"),
        ({"columns": {"metadata": "u"}, "metadata": ["u"]}, "as a whole"),
        ({"columns": {"metadata.u": "u"}, "metadata": {"u": "v"}}, "no column 'v'"),
        ({"columns": "u"}, "columns is a dict, not a str"),
        ({"columns": ["u"]}, "columns is a dict, not a list"),
        ({"params": [1]}, "params is a dict"),
        ({"metadata": 5}, "metadata is a list"),
        ({"batch": 5}, "batch is a text"),
        ({"project": ""}, "project is a text"),
        ({"type": 5}, "type is a text"),
        ({"duplicates": "drop"}, "duplicates"),
        ({"group_by": "u"}, "one attachment"),
        ({"group_by": "zzz", "type": "comparison"}, "'zzz'"),
    ],
)
def test_what_contradicts_itself_is_refused(request_: dict[str, Any], why: str) -> None:
    """Each with the thing at fault in the sentence."""
    with pytest.raises(InputError, match=why):
        resolved(["u"], **request_)
