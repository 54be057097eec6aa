"""Every documented route is reached by a public function, over HTTP, and answered with 200."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

import refonte_frames as rf
from refonte_frames.api import ROUTES
from refonte_frames.sandbox.routes import ROUTES as SERVED
from refonte_frames.transport.calls import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from refonte_frames.errors import NoReplyError
    from refonte_frames.transport.calls import Call

GEOMETRIES = {"geometries": {"box": {"objects_to_annotate": ["kitten"]}}}


class Recording(rf.Client):
    """A client that notes which requests it sent were answered with 200."""

    def send_once(self, call: Call, **options: Any) -> Reply | NoReplyError:
        """Send as ever, and note it."""
        answer = super().send_once(call, **options)
        if isinstance(answer, Reply) and answer.status == 200:
            self.seen.append((call.method, call.path))
        return answer

    seen: list[tuple[str, str]]


@dataclass(frozen=True)
class World:
    """A team of labelers, a project of each workflow, a batch and a task in each."""

    sandbox: rf.Sandbox
    client: Recording
    key: str
    folder: Path
    tasks: pd.DataFrame

    def done(self) -> pd.DataFrame:
        """Have the tasks completed, and give their frame."""
        for task_id in self.tasks["task_id"]:
            self.sandbox.complete(task_id)
        return self.tasks


@pytest.fixture
def world(studio_sandbox: rf.Sandbox, tmp_path: Path) -> Iterator[World]:
    """Make a world of one's own."""
    key = f"live_{secrets.token_hex(8)}"
    client = Recording(key, studio_sandbox.base_url, state_dir=tmp_path)
    client.seen = []
    rf.teams.invite(["ann@x.org", "bob@x.org"], "labeler", client=client)
    studio_sandbox.accept_invitations(key=key)
    for workflow in ("plain", "rapid", "studio"):
        flags = {} if workflow == "plain" else {workflow: True}
        rf.projects.create(workflow, type="imageannotation", client=client, **flags)
        rf.batches.create(f"{workflow} batch", project=workflow, client=client)
    rf.studio.assign(pd.DataFrame({"email": ["ann@x.org"], "project": "studio"}), client=client)
    rf.studio.create_group("studio", "group", "ann@x.org", client=client)
    images = pd.DataFrame({"attachment": ["https://x.org/1.jpg"], "tags": [["a"]], "callback_url": "me@x.org"})
    tasks = rf.submit(
        images, type="imageannotation", batch="plain batch", params=GEOMETRIES, client=client, progress=False
    )
    client.seen.clear()
    yield World(studio_sandbox, client, key, tmp_path, tasks)
    client.close()
    studio_sandbox.faults.clear()


def pairs(project: str = "studio", email: str = "bob@x.org") -> pd.DataFrame:
    """Give one assignment."""
    return pd.DataFrame({"email": [email], "project": [project]})


def upload(world: World) -> None:
    """Upload one file."""
    (world.folder / "a.png").write_bytes(b"a")
    rf.files.upload(world.folder / "a.png", project="rapid", client=world.client, progress=False)


def quality_task(world: World, kind: Any) -> pd.DataFrame:
    """Make a quality task."""
    gold = pd.DataFrame({"attachment": ["https://x.org/2.jpg"], "answer": [{"annotations": []}]})
    options: dict[str, Any] = {"type": "imageannotation", "project": "rapid", "params": GEOMETRIES, "progress": False}
    return rf.quality_tasks.create(gold, kind=kind, expected="answer", client=world.client, **options)


def attempts(world: World) -> None:
    """Read attempts."""
    ids = quality_task(world, "training")["quality_task_id"]
    rf.read_attempts(quality_task_ids=ids, client=world.client)


def where_put_is_unknown(world: World) -> rf.Client:
    """Have PUT refused, as a service that follows the headings of its documentation might."""
    world.sandbox.faults.add("status", method="PUT", path="/studio/*", status=405)
    return world.client


def other_pipeline(world: World) -> None:
    """Have the path refused that has no prefix."""
    world.sandbox.faults.add("status", method="POST", path="/projects/*/updatePipelineConfig", status=404)
    rf.projects.update_pipeline("studio", "standard_task", client=world.client)


#: Route, public function, and a call of it.
REACH: dict[str, tuple[str, Callable[[World], Any]]] = {
    "GET /projects": ("projects.list", lambda w: rf.projects.list(client=w.client)),
    "POST /projects": ("projects.create", lambda w: rf.projects.create("x", type="imageannotation", client=w.client)),
    "GET /projects/{project}": ("projects.get", lambda w: rf.projects.get("plain", client=w.client)),
    "POST /projects/{project}/setParams": (
        "projects.set_params",
        lambda w: rf.projects.set_params("plain", {"instruction": "Box them"}, client=w.client),
    ),
    "POST /projects/{project}/updatePipelineConfig": (
        "projects.update_pipeline",
        lambda w: rf.projects.update_pipeline("studio", "standard_task", client=w.client),
    ),
    "POST /studio/projects/{project}/updatePipelineConfig": ("projects.update_pipeline", other_pipeline),
    "POST /batches": ("batches.create", lambda w: rf.batches.create("x", project="plain", client=w.client)),
    "GET /batches": ("read_batches", lambda w: rf.read_batches(client=w.client, progress=False)),
    "GET /batches/{batch}": ("batches.get", lambda w: rf.batches.get("plain batch", client=w.client)),
    "GET /batches/{batch}/status": ("batches.status", lambda w: rf.batches.status("plain batch", client=w.client)),
    "POST /batches/{batch}/finalize": (
        "batches.finalize",
        lambda w: rf.batches.finalize("rapid batch", client=w.client),
    ),
    "POST /batches/{batch}/prioritize": (
        "batches.prioritize",
        lambda w: rf.batches.prioritize("plain batch", 20, client=w.client),
    ),
    "POST /batches/{batch}/setMetadata": (
        "batches.set_metadata",
        lambda w: rf.batches.set_metadata("plain batch", {"a": 1}, client=w.client),
    ),
    "POST /task/{type}": (
        "submit",
        lambda w: rf.submit(
            pd.DataFrame({"attachment": ["https://x.org/3.jpg"]}),
            type="imageannotation",
            project="plain",
            params=GEOMETRIES,
            client=w.client,
            progress=False,
        ),
    ),
    "GET /task/{task_id}": ("get_task", lambda w: rf.get_task(w.tasks["task_id"][0], client=w.client)),
    "GET /tasks": ("read_tasks", lambda w: rf.read_tasks(project="plain", client=w.client, progress=False)),
    "POST /task/{task_id}/cancel": ("cancel", lambda w: rf.cancel(w.tasks, client=w.client, progress=False)),
    "POST /task/{task_id}/setMetadata": (
        "set_metadata",
        lambda w: rf.set_metadata(w.tasks.assign(n=1), columns=["n"], client=w.client, progress=False),
    ),
    "POST /task/{task_id}/unique_id": (
        "set_unique_ids",
        lambda w: rf.set_unique_ids(w.tasks.assign(own="x"), column="own", client=w.client, progress=False),
    ),
    "DELETE /task/{task_id}/unique_id": (
        "clear_unique_ids",
        lambda w: rf.clear_unique_ids(w.tasks, client=w.client, progress=False),
    ),
    "PUT /task/{task_id}/tags": ("add_tags", lambda w: rf.add_tags(w.tasks, "b", client=w.client, progress=False)),
    "POST /task/{task_id}/tags": ("set_tags", lambda w: rf.set_tags(w.tasks, ["c"], client=w.client, progress=False)),
    "DELETE /task/{task_id}/tags": (
        "remove_tags",
        lambda w: rf.remove_tags(w.tasks, "a", client=w.client, progress=False),
    ),
    "POST /task/{task_id}/audit": (
        "audit",
        lambda w: rf.audit(w.done(), accepted=True, client=w.client, progress=False),
    ),
    "POST /task/{task_id}/send-callback": (
        "resend_callbacks",
        lambda w: rf.resend_callbacks(w.done(), client=w.client, progress=False),
    ),
    "POST /training_tasks/{type}": ("quality_tasks.create", lambda w: quality_task(w, "training")),
    "POST /evaluation_tasks/{type}": ("quality_tasks.create", lambda w: quality_task(w, "evaluation")),
    "POST /files/upload": ("files.upload", upload),
    "POST /files/import": (
        "files.import_urls",
        lambda w: rf.files.import_urls("https://x.org/4.jpg", project="rapid", client=w.client, progress=False),
    ),
    "GET /files": ("files.list", lambda w: rf.files.list("rapid", client=w.client)),
    "GET /teams": ("teams.list", lambda w: rf.teams.list(client=w.client)),
    "POST /teams/invite": ("teams.invite", lambda w: rf.teams.invite("cyd@x.org", "member", client=w.client)),
    "POST /teams/set_role": ("teams.set_roles", lambda w: rf.teams.set_roles("bob@x.org", "member", client=w.client)),
    "GET /studio/assignments": ("studio.assignments", lambda w: rf.studio.assignments(client=w.client)),
    "POST /studio/assignments/add": ("studio.assign", lambda w: rf.studio.assign(pairs(), client=w.client)),
    "POST /studio/assignments/remove": (
        "studio.unassign",
        lambda w: rf.studio.unassign(pairs(email="ann@x.org"), client=w.client),
    ),
    "GET /studio/projects/{project}/groups": ("studio.groups", lambda w: rf.studio.groups("studio", client=w.client)),
    "POST /studio/projects/{project}/groups": (
        "studio.create_group",
        lambda w: rf.studio.create_group("studio", "other", "ann@x.org", client=w.client),
    ),
    "PUT /studio/projects/{project}/groups/{group}": (
        "studio.update_group",
        lambda w: rf.studio.update_group("studio", "group", remove="ann@x.org", client=w.client),
    ),
    "POST /studio/projects/{project}/groups/{group}": (
        "studio.update_group",
        lambda w: rf.studio.update_group("studio", "group", remove="ann@x.org", client=where_put_is_unknown(w)),
    ),
    "GET /studio/batches": ("studio.batches", lambda w: rf.studio.batches(client=w.client)),
    "PUT /studio/batches/{batch}": (
        "studio.assign_batch",
        lambda w: rf.studio.assign_batch("studio batch", "group", client=w.client),
    ),
    "POST /studio/batches/{batch}": (
        "studio.assign_batch",
        lambda w: rf.studio.assign_batch("studio batch", "group", client=where_put_is_unknown(w)),
    ),
    "POST /studio/batches/set_priorities": (
        "studio.set_priorities",
        lambda w: rf.studio.set_priorities(["studio batch"], client=w.client),
    ),
    "POST /studio/batches/reset_priorities": (
        "studio.reset_priorities",
        lambda w: rf.studio.reset_priorities(client=w.client),
    ),
    "GET /quality/labelers": ("read_attempts", attempts),
    "POST /studio/projects/{project}/send_tasks_to_completed": (
        "studio.complete_tasks",
        lambda w: rf.studio.complete_tasks("studio", all_batches=True, client=w.client),
    ),
}


@pytest.mark.parametrize("route", REACH)
def test_a_documented_route_is_reached(world: World, route: str) -> None:
    """The public function asks it, and is answered with 200."""
    verb, path = route.split(" ")
    _, call = REACH[route]
    call(world)
    pattern = re.compile(re.sub(r"\{\w+\}", "[^/]+", path))
    assert [seen for seen in world.client.seen if seen[0] == verb and pattern.fullmatch(seen[1])]


def test_every_documented_route_is_reached() -> None:
    """None of the routes is left out, and none is made up."""
    assert set(REACH) == {f"{verb} {path}" for verb, path, _ in ROUTES}


def test_the_functions_that_reach_routes_are_public() -> None:
    """By the names that are given."""
    for name, _ in REACH.values():
        namespace, _, function = name.rpartition(".")
        assert function in (getattr(rf, namespace).__all__ if namespace else rf.__all__)


def test_the_sandbox_serves_the_documented_routes_and_no_others() -> None:
    """Whatever it calls what stands in braces."""
    documented = {(verb, re.sub(r"\{\w+\}", "{}", path)) for verb, path, _ in ROUTES}
    assert {(verb, re.sub(r"\{\w+\}", "{}", path)) for verb, path, _ in SERVED} == documented
