"""The documented calls on teams and Studio (contract 4.1 to 4.6)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from refonte_frames.sandbox import people, queries, rules, work
from refonte_frames.sandbox.checks import a_bool, a_list_of_texts, a_text, invalid, required, take
from refonte_frames.sandbox.exchange import Answer, Asked, Refusal, World, read_object
from refonte_frames.sandbox.people import Member
from refonte_frames.sandbox.unknowns import Handler, knowing

if TYPE_CHECKING:
    from refonte_frames.sandbox.people import Group
    from refonte_frames.sandbox.rules import Batch, Project
    from refonte_frames.sandbox.service import Service

__all__ = ["PEOPLE_ROUTES"]


# teams


def list_team(service: Service, world: World, asked: Asked) -> Answer:
    """GET /teams."""
    headers = service.warned(queries.Query(asked.query).unknown(()))
    return _team(service, world, headers)


def _team(service: Service, world: World, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    return Answer.of([member.served() for member in service.store.people.members(world)], headers)


def invite(service: Service, world: World, asked: Asked) -> Answer:
    """POST /teams/invite: who is there already stays as they are."""
    body = read_object(asked)
    emails, role = people.read_emails(body), people.read_role(body)
    there = {member.email for member in service.store.people.members(world)}
    expiry_ms = service.clock.now_ms() + people.INVITE_MS
    with service.store.transaction():
        for email in emails:
            if email not in there:
                invited = Member(email, "invited", role == "labeler", expiry_ms=expiry_ms)
                service.store.people.save_member(world, invited)
                service.store.people.note_invited_role(world, email, role)
    return _team(service, world)


def set_role(service: Service, world: World, asked: Asked) -> Answer:
    """POST /teams/set_role: all or nothing; a disabled member is enabled by it."""
    body = read_object(asked)
    emails, role = people.read_emails(body), people.read_role(body)
    there = {member.email: member for member in service.store.people.members(world)}
    for email in emails:
        if email not in there or there[email].role in ("admin", "invited"):
            raise invalid("emails", f"holds {email!r}, who is no labeler, member, manager or disabled member")
    with service.store.transaction():
        for email in emails:
            changed = replace(there[email], role=role, is_labeler=role == "labeler")
            service.store.people.save_member(world, changed)
    return _team(service, world)


# assignments


def list_assignments(service: Service, world: World, asked: Asked) -> Answer:
    """GET /studio/assignments."""
    headers = service.warned(queries.Query(asked.query).unknown(()))
    return Answer.of(service.store.people.assignments(world), headers)


def add_assignments(service: Service, world: World, asked: Asked) -> Answer:
    """POST /studio/assignments/add."""
    emails, projects = _assigned(service, world, asked)
    with service.store.transaction():
        service.store.people.assign(world, emails, projects)
    return Answer.of(service.store.people.assignments(world))


def remove_assignments(service: Service, world: World, asked: Asked) -> Answer:
    """POST /studio/assignments/remove."""
    emails, projects = _assigned(service, world, asked)
    with service.store.transaction():
        service.store.people.unassign(world, emails, projects)
    return Answer.of(service.store.people.assignments(world))


def _assigned(service: Service, world: World, asked: Asked) -> tuple[list[str], list[Project]]:
    body = read_object(asked)
    emails, names = people.read_emails(body), people.read_names(body, "projects")
    active = {member.email for member in service.store.people.members(world) if member.is_active}
    for email in emails:
        if email not in active:
            raise invalid("emails", f"holds {email!r}, who is no active member of the team")
    return emails, [_studio_in_body(service, world, name) for name in names]


def _studio_in_body(service: Service, world: World, name: str) -> Project:
    project = service.store.catalog.project(world, name)
    if project is None or project.workflow != "studio":
        raise invalid("projects", f"holds {name!r}, which is no Studio project")
    return project


def _studio_in_path(service: Service, world: World, asked: Asked) -> Project:
    name = asked.names["project"]
    project = service.store.catalog.project(world, name)
    if project is None:
        raise Refusal(404, f"There is no project {name!r}.")
    if project.workflow != "studio":
        raise Refusal(400, f"The project {name!r} is no Studio project.")
    return project


# groups


def list_groups(service: Service, world: World, asked: Asked) -> Answer:
    """GET /studio/projects/{project}/groups."""
    project = _studio_in_path(service, world, asked)
    return Answer.of([group.served() for group in service.store.people.groups(project)])


def create_group(service: Service, world: World, asked: Asked) -> Answer:
    """POST /studio/projects/{project}/groups."""
    project = _studio_in_path(service, world, asked)
    body = read_object(asked)
    name = take(body, "name", a_text)
    if name is None:
        raise required("name")
    emails = people.read_emails(body)
    _must_be_assigned(service, world, project, emails)
    if _find_group(service, project, name):
        raise Refusal(409, f"A group named {name!r} already exists in {project.name!r}.")
    with service.store.transaction():
        service.store.people.add_group(world, project, name, emails, is_singleton=False)
    return Answer.of(_group(service, project, name).served())


def update_group(service: Service, world: World, asked: Asked) -> Answer:
    """PUT (or POST) /studio/projects/{project}/groups/{group}."""
    project = _studio_in_path(service, world, asked)
    group = _group(service, project, asked.names["group"])
    body = read_object(asked)
    added = people.read_emails(body, name="add_emails", is_required=False)
    removed = people.read_emails(body, name="remove_emails", is_required=False)
    _must_be_assigned(service, world, project, added)
    members = [email for _, email in group.workers if email not in removed]
    with service.store.transaction():
        service.store.people.save_group(group, list(dict.fromkeys([*members, *added])))
    return Answer.of(_group(service, project, group.name).served())


def _find_group(service: Service, project: Project, name: str) -> Group | None:
    found = service.store.people.groups(project)
    return next((group for group in found if name in (group.name, group.id)), None)


def _group(service: Service, project: Project, name: str) -> Group:
    group = _find_group(service, project, name)
    if group is None:
        raise Refusal(404, f"There is no group {name!r} in {project.name!r}.")
    return group


def _must_be_assigned(service: Service, world: World, project: Project, emails: list[str]) -> None:
    assignments = service.store.people.assignments(world)
    for email in emails:
        if project.name not in assignments.get(email, []):
            raise invalid("emails", f"holds {email!r}, who is not assigned to {project.name!r}")


# studio batches


def list_studio_batches(service: Service, world: World, asked: Asked) -> Answer:
    """GET /studio/batches: the pending ones, in the order of work."""
    headers = service.warned(queries.Query(asked.query).unknown(()))
    return _studio_batches(service, world, headers)


def _studio_batches(service: Service, world: World, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    priorities = service.store.people.studio_priorities(world)
    ordered = people.queue_order(_pending(service, world), priorities)
    return Answer.of([_studio_batch(service, world, batch, priorities) for batch in ordered], headers)


def _pending(service: Service, world: World) -> list[Batch]:
    found = service.store.catalog.unfinished_batches(world)
    return [batch for batch in found if batch.project.workflow == "studio"]


def _studio_batch(service: Service, world: World, batch: Batch, priorities: dict[int, int]) -> dict[str, Any]:
    counts = service.store.catalog.batch_counts(world, batch)
    return {
        "id": f"{batch.row:024x}",
        "name": batch.name,
        "projectId": f"{batch.project.row:024x}",
        "projectName": batch.project.name,
        "batchType": "Calibration" if batch.is_calibration else "Production",
        "studioPriority": priorities.get(batch.row),
        "total": sum(counts.values()),
        "completed": counts.get("completed", 0),
        "groups": service.store.people.batch_groups(batch),
    }


def assign_batch(service: Service, world: World, asked: Asked) -> Answer:
    """PUT (or POST) /studio/batches/{batch}: sets the groups; an e-mail makes a group of one."""
    name = asked.names["batch"]
    batch = service.store.catalog.batch(world, name)
    if batch is None:
        raise Refusal(404, f"There is no batch {name!r}.")
    if batch.project.workflow != "studio":
        raise Refusal(400, f"The batch {name!r} belongs to no Studio project.")
    body = read_object(asked)
    groups = body.get("groups")
    if groups != []:
        groups = people.read_names(body, "groups")
    known = [_find_group(service, batch.project, each) for each in groups]
    singles = [each for each, group in zip(groups, known, strict=True) if group is None]
    for each in singles:
        if "@" not in each:
            raise invalid("groups", f"holds {each!r}, which is no group of {batch.project.name!r}")
    _must_be_assigned(service, world, batch.project, singles)
    with service.store.transaction():
        for each in singles:
            service.store.people.add_group(world, batch.project, each, [each], is_singleton=True)
        names = [group.name if group else each for each, group in zip(groups, known, strict=True)]
        service.store.people.set_batch_groups(world, batch, names)
    return Answer.of(_studio_batch(service, world, batch, service.store.people.studio_priorities(world)))


def set_priorities(service: Service, world: World, asked: Asked) -> Answer:
    """POST /studio/batches/set_priorities."""
    pending = {batch.name: batch for batch in _pending(service, world)}
    names = people.read_studio_order(read_object(asked), list(pending))
    with service.store.transaction():
        service.store.people.set_studio_priorities(world, [pending[name] for name in names])
    return _studio_batches(service, world)


def reset_priorities(service: Service, world: World, _asked: Asked) -> Answer:
    """POST /studio/batches/reset_priorities."""
    with service.store.transaction():
        service.store.people.set_studio_priorities(world, [])
    return _studio_batches(service, world)


# projects of Studio


def send_tasks_to_completed(service: Service, world: World, asked: Asked) -> Answer:
    """POST /studio/projects/{project}/send_tasks_to_completed: unfinished tasks with an attempt end."""
    project = _studio_in_path(service, world, asked)
    body = read_object(asked)
    is_all = bool(take(body, "all_batches", a_bool))
    names = [] if is_all else take(body, "batches", a_list_of_texts)  # all_batches wins (contract 4.6)
    if names is None:
        raise Refusal(400, "Either all_batches or batches is required.")
    batches = [batch for batch in _pending(service, world) if batch.project.row == project.row]
    if not is_all:
        known = {batch.name: batch for batch in batches}
        for name in names:
            if name not in known:
                raise invalid("batches", f"holds {name!r}, which is no pending batch of {project.name!r}")
        batches = [known[name] for name in names]
    with service.store.transaction():
        done = work.complete_attempted(service, project, batches)
    return Answer.of({"result": "success", "tasks_completed": done})


def update_pipeline(service: Service, world: World, asked: Asked) -> Answer:
    """POST (/studio)/projects/{project}/updatePipelineConfig."""
    project = _studio_in_path(service, world, asked)
    body = read_object(asked)
    if body.get("pipeline") is None:
        raise required("pipeline")
    pipeline, attempts = rules.read_pipeline(body, project.workflow)
    changed = replace(project, pipeline=pipeline, consensus_attempts=attempts)
    with service.store.transaction():
        service.store.catalog.save_project(changed)
    return Answer.of(changed.served())


_UPDATE_GROUP = knowing(update_group, "add_emails", "remove_emails")
_COMPLETE = knowing(send_tasks_to_completed, "all_batches", "batches")
_UPDATE_PIPELINE = knowing(update_pipeline, "pipeline", "consensus_attempts")

PEOPLE_ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/teams", list_team),
    ("POST", "/teams/invite", knowing(invite, "emails", "email", "team_role")),
    ("POST", "/teams/set_role", knowing(set_role, "emails", "email", "team_role")),
    ("GET", "/studio/assignments", list_assignments),
    ("POST", "/studio/assignments/add", knowing(add_assignments, "emails", "email", "projects")),
    ("POST", "/studio/assignments/remove", knowing(remove_assignments, "emails", "email", "projects")),
    ("GET", "/studio/projects/{project}/groups", knowing(list_groups)),
    ("POST", "/studio/projects/{project}/groups", knowing(create_group, "name", "emails", "email")),
    ("PUT", "/studio/projects/{project}/groups/{group}", _UPDATE_GROUP),
    ("POST", "/studio/projects/{project}/groups/{group}", _UPDATE_GROUP),
    ("GET", "/studio/batches", list_studio_batches),
    ("POST", "/studio/batches/set_priorities", knowing(set_priorities, "batches")),
    ("POST", "/studio/batches/reset_priorities", knowing(reset_priorities)),
    ("PUT", "/studio/batches/{batch}", knowing(assign_batch, "groups")),
    ("POST", "/studio/batches/{batch}", knowing(assign_batch, "groups")),
    ("POST", "/studio/projects/{project}/send_tasks_to_completed", _COMPLETE),
    ("POST", "/studio/projects/{project}/updatePipelineConfig", _UPDATE_PIPELINE),
    ("POST", "/projects/{project}/updatePipelineConfig", _UPDATE_PIPELINE),
)
