"""The documented calls (contract 8): each reads its request, asks the rules, lets the store write, and answers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from refonte_frames.sandbox import queries, rules, work
from refonte_frames.sandbox.checks import a_text, invalid, required, take
from refonte_frames.sandbox.exchange import Answer, Asked, Refusal, World, read_object
from refonte_frames.sandbox.file_routes import FILE_ROUTES
from refonte_frames.sandbox.people_routes import PEOPLE_ROUTES
from refonte_frames.sandbox.quality_routes import QUALITY_ROUTES
from refonte_frames.sandbox.task_routes import TASK_ROUTES
from refonte_frames.sandbox.unknowns import Handler, knowing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refonte_frames.sandbox.rules import Batch, Project
    from refonte_frames.sandbox.service import Service

__all__ = ["ROUTES"]

# projects


def create_project(service: Service, world: World, asked: Asked) -> Answer:
    """POST /projects."""
    body = read_object(asked)
    project = rules.new_project(body, service.clock.now_ms())
    headers = service.warned(rules.unknown_project_names(body))
    if service.store.catalog.project(world, project.name):
        raise Refusal(409, f"A project named {project.name!r} already exists.")
    with service.store.transaction():
        made = service.store.catalog.add_project(world, project)
    return Answer.of(made.served(), headers)


def list_projects(service: Service, world: World, asked: Asked) -> Answer:
    """GET /projects."""
    query = queries.Query(asked.query)
    headers = service.warned(query.unknown(("archived",)))
    found = service.store.catalog.projects(world, is_archived=query.flag("archived"))
    return Answer.of([project.served() for project in found], headers)


def get_project(service: Service, world: World, asked: Asked) -> Answer:
    """GET /projects/{project}."""
    return Answer.of(_project(service, world, asked.names["project"]).served(), _no_query(service, asked))


def set_params(service: Service, world: World, asked: Asked) -> Answer:
    """POST /projects/{project}/setParams."""
    project = _project(service, world, asked.names["project"])
    entry = rules.next_params(project, read_object(asked), service.clock.now_ms())
    changed = replace(project, history=(*project.history, entry))
    with service.store.transaction():
        service.store.catalog.save_project(changed)
    return Answer.of(changed.served())


def _project(service: Service, world: World, name: str) -> Project:
    project = service.store.catalog.project(world, name)
    if project is None:
        raise Refusal(404, f"There is no project {name!r}.")
    return project


def _no_query(service: Service, asked: Asked) -> tuple[tuple[str, str], ...]:
    return service.warned(queries.Query(asked.query).unknown(()))


# batches


def create_batch(service: Service, world: World, asked: Asked) -> Answer:
    """POST /batches."""
    body = read_object(asked)
    name = take(body, "project", a_text)
    if name is None:
        raise required("project")
    project = service.store.catalog.project(world, name)
    if project is None:
        raise invalid("project", f"is not a known project: {name!r}")
    batch = rules.new_batch(body, project, service.clock.now_ms())
    headers = service.warned(rules.unknown_batch_names(body))
    if service.store.catalog.batch(world, batch.name):
        raise Refusal(409, f"A batch named {batch.name!r} already exists.")
    with service.store.transaction():
        made = service.store.catalog.add_batch(world, batch)
    return Answer.of(made.served(), headers)


def list_batches(service: Service, world: World, asked: Asked) -> Answer:
    """GET /batches."""
    query = queries.read_batch_query(asked.query)
    headers = service.warned(query.unknown)
    found, total = service.store.catalog.batches(world, query)
    envelope = {
        "docs": [_listed(service, world, batch, is_detailed=query.is_detailed) for batch in found],
        "totalDocs": total,
        "total": total,
        "limit": query.limit,
        "offset": query.offset,
        "has_more": query.offset + len(found) < total,
    }
    return Answer.of(envelope, headers)


def _listed(service: Service, world: World, batch: Batch, *, is_detailed: bool) -> Mapping[str, Any]:
    if not is_detailed:
        return batch.served()
    return {**batch.served(), **rules.batch_counts(service.store.catalog.batch_counts(world, batch))}


def get_batch(service: Service, world: World, asked: Asked) -> Answer:
    """GET /batches/{batch}."""
    return Answer.of(_batch(service, world, asked).served(), _no_query(service, asked))


def batch_status(service: Service, world: World, asked: Asked) -> Answer:
    """GET /batches/{batch}/status."""
    batch = _batch(service, world, asked)
    counts = rules.batch_counts(service.store.catalog.batch_counts(world, batch))
    return Answer.of({"status": batch.status, **counts}, _no_query(service, asked))


def finalize_batch(service: Service, world: World, asked: Asked) -> Answer:
    """POST /batches/{batch}/finalize."""
    batch = _batch(service, world, asked)
    if batch.status == "staging":
        with service.store.transaction():
            batch = work.finalize(service, world, batch)
    return Answer.of(batch.served())


def prioritize_batch(service: Service, world: World, asked: Asked) -> Answer:
    """POST /batches/{batch}/prioritize."""
    batch = _batch(service, world, asked)
    changed = replace(batch, priority=rules.read_priority(read_object(asked)))
    with service.store.transaction():
        service.store.catalog.save_batch(changed)
    return Answer.of({"result": "success"})


def set_batch_metadata(service: Service, world: World, asked: Asked) -> Answer:
    """POST /batches/{batch}/setMetadata."""
    batch = _batch(service, world, asked)
    changed = replace(batch, metadata=read_object(asked))
    with service.store.transaction():
        service.store.catalog.save_batch(changed)
    return Answer.of(changed.served())


def _batch(service: Service, world: World, asked: Asked) -> Batch:
    name = asked.names["batch"]
    batch = service.store.catalog.batch(world, name)
    if batch is None:
        raise Refusal(404, f"There is no batch {name!r}.")
    return batch


#: Verb, path below /v1, handler; a literal path comes before one with a name in its place.
ROUTES: tuple[tuple[str, str, Handler], ...] = (
    *TASK_ROUTES,
    *PEOPLE_ROUTES,
    *QUALITY_ROUTES,
    *FILE_ROUTES,
    ("POST", "/projects", knowing(create_project, has_free_body=True)),
    ("GET", "/projects", list_projects),
    ("GET", "/projects/{project}", get_project),
    ("POST", "/projects/{project}/setParams", knowing(set_params, has_free_body=True)),
    ("POST", "/batches", knowing(create_batch, has_free_body=True)),
    ("GET", "/batches", list_batches),
    ("GET", "/batches/{batch}", get_batch),
    ("GET", "/batches/{batch}/status", batch_status),
    # The documents list batchName in the bodies of these two; it is in the path (contract 2.2).
    ("POST", "/batches/{batch}/finalize", knowing(finalize_batch, "batchName")),
    ("POST", "/batches/{batch}/prioritize", knowing(prioritize_batch, "priority", "batchName")),
    ("POST", "/batches/{batch}/setMetadata", knowing(set_batch_metadata, has_free_body=True)),
)
