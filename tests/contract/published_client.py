"""Calls every method of the published client of this API's family, unchanged, against the service of its two arguments.

A program of its own: the client leaves a session open per call, which the tests would take for a fault of theirs.
It prints how many methods it called.
"""

from __future__ import annotations

import inspect
import io
import sys
import uuid
from typing import Any

import scaleapi
from scaleapi.batches import BatchStatus
from scaleapi.exceptions import ScaleDuplicateResource, ScaleInvalidRequest, ScaleResourceNotFound, ScaleUnauthorized
from scaleapi.tasks import TaskReviewStatus, TaskStatus, TaskType
from scaleapi.teams import TeammateRole

NAME = f"client {uuid.uuid4().hex[:8]} a/b"
#: Another API of that vendor, and templates of types that are not documented here.
LEFT_OUT = {"v2_get_tasks", "get_project_template"}
TEXT = {"attachment": "a cat", "attachment_type": "text", "categories": ["cat", "dog"]}


class Counting:
    """Passes every call on, and notes its name."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.called: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        """Give the client's own method."""
        self.called.add(name)
        return getattr(self.client, name)


def refused(kind: type[Exception], call: Any, *arguments: Any, **named: Any) -> str:
    """Make a call that is refused, and give the sentence."""
    try:
        call(*arguments, **named)
    except kind as error:
        return str(error)
    raise AssertionError(f"{call} was not refused")


def projects_and_batches(client: Any) -> None:
    """Use names with blanks and slashes, inherited parameters, all three stages of a batch."""
    project = client.create_project(NAME, TaskType.Categorization, params={"instruction": "Look"}, rapid=True)
    assert (project.name, project.version, project.instruction) == (NAME, 0, "Look")
    assert client.get_project(NAME).type == "categorization"
    assert NAME in [each.name for each in client.projects()] == [each.name for each in client.get_projects()]
    changed = client.update_project(NAME, patch=False, instruction="Look twice")
    assert (changed.version, changed.instruction) == (1, "Look twice")
    refused(ScaleDuplicateResource, client.create_project, NAME, TaskType.Categorization)
    refused(ScaleResourceNotFound, client.get_project, "nothing")
    batch = client.create_batch(NAME, f"{NAME} batch", metadata={"week": 1})
    assert (batch.status, batch.project, batch.metadata) == ("staging", NAME, {"week": 1})
    assert client.create_batch(NAME, f"{NAME} other", callback="ops@example.com").as_dict()["callback"]
    refused(ScaleDuplicateResource, client.create_batch, NAME, f"{NAME} batch")
    assert client.set_batch_metadata(batch.name, {"week": 2}).metadata == {"week": 2}
    assert client.set_batch_metadata(batch.name, {}).metadata == {}
    assert client.get_batch(batch.name).name == batch.name
    listed = client.batches(project=NAME, limit=1, exclude_archived=True)
    assert (listed.total, listed.limit, listed.offset, listed.has_more) == (2, 1, 0, True)
    found = client.get_batches(project_name=NAME, batch_status=BatchStatus.Staging, created_after="2001-01-01")
    assert {each.name for each in found} == {f"{NAME} batch", f"{NAME} other"}
    assert list(client.get_batches(project_name=NAME, created_before="2001-01-01 00:00:00.000000")) == []


def tasks(client: Any) -> None:
    """Do everything that happens to a task, up to the batch's end."""
    name = f"{NAME} batch"
    made = [
        client.create_task(TaskType.Categorization, batch=name, unique_id=f"{NAME},{n}", metadata={"n": n}, **TEXT)
        for n in range(3)
    ]
    assert all(task.status == "pending" and task.project == NAME for task in made)
    refused(ScaleInvalidRequest, client.create_task, TaskType.Categorization, batch=name)
    said = refused(ScaleDuplicateResource, client.create_task, TaskType.Categorization, unique_id=f"{NAME},1", **TEXT)
    assert made[1].id in said
    assert client.set_task_tags(made[0].id, ["a", "b"]).tags == ["a", "b"]
    assert client.add_task_tags(made[0].id, ["c", "a"]).tags == ["a", "b", "c"]
    assert client.delete_task_tags(made[0].id, ["b", "none"]).tags == ["a", "c"]
    assert not hasattr(client.set_task_tags(made[0].id, []), "tags")
    assert client.set_task_metadata(made[0].id, {"new": True}).metadata == {"new": True}
    assert client.set_task_metadata(made[0].id, {}).metadata == {}
    assert client.update_task_unique_id(made[0].id, f"{NAME} new").unique_id == f"{NAME} new"
    refused(ScaleDuplicateResource, client.update_task_unique_id, made[0].id, f"{NAME},1")
    assert not hasattr(client.clear_task_unique_id(made[0].id), "unique_id")
    canceled = client.cancel_task(made[2].id, clear_unique_id=True)
    assert canceled.status == "canceled"
    assert not hasattr(canceled, "unique_id")
    assert client.batch_status(name)["tasks_pending"] == 2
    assert client.finalize_batch(name).status == "completed"
    assert client.batch_status(name) == {"status": "completed", "tasks_completed": 2, "tasks_canceled": 1}
    assert client.get_task(made[1].id).response["category"] in ("cat", "dog")
    client.audit_task(made[1].id, True)
    client.audit_task(made[0].id, False, comments="no")
    made[1].refresh()
    assert made[1].customer_review_status == "accepted"
    refused(ScaleInvalidRequest, client.cancel_task, made[1].id)
    refused(ScaleResourceNotFound, client.get_task, "nothing")


def lists(client: Any) -> None:
    """Filter in every form that the client sends: lists, comma lists, booleans, dates."""
    reviews = [TaskReviewStatus.Accepted, TaskReviewStatus.Rejected]
    found = list(client.get_tasks(project_name=NAME, review_status=reviews, limit=1, tags=None))
    assert len(found) == 2
    assert all(task.attachment_url for task in found)
    ids = [f"{NAME},1", f"{NAME},2", "nobody's"]
    assert len(list(client.get_tasks(project_name=NAME, unique_id=ids))) == 1
    assert client.get_tasks_count(project_name=NAME, status=TaskStatus.Canceled) == 1
    narrow = {"created_after": "2001-01-01", "updated_before": "9000-01-01", "task_type": TaskType.Categorization}
    assert client.get_tasks_count(project_name=NAME, batch_name=f"{NAME} batch", **narrow) == 3
    (limited,) = client.get_tasks(project_name=NAME, unique_id=f"{NAME},1", limited_response=True)
    assert set(limited.as_dict()) >= {"task_id", "status", "metadata", "project", "otherVersion"}
    page = client.tasks(project=NAME, limit=2, include_attachment_url=False)
    assert (page.total, page.limit, page.offset, page.has_more) == (3, 2, 0, True)
    rest = client.tasks(project=NAME, limit=2, next_token=page.next_token, include_attachment_url=False)
    assert (len(rest.docs), rest.has_more, rest.next_token) == (1, False, None)


def files_and_quality(client: Any) -> None:
    """Upload and import, and make the tasks with a known answer."""
    found = client.upload_file(io.BytesIO(b"\x89PNG"), project_name=NAME, reference_id=f"{NAME} r", display_name="x")
    assert found.attachment_url.endswith(found.id)
    imported = client.import_file("https://example.com/a.jpg", project_name=NAME)
    assert imported.id != found.id
    known = {"project": NAME, "expected_response": {"category": "cat"}, **TEXT}
    assert client.create_training_task(TaskType.Categorization, **known).expected_response == {"category": "cat"}
    assert client.create_evaluation_task(TaskType.Categorization, initial_response={}, **known).id


def people(client: Any) -> None:
    """Change the team, assignments, groups and the order of batches."""
    admin = next(each for each in client.list_teammates() if each.role == "admin")
    invited = client.invite_teammates([f"{uuid.uuid4().hex}@example.com"], TeammateRole.Labeler)
    assert (invited[0].role, invited[-1].role) == ("admin", "invited")
    refused(ScaleInvalidRequest, client.update_teammates_role, [admin.email], TeammateRole.Member)
    studio = f"{NAME} studio"
    client.create_project(studio, TaskType.Categorization, studio=True)
    assert studio not in client.list_studio_assignments()[admin.email].assigned_projects
    assert studio in client.add_studio_assignments([admin.email], [studio])[admin.email].assigned_projects
    assert client.create_project_group(studio, [admin.email], "night shift").numWorkers == 1
    assert client.update_project_group(studio, "night shift", [], [admin.email]).numWorkers == 0
    assert client.update_project_group(studio, "night shift", [admin.email], []).numWorkers == 1
    assert [group.name for group in client.list_project_groups(studio)] == ["night shift"]
    names = [f"{studio} {n}" for n in range(2)]
    for name in names:
        client.create_batch(studio, name)
    assert client.assign_studio_batches(names[0], ["night shift", admin.email]).groups == ["night shift", admin.email]
    others = [batch.name for batch in client.list_studio_batches() if batch.name not in names]
    ordered = client.set_studio_batches_priorities([*names[::-1], *others])
    assert [(batch.name, batch.studio_priority) for batch in ordered[:2]] == [(names[1], 1), (names[0], 2)]
    assert [batch.name for batch in client.reset_studio_batches_priorities()][-2:] == names
    assert studio not in client.remove_studio_assignments([admin.email], [studio])[admin.email].assigned_projects


def every_type(client: Any, bodies: dict[str, dict[str, Any]]) -> None:
    """Make a task of each type that the client and the documents know."""
    for task_type in TaskType:
        if task_type.value in bodies:
            assert client.create_task(task_type, **bodies[task_type.value]).type == task_type.value
    refused(Exception, client.create_task, TaskType.SensorFusion)


def main(base_url: str, key: str) -> None:
    """Call everything."""
    from test_task_types import SMALLEST

    client = Counting(scaleapi.ScaleClient(key, api_instance_url=base_url))
    projects_and_batches(client)
    tasks(client)
    lists(client)
    files_and_quality(client)
    people(client)
    every_type(client, {name: body for name, body in SMALLEST.items() if "project" not in body})
    refused(ScaleUnauthorized, scaleapi.ScaleClient("wrong", api_instance_url=base_url).projects)
    methods = {name for name, _ in inspect.getmembers(scaleapi.ScaleClient, inspect.isfunction) if name[0] != "_"}
    assert methods - client.called == LEFT_OUT, methods - client.called
    sys.stdout.write(f"{len(client.called)} methods\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
