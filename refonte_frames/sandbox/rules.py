"""The documented rules of projects, batches and tasks as functions of plain values; no HTTP, no SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refonte_frames.api import PRIORITY_MAX, PRIORITY_MIN
from refonte_frames.sandbox import checks, task_types
from refonte_frames.sandbox.clock import stamp
from refonte_frames.sandbox.exchange import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "Batch",
    "Project",
    "TaskDraft",
    "draft_task",
    "form_values",
    "new_batch",
    "new_project",
    "read_priority",
    "taken_unique_id",
]


@dataclass(frozen=True, slots=True)
class Project:
    """One project.

    Attributes
    ----------
    row : int
        Its number in the store; 0 while it has none.
    workflow : str
        ``enterprise``, ``rapid`` or ``studio`` (contract 2.1).
    history : tuple of dict
        ``param_history``, oldest first.
    """

    row: int
    name: str
    type: str
    workflow: str
    created_ms: int
    history: tuple[dict[str, Any], ...]
    pipeline: str | None = None
    consensus_attempts: int | None = None
    is_archived: bool = False

    @property
    def params(self) -> dict[str, Any]:
        """The newest default parameters."""
        return {name: value for name, value in self.history[-1].items() if name not in _HISTORY_ONLY}

    @property
    def attempts(self) -> int:
        """How many labelers work on each task."""
        return (self.consensus_attempts or 3) if self.pipeline == "consensus_task" else 1

    def served(self) -> dict[str, Any]:
        """Give the project as the API does (contract 2.1)."""
        extra = {"pipeline": self.pipeline, "consensus_attempts": self.consensus_attempts}
        return {
            "type": self.type,
            "name": self.name,
            "param_history": list(self.history),
            "created_at": stamp(self.created_ms),
            "archived": self.is_archived,
            **{name: value for name, value in extra.items() if value is not None},
        }


_HISTORY_ONLY = ("version", "created_at")
_PROJECT_BODY = ("type", "name", "rapid", "studio", "params", "pipeline", "consensus_attempts")
PIPELINES = ("standard_task", "consensus_task")


def new_project(body: Mapping[str, Any], now_ms: int) -> Project:
    """Read ``POST /projects``.

    Raises
    ------
    Refusal
        400 or 402.
    """
    task_type = checks.take(body, "type", checks.a_text)
    name = checks.take(body, "name", checks.a_text)
    _need(type=task_type, name=name)
    if task_type not in task_types.TYPES:
        raise _unknown_type(task_type)
    is_rapid, is_studio = (bool(checks.take(body, flag, checks.a_bool)) for flag in ("rapid", "studio"))
    if is_rapid and is_studio:
        raise checks.invalid("rapid", "and studio cannot both be true")
    workflow = "studio" if is_studio else "rapid" if is_rapid else "enterprise"
    pipeline, attempts = read_pipeline(body, workflow)
    params = _default_params(checks.take(body, "params", checks.an_object) or {})
    history = ({**params, "version": 0, "created_at": stamp(now_ms)},)
    return Project(0, name, task_type, workflow, now_ms, history, pipeline, attempts)


def _need(**values: Any) -> None:
    for name, value in values.items():
        if value is None:
            raise checks.required(name)


def _unknown_type(task_type: str) -> Refusal:
    try:
        task_types.rule_of(task_type)
    except Refusal as refusal:
        if refusal.status == 402:
            return refusal
    return checks.invalid("type", f"is not a known task type: {task_type!r}")


def read_pipeline(body: Mapping[str, Any], workflow: str) -> tuple[str | None, int | None]:
    """Read ``pipeline`` and ``consensus_attempts``, which only Studio projects have (contract 2.1, 4.6)."""
    pipeline = checks.take(body, "pipeline", checks.one_of(*PIPELINES))
    attempts = checks.take(body, "consensus_attempts", checks.whole_between(2, 100))
    if workflow != "studio" and (pipeline or attempts):
        raise checks.invalid("pipeline", "is for Studio projects only")
    if attempts is not None and pipeline != "consensus_task":
        raise checks.invalid("consensus_attempts", "needs the pipeline consensus_task")
    if workflow != "studio":
        return None, None
    return pipeline or "standard_task", attempts


def _default_params(params: Mapping[str, Any]) -> dict[str, Any]:
    for name in _HISTORY_ONLY:
        if name in params:
            raise checks.invalid(name, "is set by the service and cannot be a default parameter")
    for name in ("project", "batch", "unique_id"):
        if name in params:
            raise checks.invalid(name, "cannot be a default parameter of a project")
    for name, form in task_types.COMMON.items():
        checks.take(params, name, form)
    return dict(params)


def next_params(project: Project, body: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    """Read ``POST /projects/{name}/setParams``: the entry that joins ``param_history``."""
    is_patch = bool(checks.take(body, "patch", checks.a_bool))
    sent = _default_params({name: value for name, value in body.items() if name != "patch"})
    params = {**project.params, **sent} if is_patch else sent
    return {**params, "version": len(project.history), "created_at": stamp(now_ms)}


def unknown_project_names(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Name what a project request holds and the documents do not know."""
    return tuple(name for name, value in body.items() if name not in _PROJECT_BODY and value is not None)


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch; ``row`` is its number in the store, 0 while it has none."""

    row: int
    name: str
    project: Project
    status: str
    created_ms: int
    callback: str | None
    metadata: dict[str, Any]
    is_calibration: bool = False
    is_self_label: bool = False
    priority: int | None = None

    def served(self) -> dict[str, Any]:
        """Give the batch as the API does (contract 2.2)."""
        return {
            "project": self.project.name,
            "name": self.name,
            "callback": self.callback,
            "status": self.status,
            "created_at": stamp(self.created_ms),
            "metadata": self.metadata,
        }


_BATCH_BODY = ("project", "name", "callback", "calibration_batch", "self_label_batch", "metadata")


def new_batch(body: Mapping[str, Any], project: Project, now_ms: int) -> Batch:
    """Read ``POST /batches``.

    Raises
    ------
    Refusal
        400.
    """
    name = checks.take(body, "name", checks.a_text)
    _need(name=name)
    callback = None if body.get("callback") == "" else checks.take(body, "callback", checks.a_callback)
    metadata = checks.take(body, "metadata", checks.an_object) or {}
    flags = [bool(checks.take(body, flag, checks.a_bool)) for flag in ("calibration_batch", "self_label_batch")]
    if all(flags):
        raise checks.invalid("calibration_batch", "and self_label_batch cannot both be true")
    if project.workflow != "rapid":
        flags = [False, False]
    status = "in_progress" if project.workflow == "enterprise" else "staging"
    return Batch(0, name, project, status, now_ms, callback, metadata, *flags)


def unknown_batch_names(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Name what a batch request holds and the documents do not know."""
    return tuple(name for name, value in body.items() if name not in _BATCH_BODY and value is not None)


def read_priority(body: Mapping[str, Any]) -> int:
    """Read ``{"priority": 10..30}``."""
    priority: int | None = checks.take(body, "priority", checks.whole_between(PRIORITY_MIN, PRIORITY_MAX))
    if priority is None:
        raise checks.required("priority")
    return priority


@dataclass(frozen=True, slots=True)
class TaskDraft:
    """A task that may be created: everything the caller decides, the project's defaults filled in."""

    type: str
    project: Project | None
    batch: Batch | None
    params: dict[str, Any]
    metadata: dict[str, Any]
    instruction: str | None = None
    callback_url: str | None = None
    priority: int | None = None
    unique_id: str | None = None
    tags: tuple[str, ...] = ()
    clears_unique_id_on_error: bool = False

    def served(self, task_id: str, now_ms: int) -> dict[str, Any]:
        """Give the new task as the API does (contract 2.3): keys without a value are absent."""
        created = stamp(now_ms)
        optional = {
            "instruction": self.instruction,
            "project": self.project.name if self.project else None,
            "batch": self.batch.name if self.batch else None,
            "callback_url": self.callback_url,
            "priority": self.priority,
            "unique_id": self.unique_id,
            "tags": list(self.tags) or None,
        }
        return {
            "task_id": task_id,
            "created_at": created,
            "updated_at": created,
            "type": self.type,
            "status": "pending",
            "params": self.params,
            "metadata": self.metadata,
            **{name: value for name, value in optional.items() if value is not None},
        }


def draft_task(
    task_type: str,
    body: Mapping[str, Any],
    project: Project | None,
    batch: Batch | None,
    *,
    needs_batch: bool = True,
) -> TaskDraft:
    """Decide whether a task may be created, and what it is.

    Parameters
    ----------
    task_type : str
        One of `task_types.TYPES`.
    body : mapping
        The request.
    project, batch : Project or None, Batch or None
        What the request names; a batch alone brings its project.
    needs_batch : bool
        Whether a task of a Rapid project must be in a batch; quality tasks need not.

    Raises
    ------
    Refusal
        400 that names the parameter at fault.
    """
    project = _project_of(project, batch)
    _check_place(task_type, project, batch, needs_batch=needs_batch)
    whole = _with_defaults(body, project)
    common = {name: checks.take(whole, name, form) for name, form in task_types.COMMON.items()}
    params = {name: value for name, value in whole.items() if name not in task_types.COMMON}
    task_types.check_params(task_type, params, has_project=project is not None)
    return TaskDraft(
        task_type,
        project,
        batch,
        params,
        metadata=common["metadata"] or {},
        instruction=common["instruction"],
        callback_url=common["callback_url"] or common["callback"],
        priority=common["priority"],
        unique_id=common["unique_id"],
        tags=tuple(task_types.check_tags(common["tags"] or [])),
        clears_unique_id_on_error=bool(common["clear_unique_id_on_error"]),
    )


def _project_of(project: Project | None, batch: Batch | None) -> Project | None:
    if batch is None:
        return project
    if project is not None and project.row != batch.project.row:
        raise checks.invalid("batch", f"belongs to the project {batch.project.name!r}, not to {project.name!r}")
    return batch.project


def _check_place(task_type: str, project: Project | None, batch: Batch | None, *, needs_batch: bool) -> None:
    if project is not None and project.type != task_type:
        raise checks.invalid("project", f"{project.name!r} takes {project.type} tasks, not {task_type}")
    if project is not None and project.workflow == "rapid" and batch is None and needs_batch:
        raise checks.invalid("batch", "is required for Rapid projects")
    if batch is None:
        return
    is_open = batch.status == ("in_progress" if batch.project.workflow == "enterprise" else "staging")
    if not is_open:
        state = "completed" if batch.status == "completed" else "finalized"
        raise checks.invalid("batch", f"{batch.name!r} is {state}: no tasks may be added to it")


def _with_defaults(body: Mapping[str, Any], project: Project | None) -> dict[str, Any]:
    """Fill in the project's parameters; its instruction is appended after the task's own (contract 2.1)."""
    sent = {name: value for name, value in body.items() if value is not None}
    if project is None:
        return sent
    defaults = project.params
    own, appended = sent.get("instruction"), defaults.get("instruction")
    whole = {**defaults, **sent}
    if isinstance(own, str) and own and appended:
        whole["instruction"] = f"{own}\n\n{appended}"
    if "callback" in sent and "callback_url" not in sent:
        whole.pop("callback_url", None)
    return whole


def form_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Turn the texts of a form into what the parameters are: forms know strings only (contract 1.1)."""
    return {name: _form_value(name, value) for name, value in values.items()}


_FORM_BOOLS = {"true": True, "false": False}


def _form_value(name: str, value: Any) -> Any:
    form = task_types.COMMON.get(name) or task_types.FORMS.get(name)
    if not isinstance(value, str):
        return value
    if form is checks.a_bool:
        return _FORM_BOOLS.get(value.lower(), value)
    is_numeric = name == "priority" or form in (checks.a_number, checks.a_whole)
    if is_numeric and value.lstrip("-").isdecimal() and len(value) < 16:
        return int(value)
    if form in (task_types.tag_list, checks.a_list_of_texts):
        return [value]
    return value


def taken_unique_id(unique_id: str, task_id: str) -> Refusal:
    """Refuse a unique_id that another task holds, in the documented words (contract 1.5)."""
    return Refusal(409, f'The unique_id ("{unique_id}") is already used for a different task ({task_id}).')


def batch_counts(counts: Mapping[str, int]) -> dict[str, int]:
    """Write task counts as ``tasks_*``, zeros left out (contract 2.2)."""
    return {f"tasks_{status}": n for status, n in counts.items() if n}


def warning_headers(names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Warn of parameters that are not documented and do nothing."""
    shown = [name.encode("ascii", "backslashreplace").decode().replace('"', "'")[:60] for name in names[:10]]
    clean = ", ".join("".join(c for c in name if c.isprintable()) for name in shown)
    return (("warning", f'299 - "Unknown parameters without effect: {clean}"'),) if names else ()
