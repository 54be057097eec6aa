"""Studio: who works on which project, groups of labelers, the order of batches. Documented calls only (contract 4)."""

from __future__ import annotations

from refonte_frames.resources.assignments import assign, assignments, sync_assignments, unassign
from refonte_frames.resources.labeler_groups import create_group, groups, update_group
from refonte_frames.resources.studio_batches import (
    assign_batch,
    batches,
    complete_tasks,
    reset_priorities,
    set_priorities,
)

__all__ = [
    "assign",
    "assign_batch",
    "assignments",
    "batches",
    "complete_tasks",
    "create_group",
    "groups",
    "reset_priorities",
    "set_priorities",
    "sync_assignments",
    "unassign",
    "update_group",
]
