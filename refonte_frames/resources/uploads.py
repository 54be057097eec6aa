"""How an upload whose answer was lost, or that was refused as taken, is settled: by listing. No frames here.

A file's `reference_id` is made of its content, so that the same bytes are the same file in every run and on every
machine. The reference also stands in the file's metadata: there it is found again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refonte_frames.errors import JournalError
from refonte_frames.resources.assets import AssetFinder, attachment_url_of
from refonte_frames.resources.creations import Settled, Settler

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refonte_frames.errors import Conflict
    from refonte_frames.journal import Journal
    from refonte_frames.resources.creations import Job
    from refonte_frames.transport.calls import Call, Reply

__all__ = ["FileSettler"]


@dataclass(frozen=True, slots=True)
class FileSettler(Settler):
    """Settles files; only those of a project can be listed."""

    finder: AssetFinder | None = None

    def read(self, answer: Reply, call: Call) -> str:
        """Read the file's address."""
        return attachment_url_of(answer.body, where=f"POST {call.path}")

    def find(self, job: Job) -> Settled | None:
        """Look for the file that carries the reference in its metadata."""
        found = None if self.finder is None else self.finder.find(job.own_id, stop=self.stop)
        return None if found is None else _judged(job, found)

    def taken(self, job: Job, error: Conflict) -> Settled:
        """Take the file that has the reference, if it can be found and is this one."""
        found = self.find(job)
        if found is not None:
            return found
        remedy = (
            "name a project (project='…'), then it is looked up, or uploaded for that project"
            if self.finder is None
            else f"no file of {self.finder.project!r} shows it in its metadata; give the row another reference_id"
        )
        message = f"the reference_id {job.own_id!r} is taken: {remedy}. The service: {error.error}"
        return Settled("failed", None, "reference_id_taken", message, maybe_sent=job.maybe_sent)

    def check_known(self, own_id: str, journal: Journal) -> None:
        """Look the file up: a service that was reset would make its rows look done for ever."""
        if self.finder is not None and self.finder.find(own_id) is None:
            raise JournalError(
                f"The journal {journal.path} says that the file {own_id} was uploaded, but the project "
                f"{self.finder.project!r} at {self.client.host} has none of this reference: the journal belongs to an "
                "account or sandbox that is gone, or the file was deleted. Move it away, or pass another journal=…"
            )


def _judged(job: Job, found: Mapping[str, Any]) -> Settled:
    """Take the file that is there, if it is this one."""
    value = job.facts.digest.hex()
    url = str(found["attachment_url"])
    if found["metadata"].get(job.wanted.source.mark, value) != value:
        message = f"the reference_id {job.own_id!r} belongs to another file ({url}); give the row another one"
        return Settled("failed", None, "reference_id_taken", message, maybe_sent=job.maybe_sent)
    return Settled("created" if job.maybe_sent else "existing", url, maybe_sent=job.maybe_sent)
