"""Projects against a real sandbox that refuses every parameter it does not know."""

from __future__ import annotations

import json
import warnings
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from refonte_frames.errors import BadRequest, Conflict, InputError, NotEnabled, NotFound
from refonte_frames.resources import projects

if TYPE_CHECKING:
    from refonte_frames.client import Client

TYPE = "imageannotation"


def test_create_returns_the_project_as_served(client: Client) -> None:
    """A new project comes back with its type, its first parameters and its birth."""
    made = projects.create("kittens", type=TYPE, params={"instruction": "Box them"}, client=client)
    assert (made["name"], made["type"]) == ("kittens", TYPE)
    assert made["param_history"][-1]["instruction"] == "Box them"
    assert made["param_history"][-1]["version"] == 0


@pytest.mark.parametrize("name", ["a bc/def", "100%", "?", "café ☕", "..", "a#b"])
def test_names_may_hold_any_character(client: Client, name: str) -> None:
    """What has a meaning in URLs may stand in a name: the project is found again under it."""
    projects.create(name, type=TYPE, client=client)
    assert projects.get(name, client=client)["name"] == name


def test_a_taken_name_is_a_conflict_with_a_remedy(client: Client) -> None:
    """A second creation is refused, and the sentence names the way out."""
    projects.create("kittens", type=TYPE, client=client)
    with pytest.raises(Conflict, match=r"There is a project 'kittens' already: pass exist_ok=True") as caught:
        projects.create("kittens", type=TYPE, client=client)
    assert caught.value.status_code == 409


def test_exist_ok_returns_the_project_that_is_there(client: Client) -> None:
    """With exist_ok the same call again gives the same project and says nothing."""
    params = {"instruction": "Box them", "geometries": {"box": {"objects_to_annotate": ("kitten",)}}}
    made = projects.create("kittens", type=TYPE, params=params, client=client)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert projects.create("kittens", type=TYPE, params=params, exist_ok=True, client=client) == made


def test_exist_ok_does_not_take_a_project_of_another_type(client: Client) -> None:
    """A project that is there but for other tasks is no match."""
    projects.create("kittens", type="categorization", client=client)
    with pytest.raises(Conflict, match=r"but for 'categorization' tasks, not 'imageannotation': take another name"):
        projects.create("kittens", type=TYPE, exist_ok=True, client=client)


def test_exist_ok_says_when_the_params_differ(client: Client) -> None:
    """Parameters of a project that was there are left alone, with a warning."""
    projects.create("kittens", type=TYPE, params={"instruction": "Box them"}, client=client)
    with pytest.warns(UserWarning, match="other params, which were left as they are"):
        kept = projects.create("kittens", type=TYPE, params={"instruction": "No"}, exist_ok=True, client=client)
    assert kept["param_history"][-1]["instruction"] == "Box them"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"name": " "}, "name of a project is text that is not blank"),
        ({"name": 7}, "not 7"),
        ({"type": "imagannotation"}, "did you mean 'imageannotation'"),
        ({"type": None}, "None is no documented task type; these are: imageannotation, "),
        ({"rapid": True, "studio": True}, "either rapid or studio"),
        ({"pipeline": "consensus_task"}, "Only Studio projects have a pipeline"),
        ({"studio": True, "pipeline": "two_eyes"}, "pipeline is one of standard_task, consensus_task"),
        ({"studio": True, "consensus_attempts": 3}, "needs studio=True and pipeline='consensus_task'"),
        ({"studio": True, "pipeline": "consensus_task", "consensus_attempts": 1}, "at least 2, not 1"),
        ({"params": {"n": float("inf")}}, "cannot be sent as JSON"),
        ({"params": {"n": object()}}, "object has no form in JSON"),
    ],
)
def test_mistakes_are_found_before_anything_is_sent(client: Client, arguments: dict[str, Any], sentence: str) -> None:
    """Arguments that cannot be right are an InputError, and no request leaves."""
    call: dict[str, Any] = {"name": "kittens", "type": TYPE, **arguments}
    with pytest.raises(InputError, match=sentence):
        projects.create(**call, client=client)
    assert client.requests_by_status() == {}


def test_a_type_that_is_not_enabled_is_refused_by_the_service(client: Client) -> None:
    """Types known by name only are sent; the service's 402 comes out as NotEnabled."""
    with pytest.raises(NotEnabled):
        projects.create("talk", type="chat", client=client)


def test_studio_projects_take_a_pipeline(client: Client) -> None:
    """The Studio parameters reach the service."""
    made = projects.create(
        "pets", type=TYPE, studio=True, pipeline="consensus_task", consensus_attempts=3, client=client
    )
    assert (made["pipeline"], made["consensus_attempts"]) == ("consensus_task", 3)


def test_values_of_a_frame_may_be_params(client: Client) -> None:
    """Numpy scalars and read-only mappings are sent as what they stand for."""
    params = MappingProxyType({"frame_rate": np.int64(5)})
    made = projects.create("clips", type="videoannotation", params=params, client=client)
    assert made["param_history"][-1]["frame_rate"] == 5


def test_an_unknown_project_is_named(client: Client) -> None:
    """A look-up of a name that is not there says which, and where to find those that are."""
    with pytest.raises(NotFound, match=r"There is no project 'puppies' for this key .*projects.list\(\)"):
        projects.get("puppies", client=client)
    with pytest.raises(NotFound, match="There is no project 'puppies'"):
        projects.set_params("puppies", {}, client=client)


def test_list_without_projects_has_the_same_columns(client: Client) -> None:
    """Columns and types do not depend on what there is."""
    empty = projects.list(client=client)
    projects.create("kittens", type=TYPE, client=client)
    one = projects.list(client=client)
    assert len(empty) == 0
    assert dict(empty.dtypes) == dict(one.dtypes)


def test_list_has_a_row_per_project(client: Client) -> None:
    """Each project is a row with typed cells and its parameters in force as JSON."""
    projects.create("kittens", type=TYPE, params={"instruction": "Box", "priority": 20}, client=client)
    projects.set_params("kittens", {"priority": 30}, patch=True, client=client)
    projects.create("texts", type="categorization", client=client)
    listed = projects.list(client=client).set_index("project")
    assert sorted(listed.index) == ["kittens", "texts"]
    row = listed.loc["kittens"]
    assert (row["type"], row["version"], row["instruction"]) == (TYPE, 1, "Box")
    assert json.loads(row["params_json"]) == {"priority": 30}
    assert listed["created_at"].dtype == "timestamp[us, tz=UTC][pyarrow]"
    assert pd.Timestamp.now(tz="UTC") - row["created_at"] < pd.Timedelta(hours=1)


def test_list_can_leave_out_what_is_not_archived(client: Client) -> None:
    """The filter is sent: nothing is archived here. A number is no such filter."""
    projects.create("kittens", type=TYPE, client=client)
    assert len(projects.list(archived=True, client=client)) == 0
    assert len(projects.list(archived=False, client=client)) == 1
    with pytest.raises(InputError, match="archived is True, False or None, not 0"):
        projects.list(archived=0, client=client)


def test_set_params_replaces_or_merges(client: Client) -> None:
    """Without patch the new parameters are all there is; with patch the others stay."""
    projects.create("kittens", type=TYPE, params={"instruction": "Box"}, client=client)
    merged = projects.set_params("kittens", {"priority": 20}, patch=True, client=client)
    assert merged["param_history"][-1]["instruction"] == "Box"
    replaced = projects.set_params("kittens", {"priority": 20}, client=client)
    assert "instruction" not in replaced["param_history"][-1]
    assert [entry["version"] for entry in replaced["param_history"]] == [0, 1, 2]


@pytest.mark.parametrize("params", ["priority", ["priority"], None, {"patch": True}])
def test_set_params_takes_a_mapping_of_parameters(client: Client, params: Any) -> None:
    """What is no mapping, or names the option as a parameter, is found before anything is sent."""
    with pytest.raises(InputError):
        projects.set_params("kittens", params, client=client)
    assert client.requests_by_status() == {}


def test_a_pipeline_is_updated_again_and_again(client: Client) -> None:
    """Consensus of three, then one after the other."""
    projects.create("cats", type="imageannotation", studio=True, client=client)
    changed = projects.update_pipeline("cats", "consensus_task", consensus_attempts=3, client=client)
    assert (changed["pipeline"], changed["consensus_attempts"]) == ("consensus_task", 3)
    assert projects.update_pipeline("cats", "standard_task", client=client)["pipeline"] == "standard_task"


def test_a_pipeline_that_cannot_be_right_is_refused_before_anything_is_sent(client: Client) -> None:
    """The name, and attempts that do not go with it."""
    with pytest.raises(InputError, match="one of standard_task, consensus_task, not 'consensus'"):
        projects.update_pipeline("cats", "consensus", client=client)
    with pytest.raises(InputError, match="goes with the pipeline 'consensus_task'"):
        projects.update_pipeline("cats", "standard_task", consensus_attempts=2, client=client)
    with pytest.raises(InputError, match="at least 2, not 1"):
        projects.update_pipeline("cats", "consensus_task", consensus_attempts=1, client=client)
    assert client.requests_by_status() == {}


def test_only_studio_projects_have_a_pipeline(client: Client) -> None:
    """The refusal says so; an unknown project is asked for at both documented paths."""
    projects.create("cats", type="imageannotation", client=client)
    with pytest.raises(BadRequest, match="Only Studio projects have one"):
        projects.update_pipeline("cats", "standard_task", client=client)
    with pytest.raises(NotFound, match="There is no project 'dogs'"):
        projects.update_pipeline("dogs", "standard_task", client=client)
    assert client.requests_by_status() == {"200": 1, "400": 1, "404": 2}


def test_half_a_character_in_a_name_is_told(client: Client) -> None:
    """UTF-8 has none."""
    with pytest.raises(InputError, match="half a character"):
        projects.get("kittens\ud83d", client=client)
