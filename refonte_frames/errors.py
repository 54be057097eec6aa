"""Every exception of the package, sorted by what happened; nothing else lives here.

::

    RefonteError
    ├── InputError (ValueError)      nothing was sent: the call itself is at fault
    │   ├── ColumnError                a column is missing, misnamed or mapped the wrong way round
    │   ├── RowErrors                  rows of the frame cannot be sent (``on_error="raise"``)
    │   └── ConfigError                key, base URL or an optional extra is missing or unusable
    ├── NoReplyError                 no answer came: it may or may not have happened
    ├── ApiError                     the service refused
    │   ├── BadRequest                 400
    │   ├── Unauthorized               401
    │   ├── NotEnabled                 402
    │   ├── Forbidden                  403
    │   ├── NotFound                   404
    │   ├── Conflict                   409
    │   │   ├── DuplicateUniqueId        the unique_id is held by another task
    │   │   └── IdempotencyMismatch      the Idempotency-Key was used for another request
    │   ├── TooManyRequests            429
    │   └── ServiceError               5xx
    ├── ReplyError                   it answered, but not as documented
    ├── JournalError                 the journal of a submission cannot be used
    ├── ExportError                  an exported dataset cannot be read or written
    ├── WaitTimeout (TimeoutError)   tasks had not ended when the time to wait was over
    └── SandboxError                 the local server could not be started or steered

    SubmitInterrupted (KeyboardInterrupt)   Ctrl-C during a submission or a change of many tasks, after all rows in
                                            flight were settled

    SchemaDrift (UserWarning)               a reply lacks what its table is read for; a warning, nothing is raised

Callers look at types and typed attributes; no one has to parse a message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "ApiError",
    "BadRequest",
    "ColumnError",
    "ConfigError",
    "Conflict",
    "DuplicateUniqueId",
    "ExportError",
    "Forbidden",
    "IdempotencyMismatch",
    "InputError",
    "JournalError",
    "NoReplyError",
    "NotEnabled",
    "NotFound",
    "RefonteError",
    "ReplyError",
    "RowErrors",
    "SandboxError",
    "SchemaDrift",
    "ServiceError",
    "SubmitInterrupted",
    "TooManyRequests",
    "Unauthorized",
    "WaitTimeout",
]


class RefonteError(Exception):
    """The root of all errors of this package.

    Attributes
    ----------
    message : str
        What happened, where, and what to do: the same text as ``str(error)``.
    receipt : pandas.DataFrame or None
        The receipt of the rows settled before the error, when a submission raised it; otherwise None.
    """

    receipt: Any = None

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors come back from worker processes and get copied; their constructors ask for more than a message.
        return _remade, (type(self), self.args, self.__dict__)


def _remade(kind: type[RefonteError], args: tuple[Any, ...], state: dict[str, Any]) -> RefonteError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class InputError(RefonteError, ValueError):
    """The call is at fault; nothing was sent."""


class ColumnError(InputError):
    """A column is missing, misnamed, or mapped the wrong way round; nothing was sent."""


class RowErrors(InputError):
    """Rows of the frame cannot be sent; nothing was sent.

    Attributes
    ----------
    rows : sequence of (int, str, str)
        Position of the row in the frame (0-based), error code, message: all of them, not only the first.
    """

    def __init__(self, message: str, rows: Sequence[tuple[int, str, str]]) -> None:
        super().__init__(message)
        self.rows = list(rows)


class ConfigError(InputError):
    """A setting is missing or unusable: API key, base URL, an optional extra."""


class NoReplyError(RefonteError):
    """No (complete) answer came.

    Attributes
    ----------
    was_sent : bool
        False when it is certain that the service never saw the request (no connection came about);
        True when it may have acted on it.
    """

    def __init__(self, message: str, *, was_sent: bool) -> None:
        super().__init__(message)
        self.was_sent = was_sent


class ApiError(RefonteError):
    """The service refused the request.

    Attributes
    ----------
    status_code : int
        HTTP status of the answer.
    error : str
        The service's own sentence.
    method, path : str
        What was asked, without query and host.
    """

    def __init__(self, message: str, *, status_code: int, error: str = "", method: str = "", path: str = "") -> None:
        super().__init__(message)
        self.status_code = status_code
        self.error = error
        self.method = method
        self.path = path


class BadRequest(ApiError):
    """400: a parameter is missing or invalid, or the object is in the wrong state."""


class Unauthorized(ApiError):
    """401: the API key is not valid here."""


class NotEnabled(ApiError):
    """402: this task type is not enabled for the account."""


class Forbidden(ApiError):
    """403: the key may not do this."""


class NotFound(ApiError):
    """404: no such object in the key's world (test and live keys see different worlds)."""


class Conflict(ApiError):
    """409: a name or id is taken."""


class DuplicateUniqueId(Conflict):
    """409: another task holds this ``unique_id``.

    Attributes
    ----------
    unique_id : str
        The id in question.
    task_id : str
        The task that holds it.
    """

    def __init__(self, message: str, *, unique_id: str, task_id: str, **details: Any) -> None:
        super().__init__(message, **details)
        self.unique_id = unique_id
        self.task_id = task_id


class IdempotencyMismatch(Conflict):
    """409: this Idempotency-Key was used before, for another request or by another user."""


class TooManyRequests(ApiError):
    """429: slow down.

    Attributes
    ----------
    retry_after_secs : float or None
        What the service asked for, in seconds from the reply; None when it said nothing usable.
    """

    def __init__(self, message: str, *, retry_after_secs: float | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.retry_after_secs = retry_after_secs


class ServiceError(ApiError):
    """5xx: the service failed; the request may have been carried out all the same."""


class ReplyError(RefonteError):
    """The service answered, but not as documented.

    Attributes
    ----------
    path : str
        Where in the reply, such as ``docs[3].created_at``; empty for the reply as a whole.
    is_too_large : bool
        Whether it was given up for its size: asking for less may help.
    """

    def __init__(self, message: str, *, path: str = "", is_too_large: bool = False) -> None:
        super().__init__(message)
        self.path = path
        self.is_too_large = is_too_large


class JournalError(RefonteError):
    """The journal of a submission cannot be used: another account's, a newer version's, or damaged."""


class ExportError(RefonteError):
    """An exported dataset cannot be read or written."""


class WaitTimeout(RefonteError, TimeoutError):
    """Tasks had not ended when the time to wait was over.

    Attributes
    ----------
    status : pandas.DataFrame
        The statuses at the last look, in the form in which `wait` returns them.
    """

    def __init__(self, message: str, *, status: Any = None) -> None:
        super().__init__(message)
        self.status = status


class SandboxError(RefonteError):
    """The local server could not be started, or refused an order."""


class SubmitInterrupted(KeyboardInterrupt):
    """Ctrl-C stopped a submission, or a change of many tasks; the rows in flight were settled first.

    Attributes
    ----------
    receipt : pandas.DataFrame
        One row per row of the input; what was not begun is ``unsent``.
    """

    def __init__(self, message: str, *, receipt: Any = None, counts: Mapping[str, int] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.receipt = receipt
        self.counts = dict(counts or {})


class SchemaDrift(UserWarning):
    """A warning: replies lack what the table made of them is read for; the service may have changed its names."""
