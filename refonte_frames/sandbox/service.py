"""What the routes work with: the store, the clock, the switches and the labelers of one running sandbox."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from functools import cache
from hashlib import blake2b, sha256
from typing import TYPE_CHECKING, Annotated

import msgspec

from refonte_frames.sandbox import rules
from refonte_frames.sandbox.clock import Clock, ClockState, stamp
from refonte_frames.sandbox.exchange import Refusal, World
from refonte_frames.sandbox.lifecycle import Task, content_digest
from refonte_frames.sandbox.store import StoreError

if TYPE_CHECKING:
    from refonte_frames.sandbox.store import Store

__all__ = ["Service", "Switches", "task_id_of"]


@dataclass(slots=True)
class Switches:
    """What may be turned on or off while the sandbox runs.

    Attributes
    ----------
    is_strict : bool
        Whether an unknown parameter is a 400 and not just a warning.
    broken_attachments : tuple of str
        Patterns (``*`` and ``?``) of attachments that cannot be downloaded: their tasks end in ``error``.
    touching_updated_at : tuple of str
        Which later changes move ``updated_at``: of ``audits``, ``tags``, ``metadata``, ``unique_id``. None do by
        default: in the documented example an audit of the next day left it alone.
    requests_per_sec : float
        How many requests of a key are answered, in real time; the others get 429. 0 is any number.
    """

    is_strict: bool = False
    broken_attachments: tuple[str, ...] = ("*://unreachable.invalid/*",)
    touching_updated_at: tuple[str, ...] = ()
    requests_per_sec: Annotated[float, msgspec.Meta(ge=0)] = 0.0


@dataclass(slots=True)
class Service:
    """One running sandbox, without its HTTP.

    Attributes
    ----------
    seed : int
        Decides every draw of the labelers.
    duty_ms : int
        For how long the labelers have worked so far: their own time, which only `work` moves.
    token_secret : bytes
        Seals page tokens; kept in the store.
    next_event_ms, next_callback_ms : int or None
        When the next planned audit, and the next try of a callback, is due.
    """

    store: Store
    clock: Clock
    seed: int
    token_secret: bytes
    duty_ms: int = 0
    switches: Switches = field(default_factory=Switches)
    next_event_ms: int | None = None
    next_callback_ms: int | None = None
    _worlds: dict[bytes, World] = field(default_factory=dict)

    @classmethod
    def open(cls, store: Store, seed: int | None, *, is_strict: bool = False) -> Service:
        """Go on where the store was left; a new store keeps the seed it is given (default 0).

        Raises
        ------
        StoreError
            If another seed is asked for than the store was made with: old and new answers would not fit together.
        """
        kept = store.setting("seed")
        chosen = int(kept) if kept is not None else seed or 0
        if seed not in (None, chosen):
            raise StoreError(f"This database was made with seed {chosen}, not {seed}; use that seed or another --db.")
        state = store.setting("clock")
        clock_state = msgspec.json.decode(state, type=ClockState) if state else None
        secret = store.setting("token_secret") or secrets.token_hex(16)
        duty_ms = int(store.setting("duty_ms") or 0)
        with store.transaction():
            store.set_setting("seed", str(chosen))
            store.set_setting("token_secret", secret)
        clock = Clock(clock_state, not_before_ms=store.latest_ms())
        switches = Switches(is_strict=is_strict)
        audit_ms, callback_ms = (store.labor.next_event_ms(kind) for kind in ("audit", "callback"))
        return cls(store, clock, chosen, secret.encode(), duty_ms, switches, audit_ms, callback_ms)

    def warned(self, names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
        """Warn of unknown parameters in a header, or refuse them in strict mode: never pass over them in silence."""
        if names and self.switches.is_strict:
            raise Refusal(400, f"Unknown parameters: {', '.join(names)}")
        return rules.warning_headers(names)

    def keep_time(self) -> None:
        """Write the clock's setting and the working time into the store, inside a transaction."""
        self.store.set_setting("clock", msgspec.json.encode(self.clock.state).decode())
        self.store.set_setting("duty_ms", str(self.duty_ms))

    def world_of(self, key: str, *, name: str, is_live: bool) -> World:
        """Find or make the world of a well-formed key; only a hash of the key is kept."""
        key_hash = sha256(key.encode()).digest()
        world = self._worlds.get(key_hash) or self.store.find_world(key_hash)
        if world is None:
            account = sha256(b"account:" + name.encode()).digest()
            with self.store.transaction():
                world = self.store.add_world(key_hash, account, is_live=is_live)
        self._worlds[key_hash] = world
        return world

    def new_task(self, world: World, draft: rules.TaskDraft, now_ms: int) -> Task:
        """Give a draft its number, ids and stamps; nothing is written but the count of equal tasks."""
        row = self.store.tasks.next_row()
        task_id = task_id_of(now_ms, row, self.seed)
        return Task(
            row=row,
            task_id=task_id,
            world=world.row,
            type=draft.type,
            status="pending",
            created_ms=now_ms,
            updated_ms=now_ms,
            completed_ms=None,
            project=draft.project.row if draft.project else 0,
            batch=draft.batch.row if draft.batch else 0,
            review=None,
            unique_id=draft.unique_id,
            key=self._key_of(world, draft),
            clears_unique_id_on_error=draft.clears_unique_id_on_error,
            due_ms=None,
            doc=draft.served(task_id, now_ms),
        )

    def _key_of(self, world: World, draft: rules.TaskDraft) -> str:
        if draft.unique_id is not None:
            return f"id:{draft.unique_id}"
        digest = content_digest(draft.type, draft.params)
        return f"{digest}:{self.store.tasks.count_occurrence(world, digest)}"

    def touched(self, task: Task, change: str, now_ms: int) -> Task:
        """Move ``updated_at`` if this kind of change is switched to do so."""
        if change not in self.switches.touching_updated_at:
            return task
        return replace(task, updated_ms=now_ms, doc={**task.doc, "updated_at": stamp(now_ms)})


def task_id_of(now_ms: int, row: int, seed: int) -> str:
    """Make a task id: 8 hex digits of time, 10 of this sandbox, 6 of a counter, so that ids rise (contract 1.7).

    >>> task_id_of(1466672974752, 1, 7)[:8]
    '576ba74e'
    """
    return f"{now_ms // 1000 & 0xFFFFFFFF:08x}{_machine(seed)}{row & 0xFFFFFF:06x}"


@cache
def _machine(seed: int) -> str:
    return blake2b(str(seed).encode(), digest_size=5).hexdigest()
