"""Whether a body is what the documentation allows: the rules a row must keep before it is sent. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from refonte_frames.api import ATTACHMENT_TYPES, MAX_TAGS, PRIORITY_MAX, PRIORITY_MIN
from refonte_frames.cells import CellError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["CHECKS", "TIDIED", "check_attachments", "check_fields", "is_local_file", "tidy_field"]

_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
#: A path on this machine: rooted, relative with dots, home, a drive, a file URL.
_LOCAL: Final = re.compile(r"(/|\./|\.\./|~|\\|[A-Za-z]:[\\/]|file:)")
_FILE_NAME: Final = re.compile(r"[^\s?#]*\.[A-Za-z0-9]{2,5}")


#: Fields that `tidy_field` may change.
TIDIED: Final = frozenset({"priority", "tags"})


def tidy_field(name: str, value: Any) -> Any:
    """Bring a field into the form the service wants where nothing is lost by it: 20.0 is 20, one tag is a list."""
    if name == "priority" and isinstance(value, float) and value.is_integer():
        return int(value)
    if name == "tags" and isinstance(value, str):
        return [value]
    return value


def check_fields(body: Mapping[str, Any], *, may_be_text: bool = False) -> None:
    """Check the common fields of a body.

    Parameters
    ----------
    body : mapping
        The request body.
    may_be_text : bool
        Whether the attachment may be the text itself, by what the project says.

    Raises
    ------
    CellError
        For the first field that breaks a documented rule.
    """
    for name, check in CHECKS.items():
        value = body.get(name)
        if value is not None:
            try:
                check(value)
            except CellError as error:
                raise CellError(error.code, str(error), parameter=name) from None
    if body.get("attachment_type", "text" if may_be_text else None) != "text":
        check_attachments(body)


def check_attachments(body: Mapping[str, Any]) -> None:
    """Refuse attachments that are paths on this machine.

    Raises
    ------
    CellError
        For the first of them.
    """
    _check_attachment(body.get("attachment"))
    attachments = body.get("attachments")
    for item in attachments if isinstance(attachments, list) else ():
        _check_attachment(item)


def _check_priority(value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not PRIORITY_MIN <= value <= PRIORITY_MAX:
        raise CellError(
            "bad_priority", f"priority is a whole number from {PRIORITY_MIN} (lowest) to {PRIORITY_MAX}, not {value!r}"
        )


def _check_tags(value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(tag, str) and tag for tag in value):
        raise CellError("bad_tags", f"tags is a list of texts that are not empty, not {value!r}")
    if len(value) > MAX_TAGS:
        raise CellError("too_many_tags", f"a task takes at most {MAX_TAGS} tags, not {len(value)}")


def _check_callback(value: Any) -> None:
    if not isinstance(value, str) or not (_EMAIL.fullmatch(value) or _is_web_url(value)):
        raise CellError("bad_callback_url", f"callback_url is an http or https URL or an e-mail address, not {value!r}")


def _is_web_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not any(c.isspace() for c in text)


def _check_attachment_type(value: Any) -> None:
    if value not in ATTACHMENT_TYPES:
        raise CellError(
            "bad_attachment_type", f"attachment_type is one of {', '.join(ATTACHMENT_TYPES)}, not {value!r}"
        )


def _check_text(name: str) -> Callable[[Any], None]:
    def check(value: Any) -> None:
        if not isinstance(value, str) or not value:
            raise CellError(f"bad_{name}", f"{name} is a text, not {value!r}")

    return check


def _check_metadata(value: Any) -> None:
    if not isinstance(value, dict):
        raise CellError("bad_metadata", f"metadata is an object of keys and values, not {value!r}")


def is_local_file(value: Any) -> bool:
    """Whether an attachment looks like the name of a file of this machine."""
    if not isinstance(value, str) or value.startswith(("https://", "http://", "s3://", "gs://")):
        return False
    return bool(_LOCAL.match(value) or ("://" not in value and _FILE_NAME.fullmatch(value)))


def _check_attachment(value: Any) -> None:
    """Refuse a path on this machine: the service takes the task, and fails it hours later."""
    if not is_local_file(value):
        return
    raise CellError(
        "local_file",
        f"{value!r} is a file name on this machine, which the service cannot fetch; submit with upload_files=True, "
        "or put the file where it can be fetched (rf.files.upload, https, s3, gs) and use that address",
        parameter="attachment",
    )


#: What a value of a common field must be.
CHECKS: Final[dict[str, Callable[[Any], None]]] = {
    "priority": _check_priority,
    "tags": _check_tags,
    "callback_url": _check_callback,
    "attachment_type": _check_attachment_type,
    "instruction": _check_text("instruction"),
    "project": _check_text("project"),
    "batch": _check_text("batch"),
    "metadata": _check_metadata,
}
