"""The bytes of a form with a file, read as they are sent and checked on the way. No network here."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from refonte_frames.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from refonte_frames.transport.calls import FileForm

__all__ = ["SLOWEST_BYTES_PER_SEC", "FormBody"]

#: A body has this pace's time to get through besides the time for the answer, since sixteen may share a thin line:
#: 80 MB take three hours at most. A piece that stands still ends by the connection's own timeout.
SLOWEST_BYTES_PER_SEC: Final = 8 * 2**10
_PIECE_BYTES: Final = 16 * 2**10


class FormBody:
    """A form's body as something to read from: the head, the file, the tail.

    Parameters
    ----------
    form : FileForm
        What it is of.
    head, tail : bytes
        What stands around the file's content.
    ends_at : float
        When the last byte must be out, on the steady clock.
    note_end : callable
        Told when the last byte was read, that is, when the time for the answer begins.

    Raises
    ------
    InputError
        While it is read: the file cannot be read, or is not the one any more that the form describes.
    """

    def __init__(
        self, form: FileForm, head: bytes, tail: bytes, *, ends_at: float, note_end: Callable[[], None]
    ) -> None:
        self._form = form
        self._head = head
        self._tail = tail
        self._ends_at = ends_at
        self._note_end = note_end
        self._hash = hashlib.sha256()
        self._left = form.size
        try:
            self._file = Path(form.path).open("rb", buffering=0)  # noqa: SIM115 - closed on leaving the form
        except OSError as error:
            raise InputError(f"The file {form.path} cannot be read: {error.strerror}.") from None

    def __len__(self) -> int:
        return len(self._head) + self._form.size + len(self._tail)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._file.close()

    def read(self, _size: int = -1) -> bytes:
        """Read the next piece; nothing is left when it is empty."""
        if time.monotonic() > self._ends_at:
            raise OSError(0, f"the file did not get through at {SLOWEST_BYTES_PER_SEC // 1024} KB a second")
        if self._head:
            piece, self._head = self._head, b""
            return piece
        if self._left:
            return self._piece()
        piece, self._tail = self._tail, b""
        if piece:
            self._check()
        else:
            self._note_end()
        return piece

    def _piece(self) -> bytes:
        try:
            piece = self._file.read(min(self._left, _PIECE_BYTES))
        except OSError as error:
            raise InputError(f"The file {self._form.path} cannot be read: {error.strerror}.") from None
        if not piece:
            raise self._changed()
        self._left -= len(piece)
        self._hash.update(piece)
        return piece

    def _check(self) -> None:
        """Withhold the tail of a form whose file became another one: without it the service cannot take the form."""
        if self._hash.digest() != self._form.sha256 or self._file.read(1):
            raise self._changed()

    def _changed(self) -> InputError:
        return InputError(f"The file {self._form.path} was changed while it was uploaded; nothing of it was kept.")
