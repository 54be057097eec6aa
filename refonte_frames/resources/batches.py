"""Batches: create, look up, count, finalize, prioritize, describe. Documented calls only (contract 2.2)."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final, overload

import pandas as pd
import pyarrow as pa

from refonte_frames import api
from refonte_frames.client import Client, resolve_client
from refonte_frames.errors import ApiError, BadRequest, Conflict, InputError, NotFound
from refonte_frames.resources.asking import as_sent, ask, checked_callback, checked_name, post, with_remedy
from refonte_frames.resources.named import Named, by_name
from refonte_frames.resources.objects import taken
from refonte_frames.transport.calls import Call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["create", "finalize", "get", "prioritize", "set_metadata", "status"]

#: Parameters of `create` that a frame may bring as columns of the same name.
_FROM_COLUMNS: Final = ("project", "callback", "calibration_batch", "self_label_batch", "metadata")
#: In the order of the table of batches.
_COUNTS: Final = ("tasks_pending", "tasks_completed", "tasks_error", "tasks_canceled")
_TEXT: Final = pd.ArrowDtype(pa.string())
_INT: Final = pd.ArrowDtype(pa.int64())


@overload
def create(
    name: str,
    *,
    project: str | None = ...,
    callback: str | None = ...,
    calibration_batch: bool | None = ...,
    self_label_batch: bool | None = ...,
    metadata: Mapping[str, Any] | None = ...,
    exist_ok: bool = ...,
    client: Client | None = ...,
) -> dict[str, Any]: ...
@overload
def create(
    name: pd.DataFrame,
    *,
    project: str | None = ...,
    callback: str | None = ...,
    calibration_batch: bool | None = ...,
    self_label_batch: bool | None = ...,
    metadata: Mapping[str, Any] | None = ...,
    exist_ok: bool = ...,
    client: Client | None = ...,
) -> pd.DataFrame: ...
def create(
    name: str | pd.DataFrame,
    *,
    project: str | None = None,
    callback: str | None = None,
    calibration_batch: bool | None = None,
    self_label_batch: bool | None = None,
    metadata: Mapping[str, Any] | None = None,
    exist_ok: bool = False,
    client: Client | None = None,
) -> dict[str, Any] | pd.DataFrame:
    """Create a batch, or one for each name in a frame: a bundle of tasks that is worked on and counted together.

    One request per batch; one more where the name is taken and `exist_ok` is set. The batches of a frame are made one
    after the other in the order of its rows, since older ones are worked on first.

    Parameters
    ----------
    name : str or DataFrame
        Unique over all your batches, whatever their project. A frame has the names in a column ``batch``, or ``name``;
        columns called ``project``, ``callback``, ``calibration_batch``, ``self_label_batch`` or ``metadata`` (mappings)
        give these parameters where they are not given by keyword. A name may repeat in the frame with the same
        settings.
    project : str
        The project whose tasks it takes. Required, by keyword or column.
    callback : str, optional
        URL or e-mail address that is told when the batch is complete.
    calibration_batch, self_label_batch : bool, optional
        Kinds of batch in Rapid projects; other projects ignore them.
    metadata : mapping, optional
        Whatever you want to find again at the batch.
    exist_ok : bool
        True takes the batch that has this name already, if it is of the same project. Its callback and metadata
        are left as they are; if they differ from what is asked for, a warning says so.
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    dict or DataFrame
        For a name: the batch as the service tells it, with ``project``, ``name``, ``callback``, ``status``
        (``in_progress`` in Enterprise projects, ``staging`` in others), ``created_at``, ``metadata``. For a frame: its
        rows, index and columns, followed by ``status``, ``outcome`` (``created | existing | failed``), ``error_code``
        and ``error_message``; columns of these names are replaced.

    Raises
    ------
    InputError
        An argument or row cannot be right; nothing was sent.
    BadRequest
        There is no such project for this key. (In a frame, this and the next become the row's ``failed``.)
    Conflict
        The name is taken (with `exist_ok`: in another project).

    Notes
    -----
    Contract 2.2. Where the answer to a creation is lost, a second call with ``exist_ok=True`` settles it.

    Examples
    --------
    >>> _ = rf.projects.create("kittens", type="imageannotation")
    >>> rf.batches.create("kittens_2020-07", project="kittens")["status"]
    'in_progress'

    >>> rf.batches.create("kittens_2020-07", project="kittens")
    Traceback (most recent call last):
    refonte_frames.errors.Conflict: There is a batch 'kittens_2020-07' already...
    """
    given = {
        "project": project,
        "callback": callback,
        "calibration_batch": calibration_batch,
        "self_label_batch": self_label_batch,
        "metadata": metadata,
    }
    if isinstance(name, str):
        body = _body({"name": name, **given})
        return _create_one(body, exist_ok=exist_ok, client=resolve_client(client))[1]
    named = Named.of(name, kind="batch")
    bodies = _bodies(named, given)
    client = resolve_client(client)

    def one(batch: str) -> dict[str, Any]:
        outcome, made = _create_one(bodies[batch], exist_ok=exist_ok, client=client)
        return {"status": made.get("status"), "outcome": outcome}

    results = {batch: _tried(one, batch) for batch in named.distinct}
    return named.beside(results, ("status", "outcome", "error_code", "error_message"))


def get(name: str, *, client: Client | None = None) -> dict[str, Any]:
    """Look a batch up by its name.

    Parameters
    ----------
    name : str
        Name of the batch.
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    dict
        The batch as the service tells it: ``project``, ``name``, ``callback``, ``status``, ``created_at``,
        ``metadata``.

    Raises
    ------
    NotFound
        No batch has this name in the world of this key.

    Notes
    -----
    One request. Contract 2.2.

    Examples
    --------
    >>> _ = rf.projects.create("kittens", type="imageannotation")
    >>> _ = rf.batches.create("kittens_2020-07", project="kittens")
    >>> rf.batches.get("kittens_2020-07")["project"]
    'kittens'

    >>> rf.batches.get("kittens_2020-06")
    Traceback (most recent call last):
    refonte_frames.errors.NotFound: There is no batch 'kittens_2020-06' for this key...
    """
    return _asked(Call.get("batches", checked_name(name, "batch")), name, resolve_client(client))


def status(names: str | Iterable[str] | pd.DataFrame, *, client: Client | None = None) -> pd.DataFrame:
    """Count the tasks of batches by their status.

    Parameters
    ----------
    names : str, iterable of str, Series or DataFrame
        Names of batches; a frame has them in a column ``batch``, or ``name``. A name may repeat and is asked for once.
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    pandas.DataFrame
        One row per name given, in that order (a Series' or frame's index and columns are kept): ``batch``, ``status``
        (``staging | in_progress | completed``), ``tasks_pending``, ``tasks_completed``, ``tasks_error``,
        ``tasks_canceled`` (0 where the service leaves a count out, null where it sends something else).
        Columns of these names are replaced.

    Raises
    ------
    NotFound
        One of the names is no batch in the world of this key.

    Notes
    -----
    One request per distinct name, several at a time. Contract 2.2; counts are read with and without the prefix
    ``tasks_``. In a batch that is still in staging, pending tasks wait for `finalize`, not for a labeler.

    Examples
    --------
    >>> _ = rf.projects.create("kittens", type="imageannotation")
    >>> _ = rf.batches.create("kittens_2020-07", project="kittens")
    >>> rf.batches.status("kittens_2020-07")[["batch", "status", "tasks_pending"]]
                 batch       status  tasks_pending
    0  kittens_2020-07  in_progress              0

    >>> rf.batches.status(["kittens_2020-07", "kittens_2020-06"])
    Traceback (most recent call last):
    refonte_frames.errors.NotFound: There is no batch 'kittens_2020-06' for this key...
    """
    named = Named.of(names, kind="batch")
    client = resolve_client(client)
    answers = by_name(
        named.distinct, lambda name: _counted(_asked(Call.get("batches", name, "status"), name, client)), client
    )
    return named.beside(answers, ("status", *_COUNTS)).astype({"status": _TEXT, **dict.fromkeys(_COUNTS, _INT)})


@overload
def finalize(  # type: ignore[overload-overlap] # a str is an iterable of str too; it is read as one name
    names: str, *, dry_run: bool = ..., client: Client | None = ...
) -> dict[str, Any]: ...
@overload
def finalize(
    names: Iterable[str] | pd.DataFrame, *, dry_run: bool = ..., client: Client | None = ...
) -> pd.DataFrame: ...
def finalize(
    names: str | Iterable[str] | pd.DataFrame, *, dry_run: bool = False, client: Client | None = None
) -> dict[str, Any] | pd.DataFrame:
    """Close batches of Rapid and Studio projects for new tasks, so that work on them begins.

    In Enterprise projects, and a second time, this changes nothing.

    Parameters
    ----------
    names : str, iterable of str, Series or DataFrame
        Names of batches; a frame has them in a column ``batch``, or ``name``.
    dry_run : bool
        Change nothing: only look where the batches stand. ``status`` is then the present one.
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    dict or DataFrame
        For one name: the batch as it is now. For several: one row per name given (a Series' or frame's index and
        columns are kept), with ``batch``, ``status`` (as it is now), ``outcome`` (``changed | unchanged | failed``),
        ``error_code``, ``error_message``.

    Raises
    ------
    NotFound
        No batch has this name in the world of this key. (With several names it becomes the row's ``failed``.)

    Notes
    -----
    One request for one name. For several: one request per distinct name to see where it stands, and one more for
    those in staging. Contract 2.2.

    Examples
    --------
    >>> _ = rf.projects.create("kittens", type="imageannotation")
    >>> _ = rf.batches.create("kittens_2020-07", project="kittens")
    >>> rf.batches.finalize("kittens_2020-07")["status"]
    'in_progress'

    >>> rf.batches.finalize("kittens_2020-06")
    Traceback (most recent call last):
    refonte_frames.errors.NotFound: There is no batch 'kittens_2020-06' for this key...
    """
    client = resolve_client(client)
    if isinstance(names, str):
        return get(names, client=client) if dry_run else _finalize_one(checked_name(names, "batch"), client)

    def one(name: str) -> dict[str, Any]:
        found = get(name, client=client)
        if found.get("status") != "staging":
            return {"status": found.get("status"), "outcome": "unchanged"}
        changed = found if dry_run else _finalize_one(name, client)
        return {"status": changed.get("status"), "outcome": "changed"}

    named = Named.of(names, kind="batch")
    return named.beside(_results(named, one, client), ("status", "outcome", "error_code", "error_message"))


@overload
def prioritize(  # type: ignore[overload-overlap] # a str is an iterable of str too; it is read as one name
    names: str, priority: int, *, dry_run: bool = ..., client: Client | None = ...
) -> dict[str, Any]: ...
@overload
def prioritize(
    names: Iterable[str] | pd.DataFrame, priority: int, *, dry_run: bool = ..., client: Client | None = ...
) -> pd.DataFrame: ...
def prioritize(
    names: str | Iterable[str] | pd.DataFrame, priority: int, *, dry_run: bool = False, client: Client | None = None
) -> dict[str, Any] | pd.DataFrame:
    """Say how early the tasks of batches that nobody has begun are to be picked.

    Parameters
    ----------
    names : str, iterable of str, Series or DataFrame
        Names of batches; a frame has them in a column ``batch``, or ``name``.
    priority : int
        10 (last) to 30 (first).
    dry_run : bool
        Change nothing: only look whether the batches are there. For one name the batch is returned.
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    dict or DataFrame
        For one name: the service's answer. For several: one row per name given (a Series' or frame's index and
        columns are kept), with ``batch``, ``outcome`` (``changed | failed``; the service does not say whether the
        priority was another one before), ``error_code``, ``error_message``.

    Raises
    ------
    InputError
        The priority is out of range; nothing was sent.
    NotFound
        No batch has this name in the world of this key. (With several names it becomes the row's ``failed``.)

    Notes
    -----
    One request per distinct name; the same call again does no harm. Contract 2.2.

    Examples
    --------
    >>> _ = rf.projects.create("kittens", type="imageannotation")
    >>> _ = rf.batches.create("kittens_2020-07", project="kittens")
    >>> rf.batches.prioritize("kittens_2020-07", 30)
    {'result': 'success'}

    >>> rf.batches.prioritize("kittens_2020-07", 5)
    Traceback (most recent call last):
    refonte_frames.errors.InputError: priority is a whole number from 10 (last) to 30 (first), not 5.
    """
    body = {"priority": _checked_priority(priority)}
    client = resolve_client(client)

    if isinstance(names, str):
        return get(names, client=client) if dry_run else _prioritize_one(checked_name(names, "batch"), body, client)

    def one(name: str) -> dict[str, Any]:
        if dry_run:
            get(name, client=client)
        else:
            _prioritize_one(name, body, client)
        return {"outcome": "changed"}

    named = Named.of(names, kind="batch")
    return named.beside(_results(named, one, client), ("outcome", "error_code", "error_message"))


def set_metadata(name: str, metadata: Mapping[str, Any], *, client: Client | None = None) -> dict[str, Any]:
    """Replace the metadata of a batch.

    Parameters
    ----------
    name : str
        Name of the batch.
    metadata : mapping
        All of the metadata from now on; an empty one clears it.
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    dict
        The batch as it is now.

    Raises
    ------
    InputError
        `metadata` is no mapping or JSON cannot hold it; nothing was sent.
    NotFound
        No batch has this name in the world of this key.

    Notes
    -----
    One request; the same call again does no harm. Contract 2.2.

    Examples
    --------
    >>> _ = rf.projects.create("kittens", type="imageannotation")
    >>> _ = rf.batches.create("kittens_2020-07", project="kittens")
    >>> rf.batches.set_metadata("kittens_2020-07", {"owner": "cat team"})["metadata"]
    {'owner': 'cat team'}

    >>> rf.batches.set_metadata("kittens_2020-07", "cat team")
    Traceback (most recent call last):
    refonte_frames.errors.InputError: metadata is a mapping such as {'owner': 'cat team'}, not 'cat team'.
    """
    body = _checked_metadata(metadata)
    call = post("batches", checked_name(name, "batch"), "setMetadata", body=body, is_repeatable=True)
    return _asked(call, name, resolve_client(client))


def _bodies(named: Named, given: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Make the request of each distinct name from its rows and the keywords; a keyword speaks for all rows."""
    columns = {key: named.column(key) for key in _FROM_COLUMNS if given[key] is None}
    bodies: dict[str, dict[str, Any]] = {}
    for at, name in enumerate(named.names):
        cells = {key: _cell(column[at]) for key, column in columns.items() if column is not None}
        body = _body({"name": name, **given, **cells})
        if bodies.setdefault(name, body) != body:
            raise InputError(
                f"The batch {name!r} stands in the frame twice with different settings (again in row {at})."
            )
    return bodies


def _cell(value: Any) -> Any:
    """Take a cell of a frame; null of any kind means not given."""
    is_null = pd.api.types.is_scalar(value) and pd.isna(value)
    return None if is_null else value


def _body(settings: dict[str, Any]) -> dict[str, Any]:
    """Check the settings of one batch and keep those that are given."""
    checked_name(settings["name"], "batch")
    if settings["project"] is None:
        raise InputError(f"Batch {settings['name']!r} needs a project: project='…', or a column of this name.")
    checked_name(settings["project"], "project")
    if settings["callback"] is not None:
        checked_callback(settings["callback"])
    if settings["metadata"] is not None:
        _checked_metadata(settings["metadata"])
    if settings["calibration_batch"] and settings["self_label_batch"]:
        raise InputError(f"Batch {settings['name']!r} is a calibration batch or a self-label batch, not both.")
    return {key: value for key, value in settings.items() if value is not None}


def _create_one(body: dict[str, Any], *, exist_ok: bool, client: Client) -> tuple[str, dict[str, Any]]:
    """Create one batch; return ``created`` or ``existing``, and the batch."""
    name = body["name"]
    try:
        return "created", ask(client, post("batches", body=body, is_repeatable=exist_ok), dict[str, Any])
    except Conflict as error:
        if not exist_ok:
            raise with_remedy(
                error,
                f"There is a batch {name!r} already (names are unique over all projects): pass exist_ok=True to use "
                "it, or take another name.",
            ) from error
        return "existing", _same_project(get(name, client=client), body, error)
    except BadRequest as error:
        raise with_remedy(
            error,
            f"The service refused batch {name!r} for project {body['project']!r}: {error.error or 'no reason given'}. "
            "rf.projects.list() shows the projects of this key (test and live keys share nothing).",
        ) from error


def _same_project(present: dict[str, Any], wanted: dict[str, Any], error: Conflict) -> dict[str, Any]:
    """Accept a batch that exists, if it is of the project wanted; say so when it differs otherwise."""
    name = wanted["name"]
    if present.get("project") != wanted["project"]:
        raise with_remedy(
            error,
            f"There is a batch {name!r} already, but of project {present.get('project')!r}, not {wanted['project']!r}: "
            "take another name (names of batches are unique over all projects).",
        ) from error
    differing = [key for key in ("callback", "metadata") if key in wanted and present.get(key) != as_sent(wanted[key])]
    if differing:
        warnings.warn(
            f"Batch {name!r} was there before, with another {' and '.join(differing)}, left as it is.", stacklevel=4
        )
    return present


def _finalize_one(name: str, client: Client) -> dict[str, Any]:
    return _asked(post("batches", name, "finalize", is_repeatable=True), name, client)


def _prioritize_one(name: str, body: dict[str, Any], client: Client) -> dict[str, Any]:
    return _asked(post("batches", name, "prioritize", body=body, is_repeatable=True), name, client)


def _asked(call: Call, name: str, client: Client) -> dict[str, Any]:
    """Ask about a batch by name; a 404 says which name it was."""
    try:
        return ask(client, call, dict[str, Any])
    except NotFound as error:
        raise with_remedy(
            error, f"There is no batch {name!r} for this key (test and live keys share nothing): check the name."
        ) from error


def _results(named: Named, one: Callable[[str], dict[str, Any]], client: Client) -> dict[str, dict[str, Any]]:
    """Do something to each batch; what the service refuses about one of them becomes that one's ``failed``."""
    return by_name(named.distinct, lambda name: _tried(one, name), client)


def _tried(one: Callable[[str], dict[str, Any]], name: str) -> dict[str, Any]:
    try:
        return one(name)
    except (BadRequest, NotFound, Conflict) as error:
        return {"outcome": "failed", "error_code": _code(error), "error_message": error.message}


def _code(error: ApiError) -> str:
    return {400: "bad_request", 404: "not_found", 409: "conflict"}[error.status_code]


def _counted(answer: dict[str, Any]) -> dict[str, Any]:
    """Read counts in either spelling; the service leaves zeros out."""
    given = {name: answer.get(name, answer.get(name.removeprefix("tasks_"), 0)) for name in _COUNTS}
    return {"status": taken(dict(answer), "status", str), **{name: taken(given, name, int) for name in _COUNTS}}


def _checked_priority(priority: Any) -> int:
    is_whole = not isinstance(priority, bool) and hasattr(priority, "__index__")
    if not is_whole or not api.PRIORITY_MIN <= priority <= api.PRIORITY_MAX:
        raise InputError(
            f"priority is a whole number from {api.PRIORITY_MIN} (last) to {api.PRIORITY_MAX} (first), "
            f"not {priority!r}."
        )
    return int(priority)


def _checked_metadata(metadata: Any) -> dict[str, Any]:
    if not hasattr(metadata, "keys"):
        raise InputError(f"metadata is a mapping such as {{'owner': 'cat team'}}, not {metadata!r}.")
    return dict(metadata)
