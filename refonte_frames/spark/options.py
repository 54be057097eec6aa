"""Options of a data source are texts: here they become arguments, each checked, and unknown ones are refused. Pure."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from refonte_frames.errors import ConfigError, InputError
from refonte_frames.shares import check_rate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ReadOptions", "WriteOptions", "read_options", "refuse_keys", "write_options"]

#: Texts that would be a key under these names; they would stand in plans, event logs and the UI.
_KEY_NAMES: Final = ("api_key", "apikey", "key", "refonte_api_key", "token", "password")
_FILTERS_AS_TEXT: Final = (
    *("project", "batch", "type", "status"),
    *("created_after", "created_before", "completed_after", "completed_before", "updated_after", "updated_before"),
)
_FILTERS_AS_LISTS: Final = (
    "customer_review_status",
    "tags",
    "unique_id",
    "task_ids",
    "quality_task_ids",
    "labeler_emails",
)
_FLAGS: Final = ("include_attachment_url", "detailed")
_SHARED: Final = ("base_url", "requests_per_sec", "at_once")


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What `spark.read.format("refonte")` was told.

    Attributes
    ----------
    table : str
        Which table is read.
    filters : dict
        Arguments of `refonte_frames.portions.plan`.
    columns : tuple of str or None
        The columns that are wanted; None for all.
    rows : int
        Tasks that a partition holds at most.
    pushdown : bool
        Whether filters of the query are handed to the service.
    lag_secs : int or None
        How old a change is before a stream brings it.
    """

    table: str = "tasks"
    filters: dict[str, Any] = field(default_factory=dict)
    columns: tuple[str, ...] | None = None
    rows: int = 25_000
    requests_per_sec: float | None = None
    at_once: int | None = None
    base_url: str | None = None
    pushdown: bool = False
    lag_secs: int | None = None


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """What `df.write.format("refonte")` was told.

    Attributes
    ----------
    path : str
        Where the receipts go: a folder, or a URI that pyarrow knows, that all executors can reach.
    arguments : dict
        Of `refonte_frames.submit`.
    finalize : bool
        Whether the batch is finalized once every row has its task.
    at_once : int or None
        How many partitions are sent at the same time.
    max_workers : int
        Requests under way at once from each of them.
    """

    path: str
    arguments: dict[str, Any]
    finalize: bool = False
    requests_per_sec: float | None = None
    at_once: int | None = None
    base_url: str | None = None
    max_workers: int = 4


def refuse_keys(options: Mapping[str, str]) -> None:
    """Refuse an API key among the options, without repeating it.

    Raises
    ------
    ConfigError
        With where the key belongs.
    """
    for name in options:
        if name.lower() in _KEY_NAMES:
            raise ConfigError(
                f"The option {name!r} is refused: options show in plans, in the UI and in event logs. Set "
                "REFONTE_API_KEY in the environment of the driver and of the executors."
            )


def read_options(options: Mapping[str, str]) -> ReadOptions:
    """Read the options of a read.

    Raises
    ------
    InputError, ConfigError
        For an unknown option or an unusable value.

    Examples
    --------
    >>> read_options({"table": "audits", "project": "kittens", "tags": '["a", "b"]', "rows_per_partition": "5000"})
    ReadOptions(table='audits', filters={'project': 'kittens', 'tags': ['a', 'b']}, columns=None, rows=5000, \
requests_per_sec=None, at_once=None, base_url=None, pushdown=False, lag_secs=None)

    >>> read_options({"projct": "kittens"})
    Traceback (most recent call last):
    refonte_frames.errors.InputError: There is no option 'projct'. Did you mean project?
    """
    refuse_keys(options)
    readers: dict[str, Callable[[str, str], Any]] = {
        **dict.fromkeys(("table", *_FILTERS_AS_TEXT), _text),
        **dict.fromkeys(("columns", *_FILTERS_AS_LISTS), _texts),
        **dict.fromkeys((*_FLAGS, "pushdown"), _flag),
        **dict.fromkeys(("rows_per_partition", "lag_secs"), _integer),
        **_READERS_OF_SHARED,
    }
    given = _given(options, readers)
    shared = _shared(given)
    columns = given.pop("columns", None)
    return ReadOptions(
        table=given.pop("table", "tasks"),
        columns=None if columns is None else tuple(columns),
        rows=given.pop("rows_per_partition", 25_000),
        pushdown=given.pop("pushdown", False),
        lag_secs=given.pop("lag_secs", None),
        filters={name: value for name, value in given.items() if value is not False},
        **shared,
    )


def write_options(options: Mapping[str, str]) -> WriteOptions:
    """Read the options of a write.

    Raises
    ------
    InputError, ConfigError
        For an unknown option, an unusable value, or what cannot be kept where rows are spread over partitions.

    Examples
    --------
    >>> write_options({"path": "receipts", "type": "categorization", "columns": '{"attachment": "text"}'}).arguments
    {'type': 'categorization', 'columns': {'attachment': 'text'}, 'duplicates': 'share'}

    >>> write_options({"path": "receipts", "type": "categorization", "unique_id": "none"})
    Traceback (most recent call last):
    refonte_frames.errors.InputError: Without unique_ids a task that Spark repeats would double its rows: ...
    """
    refuse_keys(options)
    readers: dict[str, Callable[[str, str], Any]] = {
        **dict.fromkeys(("path", "type", "project", "batch", "unique_id", "duplicates", "group_by"), _text),
        **dict.fromkeys(("columns", "params"), _object),
        "metadata": _json_or_text,
        "resubmit": _texts,
        **dict.fromkeys(("chunk_rows", "max_workers"), _integer),
        **dict.fromkeys(("finalize", "clear_unique_id_on_error"), _flag),
        **_READERS_OF_SHARED,
    }
    given = _given(options, readers)
    _refuse_what_partitions_cannot_keep(given)
    shared = _shared(given)
    if not given.get("path"):
        raise InputError("Where shall the receipts go? Name a folder that all executors can reach: .save('…').")
    if given.get("finalize") and not given.get("batch"):
        raise InputError("finalize=true finalizes the batch that all rows go to: name it, .option('batch', '…').")
    more = _taken(given, ("path", "finalize", "max_workers"))
    return WriteOptions(arguments={**given, "duplicates": "share"}, **more, **shared)


def _refuse_what_partitions_cannot_keep(given: Mapping[str, Any]) -> None:
    if given.get("unique_id", "auto").lower() in ("none", "null", ""):
        raise InputError(
            "Without unique_ids a task that Spark repeats would double its rows: leave unique_id out, which makes ids "
            "of the content, or name a column."
        )
    if given.get("duplicates", "share") != "share":
        raise InputError(
            "Equal rows share one task here (duplicates='share'): no partition sees the rows of another. Make them "
            "differ, by a column that feeds a parameter or by ids of your own, or drop them: df.dropDuplicates([…])."
        )
    if "group_by" in given:
        raise InputError(
            "group_by needs all rows of a group in one place: gather them into one row with an array first, "
            "df.groupBy('…').agg(F.collect_list('…').alias('attachments'))."
        )


def _given(options: Mapping[str, str], readers: Mapping[str, Callable[[str, str], Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, text in options.items():
        reader = readers.get(name.lower())
        if reader is None:
            near = difflib.get_close_matches(name.lower(), readers, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"There are {', '.join(sorted(readers))}."
            raise InputError(f"There is no option {name!r}. {hint}")
        found[name.lower()] = reader(name, text)
    return found


def _shared(given: dict[str, Any]) -> dict[str, Any]:
    """Take out what all processes have in common, and check that a rate can be divided."""
    shared = _taken(given, _SHARED)
    check_rate(shared.get("requests_per_sec"), shared.get("at_once"))
    if "requests_per_sec" in shared and "at_once" not in shared:
        raise InputError(
            "requests_per_sec is divided among the partitions that are worked on at the same time, and nobody but you "
            "knows how many that are: say so, .option('at_once', <cores of all executors>)."
        )
    return shared


def _taken(given: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Take some of the options out."""
    return {name: given.pop(name) for name in names if name in given}


def _text(name: str, text: str) -> str:
    del name
    return text


def _texts(name: str, text: str) -> list[str]:
    """Read a list: JSON, or one text, or several with commas between them."""
    if not text.lstrip().startswith("["):
        return [each.strip() for each in text.split(",") if each.strip()]
    value = _json(name, text)
    if not all(isinstance(each, str) for each in value):
        raise InputError(f'The option {name} is a JSON list of texts, such as ["a", "b"], not {text!r}.')
    return list(value)


def _object(name: str, text: str) -> dict[str, Any]:
    value = _json(name, text)
    if not isinstance(value, dict):
        raise InputError(f"The option {name} is a JSON object: .option({name!r}, json.dumps({{…}})), not {text!r}.")
    return value


def _json_or_text(name: str, text: str) -> Any:
    return _json(name, text) if text.lstrip()[:1] in ("[", "{") else text


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise InputError(f"The option {name} is JSON, json.dumps(…) writes it, and this is none: {text!r}.") from None


def _flag(name: str, text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise InputError(f"The option {name} is true or false, not {text!r}.")
    return text.lower() == "true"


def _integer(name: str, text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise InputError(f"The option {name} is an integer of at least 1, not {text!r}.")
    return value


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"The option {name} is a number, not {text!r}.") from None


_READERS_OF_SHARED: Final[dict[str, Callable[[str, str], Any]]] = {
    "base_url": _text,
    "requests_per_sec": _number,
    "at_once": _integer,
}
