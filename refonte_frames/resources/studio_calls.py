"""How Studio is asked, and its refusals with a remedy: what groups and batches share. No endpoint lives here."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from refonte_frames.errors import ApiError, BadRequest, NotFound
from refonte_frames.resources.asking import ask, post, with_remedy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refonte_frames.client import Client
    from refonte_frames.transport.calls import Call

__all__ = ["of_project", "put", "refused"]


def of_project(call: Call, project: str, client: Client, what: str, *, group: str | None = None) -> dict[str, Any]:
    """Ask about a project of Studio; a refusal says what was wanted and where to look."""
    try:
        return ask(client, call, dict[str, Any])
    except (NotFound, BadRequest) as error:
        raise refused(error, project, what, group=group) from error


def put(client: Client, *path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Send a change by PUT, as the documentation's samples do, and by POST, as its headings say, where PUT is none."""
    call = post(*path, body=body, is_repeatable=True)
    try:
        return ask(client, replace(call, method="PUT"), dict[str, Any])
    except ApiError as error:
        if error.status_code != 405:
            raise
        return ask(client, call, dict[str, Any])


def refused(error: ApiError, project: str, what: str, *, group: str | None = None) -> ApiError:
    """Say what was refused in which project, and where to look; `what` begins with a noun or with "to"."""
    if isinstance(error, NotFound):
        inside = f" or no group {group!r} in it" if group is not None else ""
        return with_remedy(
            error,
            f"There is no project {project!r} for this key{inside} (test and live keys share nothing): "
            f"rf.projects.list() shows projects{f', rf.studio.groups({project!r}) groups' if inside else ''}.",
        )
    return with_remedy(
        error,
        f"The service refused {what} in project {project!r}: {error.error or 'no reason given'}. Only Studio projects "
        "have groups and assignments, and members must be assigned first: rf.studio.assign.",
    )
