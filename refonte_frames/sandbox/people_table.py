"""Team members, assignments, groups and Studio priorities in SQL; a part of the store."""

from __future__ import annotations

from dataclasses import astuple
from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec

from refonte_frames.sandbox.exchange import encode
from refonte_frames.sandbox.people import Group, Member

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from refonte_frames.sandbox.exchange import World
    from refonte_frames.sandbox.rules import Batch, Project

__all__ = ["PeopleTable"]


class PeopleTable:
    """The people of all worlds.

    Parameters
    ----------
    db : sqlite3.Connection
        The store's; changes are made inside its transactions.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def members(self, world: World) -> list[Member]:
        """List a team, in the order of joining."""
        rows = self._db.execute(
            "SELECT email, role, is_labeler, first_name, last_name, company, expiry_ms FROM member WHERE world = ? "
            "ORDER BY id",
            (world.row,),
        )
        return [Member(row[0], row[1], bool(row[2]), *row[3:]) for row in rows]

    def save_member(self, world: World, member: Member) -> None:
        """Insert a member, or write its role."""
        self._db.execute(
            "INSERT INTO member (world, email, role, is_labeler, first_name, last_name, company, expiry_ms) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (world, email) DO UPDATE SET "
            "role = excluded.role, is_labeler = excluded.is_labeler, expiry_ms = excluded.expiry_ms",
            (world.row, *astuple(member)),
        )

    def note_invited_role(self, world: World, email: str, role: str) -> None:
        """Remember which role an invitation offers."""
        self._db.execute("UPDATE member SET invited_role = ? WHERE world = ? AND email = ?", (role, world.row, email))

    def accept_invitations(self, world: World, now_ms: int) -> int:
        """Let everybody whose invitation has not expired take the offered role; returns how many."""
        done = self._db.execute(
            "UPDATE member SET role = invited_role, expiry_ms = NULL WHERE world = ? AND role = 'invited' "
            "AND expiry_ms >= ?",
            (world.row, now_ms),
        )
        return done.rowcount

    def assignments(self, world: World) -> dict[str, list[str]]:
        """List the projects of each active member, also of those who have none."""
        found: dict[str, list[str]] = {member.email: [] for member in self.members(world) if member.is_active}
        rows = self._db.execute(
            "SELECT a.email, p.name FROM assignment a JOIN project p ON p.id = a.project WHERE a.world = ? "
            "ORDER BY p.id",
            (world.row,),
        )
        for email, project in rows:
            if email in found:
                found[email].append(project)
        return found

    def assign(self, world: World, emails: Sequence[str], projects: Sequence[Project]) -> None:
        """Give people projects; what they have already does not matter."""
        pairs = [(world.row, email, project.row) for email in emails for project in projects]
        self._db.executemany("INSERT OR IGNORE INTO assignment VALUES (?, ?, ?)", pairs)

    def unassign(self, world: World, emails: Sequence[str], projects: Sequence[Project]) -> None:
        """Take projects from people."""
        pairs = [(world.row, email, project.row) for email in emails for project in projects]
        self._db.executemany("DELETE FROM assignment WHERE world = ? AND email = ? AND project = ?", pairs)

    def groups(self, project: Project) -> list[Group]:
        """List the labeler groups of a project, oldest first."""
        rows = self._db.execute(
            "SELECT id, name, is_singleton, workers FROM labeler_group WHERE project = ? ORDER BY id", (project.row,)
        )
        return [_group(*row) for row in rows]

    def add_group(
        self, world: World, project: Project, name: str, emails: Sequence[str], *, is_singleton: bool
    ) -> None:
        """Insert a group."""
        self._db.execute(
            "INSERT INTO labeler_group (world, project, name, is_singleton, workers) VALUES (?, ?, ?, ?, ?)",
            (world.row, project.row, name, is_singleton, encode(list(emails)).decode()),
        )

    def save_group(self, group: Group, emails: Sequence[str]) -> None:
        """Write who is in a group."""
        self._db.execute(
            "UPDATE labeler_group SET workers = ? WHERE id = ?", (encode(list(emails)).decode(), group.row)
        )

    def studio_priorities(self, world: World) -> dict[int, int]:
        """Give the set priorities of Studio batches by batch row."""
        return dict(self._db.execute("SELECT batch, priority FROM studio_priority WHERE world = ?", (world.row,)))

    def set_studio_priorities(self, world: World, batches: Sequence[Batch]) -> None:
        """Give batches the numbers 1 to n in this order, and no other batch any."""
        self._db.execute("DELETE FROM studio_priority WHERE world = ?", (world.row,))
        numbered = [(world.row, batch.row, n) for n, batch in enumerate(batches, start=1)]
        self._db.executemany("INSERT INTO studio_priority VALUES (?, ?, ?)", numbered)

    def batch_groups(self, batch: Batch) -> list[str]:
        """List the names of the groups a Studio batch is given to."""
        rows = self._db.execute("SELECT name FROM batch_group WHERE batch = ? ORDER BY position", (batch.row,))
        return [name for (name,) in rows]

    def set_batch_groups(self, world: World, batch: Batch, names: Sequence[str]) -> None:
        """Give a Studio batch to these groups and no others."""
        self._db.execute("DELETE FROM batch_group WHERE batch = ?", (batch.row,))
        values = [(world.row, batch.row, position, name) for position, name in enumerate(names)]
        self._db.executemany("INSERT INTO batch_group VALUES (?, ?, ?, ?)", values)


def _group(row: int, name: str, is_singleton: int, workers: str) -> Group:
    emails = msgspec.json.decode(workers, type=list[str])
    return Group(row, f"{row:024x}", name, bool(is_singleton), tuple((_worker_id(email), email) for email in emails))


def _worker_id(email: str) -> str:
    return blake2b(email.encode(), digest_size=12).hexdigest()
