"""One look at the project and the batch before the first row is sent: are they there, open, and of the right type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from refonte_frames.errors import InputError, NotFound
from refonte_frames.transport.calls import Call
from refonte_frames.transport.replies import decode_json
from refonte_frames.upload.task_types import COMMON_FIELDS, inheritable_parameters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refonte_frames.client import Client
    from refonte_frames.upload.mapping import RowMapping

__all__ = ["inherited_parameters", "project_of"]

#: A project's history entries hold these beside the parameters (contract 2.1).
_NO_PARAMETERS: Final = frozenset({"version", "created_at", *COMMON_FIELDS})


def inherited_parameters(client: Client, mapping: RowMapping) -> dict[str, Any]:
    """Check the project and the batch named for all rows, and tell what parameters the project fills in.

    One GET for each that is named for all rows, and one for the project of a batch that is named alone.

    Raises
    ------
    InputError
        Unknown, finished, archived, or of another type; nothing was sent.
    """
    varies = "project" in mapping.targets or "batch" in mapping.targets
    project_name, batch_name = mapping.constants.get("project"), mapping.constants.get("batch")
    if batch_name is not None:
        batch = _read(client, "batches", batch_name, "batch")
        _check_batch(batch, batch_name, project_name)
        project_name = project_name or batch.get("project")
    if project_name is None:
        return inheritable_parameters() if varies else {}
    project = _read(client, "projects", str(project_name), "project")
    _check_project(project, str(project_name), mapping.type)
    if varies:
        # Rows name projects or batches of their own; what those fill in is not worth a GET for every one of them.
        return inheritable_parameters()
    history = project.get("param_history")
    current = history[-1] if isinstance(history, list) and history else {}
    return {name: value for name, value in dict(current).items() if name not in _NO_PARAMETERS}


def project_of(client: Client, mapping: RowMapping) -> str | None:
    """Name the project of all rows, that of their batch if need be; None where rows name their own or there is none."""
    if "project" in mapping.targets or "batch" in mapping.targets:
        return None
    project, batch = mapping.constants.get("project"), mapping.constants.get("batch")
    if project is None and batch is not None:
        project = _read(client, "batches", batch, "batch").get("project")
    return None if project is None else str(project)


def _read(client: Client, collection: str, name: str, kind: str) -> Mapping[str, Any]:
    call = Call.get(collection, name)
    try:
        reply = client.send(call)
    except NotFound:
        raise InputError(
            f"There is no {kind} {name!r} that this key can see at {client.host}; nothing was sent. "
            f"Check the name and whether the key is a test or a live one, or make it with rf.{collection}.create(…)."
        ) from None
    found: dict[str, Any] = decode_json(reply.body, where=f"GET {call.path}", type=dict)
    return found


def _check_batch(batch: Mapping[str, Any], name: str, project: str | None) -> None:
    if project is not None and batch.get("project") not in (None, project):
        raise InputError(f"The batch {name!r} belongs to the project {batch['project']!r}, not to {project!r}.")
    if batch.get("status") == "completed":
        raise InputError(
            f"The batch {name!r} is completed and takes no more tasks; nothing was sent. Make a new batch."
        )


def _check_project(project: Mapping[str, Any], name: str, task_type: str | None) -> None:
    if project.get("archived") is True:
        raise InputError(f"The project {name!r} is archived and takes no more tasks; nothing was sent.")
    if task_type is not None and project.get("type") not in (None, task_type):
        raise InputError(f"The project {name!r} takes tasks of type {project['type']!r}, not {task_type!r}.")
