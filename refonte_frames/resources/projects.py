"""Projects: create, look up, list, and set the parameters that tasks inherit. Documented calls only (contract 2.1)."""

from __future__ import annotations

import builtins
import difflib
import json
import warnings
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from refonte_frames import api
from refonte_frames.client import Client, resolve_client
from refonte_frames.errors import ApiError, BadRequest, Conflict, InputError, NotFound
from refonte_frames.resources.asking import as_sent, ask, checked_name, post, with_remedy
from refonte_frames.resources.objects import extra_of, frame_of_rows, taken, taken_stamp
from refonte_frames.transport.calls import Call

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

__all__ = ["create", "get", "list", "set_params", "update_pipeline"]

#: Contract 2.1.
_PIPELINES: Final = ("standard_task", "consensus_task")
_HISTORY_ONLY: Final = ("version", "created_at")
#: The columns of `list`.
_SCHEMA: Final = pa.schema(
    {
        "project": pa.string(),
        "type": pa.string(),
        "created_at": pa.timestamp("us", tz="UTC"),
        "archived": pa.bool_(),
        "pipeline": pa.string(),
        "consensus_attempts": pa.int64(),
        "version": pa.int64(),
        "instruction": pa.string(),
        "params_json": pa.string(),
        "extra_json": pa.string(),
    }
)


def create(  # noqa: PLR0913 - the documented parameters, all but the name by keyword
    name: str,
    *,
    type: str,
    params: Mapping[str, Any] | None = None,
    rapid: bool = False,
    studio: bool = False,
    pipeline: str | None = None,
    consensus_attempts: int | None = None,
    exist_ok: bool = False,
    client: Client | None = None,
) -> dict[str, Any]:
    """Create a project: a name for tasks of one type, with parameters that they inherit.

    One request; one more when the name is taken and `exist_ok` is set.

    Parameters
    ----------
    name : str
        Unique among your projects. It may hold any character.
    type : str
        The only task type this project takes, such as ``"imageannotation"``.
    params : mapping, optional
        Fills what a task leaves out; the task wins, except that this ``instruction`` is appended to the task's own.
    rapid, studio : bool
        The workflow; neither means Enterprise. Batches of Rapid and Studio projects start in staging and are worked
        on after `rf.batches.finalize`.
    pipeline : {"standard_task", "consensus_task"}, optional
        Studio projects only.
    consensus_attempts : int, optional
        Labelers per task, at least 2; for the pipeline ``"consensus_task"``.
    exist_ok : bool
        True returns the project that has this name already, if it takes the same task type. Its params are left as
        they are; if they differ from `params`, a warning says so.
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    dict
        The project as the service tells it: ``name``, ``type``, ``created_at``, ``param_history`` (oldest first)
        and whatever else it sends.

    Raises
    ------
    InputError
        An argument cannot be right; nothing was sent.
    Conflict
        The name is taken (with `exist_ok`: by a project of another type).
    NotEnabled
        The task type is not enabled for the account.

    Notes
    -----
    Contract 2.1. Where the answer to a creation is lost, a second call with ``exist_ok=True`` settles it.

    Examples
    --------
    >>> rf.projects.create("kittens", type="imageannotation", params={"instruction": "Box them"})["type"]
    'imageannotation'
    >>> rf.projects.create("kittens", type="imageannotation", exist_ok=True)["name"]
    'kittens'

    >>> rf.projects.create("puppies", type="imagannotation")
    Traceback (most recent call last):
    refonte_frames.errors.InputError: 'imagannotation' is no documented task type; did you mean 'imageannotation'?
    """
    body: dict[str, Any] = {"type": _checked_type(type), "name": checked_name(name, "project")}
    _check_workflow(rapid=rapid, studio=studio, pipeline=pipeline, consensus_attempts=consensus_attempts)
    optional = {"params": params, "pipeline": pipeline, "consensus_attempts": consensus_attempts}
    body |= {key: value for key, value in optional.items() if value is not None}
    body |= {flag: True for flag, is_set in (("rapid", rapid), ("studio", studio)) if is_set}
    client = resolve_client(client)
    try:
        return ask(client, post("projects", body=body, is_repeatable=exist_ok), dict[str, Any])
    except Conflict as error:
        if not exist_ok:
            raise with_remedy(
                error, f"There is a project {name!r} already: pass exist_ok=True to use it, or take another name."
            ) from error
        return _same_kind(get(name, client=client), body, error)


def get(name: str, *, client: Client | None = None) -> dict[str, Any]:
    """Look a project up by its name.

    Parameters
    ----------
    name : str
        Name of the project.
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    dict
        The project as the service tells it; ``["param_history"][-1]`` holds the parameters in force.

    Raises
    ------
    NotFound
        No project has this name in the world of this key.

    Notes
    -----
    One request. Contract 2.1.

    Examples
    --------
    >>> _ = rf.projects.create("kittens", type="imageannotation", params={"instruction": "Box them"})
    >>> rf.projects.get("kittens")["param_history"][-1]["instruction"]
    'Box them'

    >>> rf.projects.get("puppies")
    Traceback (most recent call last):
    refonte_frames.errors.NotFound: There is no project 'puppies' for this key (test and live keys share nothing)...
    """
    client = resolve_client(client)
    try:
        return ask(client, Call.get("projects", checked_name(name, "project")), dict[str, Any])
    except NotFound as error:
        raise _unknown(error, name) from error


def list(*, archived: bool | None = None, client: Client | None = None) -> pd.DataFrame:  # noqa: A001 - rf.projects.list
    """List your projects as a frame.

    Parameters
    ----------
    archived : bool, optional
        Only those that are archived, or only those that are not. Default: what the service lists by itself.
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    pandas.DataFrame
        One row per project, in the service's order (newest first), with Arrow dtypes: ``project``, ``type``,
        ``created_at`` (UTC), ``archived``, ``pipeline``, ``consensus_attempts``, ``version`` (of the parameters in
        force, 0 for the first), ``instruction``, ``params_json`` (those parameters without instruction and version)
        and ``extra_json`` (whatever else the service sent). Without projects: the same columns, no rows.

    Raises
    ------
    InputError
        `archived` is something else; nothing was sent.

    Notes
    -----
    One request; the service does not page this list. Contract 2.1.

    Examples
    --------
    >>> _ = rf.projects.create("kittens", type="imageannotation", params={"instruction": "Box them"})
    >>> rf.projects.list()[["project", "type", "version"]]
       project             type  version
    0  kittens  imageannotation        0

    >>> rf.projects.list(archived="no")
    Traceback (most recent call last):
    refonte_frames.errors.InputError: archived is True, False or None, not 'no'.
    """
    if not isinstance(archived, bool | None):
        raise InputError(f"archived is True, False or None, not {archived!r}.")
    query = () if archived is None else (("archived", str(archived).lower()),)
    found = ask(resolve_client(client), Call.get("projects", query=query), builtins.list[dict[str, Any]])
    return frame_of_rows(map(_row, found), _SCHEMA)


def set_params(
    name: str, params: Mapping[str, Any], *, patch: bool = False, client: Client | None = None
) -> dict[str, Any]:
    """Set the parameters that tasks created from now on inherit.

    Parameters
    ----------
    name : str
        Name of the project.
    params : mapping
        The parameters.
    patch : bool
        True keeps the present parameters that `params` does not name; False replaces them all.
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    dict
        The project, with one more entry in ``param_history``.

    Raises
    ------
    InputError
        `params` is no mapping or JSON cannot hold it; nothing was sent.
    NotFound
        No project has this name in the world of this key.

    Notes
    -----
    One request, not repeated when its answer is lost: each adds a version. Contract 2.1.

    Examples
    --------
    >>> _ = rf.projects.create("kittens", type="imageannotation", params={"instruction": "Box them"})
    >>> rf.projects.set_params("kittens", {"priority": 20}, patch=True)["param_history"][-1]["priority"]
    20

    >>> rf.projects.set_params("kittens", {"patch": True})
    Traceback (most recent call last):
    refonte_frames.errors.InputError: 'patch' is no parameter of tasks but an option of this function: ...
    """
    name = checked_name(name, "project")
    if not hasattr(params, "keys"):
        raise InputError(f"params is a mapping of parameter to value, not {params!r}.")
    if "patch" in params:
        raise InputError(
            f"'patch' is no parameter of tasks but an option of this function: set_params({name!r}, {{…}}, patch=True)."
        )
    client = resolve_client(client)
    try:
        return ask(client, post("projects", name, "setParams", body={**params, "patch": patch}), dict[str, Any])
    except NotFound as error:
        raise _unknown(error, name) from error


def update_pipeline(
    name: str, pipeline: str, *, consensus_attempts: int | None = None, client: Client | None = None
) -> dict[str, Any]:
    """Set how many labelers work on each task of a Studio project.

    Parameters
    ----------
    name : str
        Name of the project.
    pipeline : {"standard_task", "consensus_task"}
        One labeler after the other, or several who work independently.
    consensus_attempts : int, optional
        Labelers per task, at least 2; for the pipeline ``"consensus_task"``.
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    dict
        The project as it is now.

    Raises
    ------
    InputError
        An argument cannot be right; nothing was sent.
    NotFound
        No project has this name in the world of this key.
    BadRequest
        The project is none of Studio's.

    Notes
    -----
    One request; the documentation knows it by two paths, of which the second is tried where the first is not found.
    The same call again does no harm. Contract 4.6.

    Examples
    --------
    >>> _ = rf.projects.create("kittens", type="imageannotation", studio=True)
    >>> rf.projects.update_pipeline("kittens", "consensus_task", consensus_attempts=3)["consensus_attempts"]
    3

    >>> rf.projects.update_pipeline("kittens", "standard_task", consensus_attempts=3)
    Traceback (most recent call last):
    refonte_frames.errors.InputError: consensus_attempts goes with the pipeline 'consensus_task', not 'standard_task'.
    """
    name = checked_name(name, "project")
    _check_pipeline(pipeline, consensus_attempts)
    body: dict[str, Any] = {"pipeline": pipeline}
    body |= {} if consensus_attempts is None else {"consensus_attempts": consensus_attempts}
    client = resolve_client(client)
    try:
        return _updated_pipeline(name, body, client)
    except NotFound as error:
        raise _unknown(error, name) from error
    except BadRequest as error:
        raise with_remedy(
            error,
            f"The service refused pipeline {pipeline!r} for project {name!r}: {error.error or 'no reason given'}. Only "
            "Studio projects have one: rf.projects.create(…, studio=True).",
        ) from error


def check_project(client: Client, name: str | None, task_type: str | None = None) -> None:
    """Look at the project that rows are for, before the first of them is sent; None is none to look at.

    Raises
    ------
    InputError
        There is no such project, or it takes tasks of another type.
    """
    if name is None:
        return
    try:
        found = ask(client, Call.get("projects", checked_name(name, "project")), dict[str, Any])
    except NotFound:
        raise InputError(
            f"There is no project {name!r} for this key (test and live keys share nothing); nothing was sent. "
            "rf.projects.list() shows those there are."
        ) from None
    if task_type is not None and found.get("type") not in (None, task_type):
        raise InputError(
            f"The project {name!r} takes tasks of type {found['type']!r}, not {task_type!r}; nothing was sent."
        )


def _updated_pipeline(name: str, body: dict[str, Any], client: Client) -> dict[str, Any]:
    """Ask at the one path, and where it is not known, at the other."""
    try:
        call = post("projects", name, "updatePipelineConfig", body=body, is_repeatable=True)
        return ask(client, call, dict[str, Any])
    except ApiError as error:
        if error.status_code not in (404, 405):
            raise
        call = post("studio", "projects", name, "updatePipelineConfig", body=body, is_repeatable=True)
        return ask(client, call, dict[str, Any])


def _check_pipeline(pipeline: Any, consensus_attempts: Any) -> None:
    if pipeline not in _PIPELINES:
        raise InputError(f"pipeline is one of {', '.join(_PIPELINES)}, not {pipeline!r}.")
    if consensus_attempts is None:
        return
    if pipeline != "consensus_task":
        raise InputError(f"consensus_attempts goes with the pipeline 'consensus_task', not {pipeline!r}.")
    if isinstance(consensus_attempts, bool) or not isinstance(consensus_attempts, int) or consensus_attempts < 2:
        raise InputError(f"consensus_attempts is a whole number of at least 2, not {consensus_attempts!r}.")


def _checked_type(type: Any) -> str:
    known = (*api.TASK_TYPES, *api.OTHER_TASK_TYPES)
    if type in known:
        return str(type)
    near = difflib.get_close_matches(str(type), known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"these are: {', '.join(api.TASK_TYPES)}."
    raise InputError(f"{type!r} is no documented task type; {hint}")


def _check_workflow(*, rapid: bool, studio: bool, pipeline: str | None, consensus_attempts: int | None) -> None:
    if rapid and studio:
        raise InputError("A project is either rapid or studio; drop one of the two.")
    if pipeline is not None and pipeline not in _PIPELINES:
        raise InputError(f"pipeline is one of {', '.join(_PIPELINES)}, not {pipeline!r}.")
    if pipeline is not None and not studio:
        raise InputError(f"Only Studio projects have a pipeline: pass studio=True with pipeline={pipeline!r}.")
    if consensus_attempts is not None and pipeline != "consensus_task":
        raise InputError("consensus_attempts needs studio=True and pipeline='consensus_task'.")
    is_whole = isinstance(consensus_attempts, int) and not isinstance(consensus_attempts, bool)
    if consensus_attempts is not None and (not is_whole or consensus_attempts < 2):
        raise InputError(
            f"consensus_attempts is a whole number of at least 2, not {consensus_attempts!r}: agreeing takes two."
        )


def _same_kind(present: dict[str, Any], wanted: dict[str, Any], error: Conflict) -> dict[str, Any]:
    """Accept a project that exists, if it takes the same tasks; say so when its parameters are others."""
    name = wanted["name"]
    if present.get("type") != wanted["type"]:
        raise with_remedy(
            error,
            f"There is a project {name!r} already, but for {present.get('type')!r} tasks, not {wanted['type']!r}: "
            "take another name.",
        ) from error
    if "params" in wanted and _params_of(present) != as_sent(wanted["params"]):
        warnings.warn(
            f"Project {name!r} was there before, with other params, which were left as they are; "
            f"rf.projects.set_params({name!r}, …) changes them.",
            stacklevel=3,
        )
    return present


def _params_of(project: Mapping[str, Any]) -> dict[str, Any]:
    """Take the parameters in force, without the service's own entries among them."""
    return {key: value for key, value in (_in_force(project) or {}).items() if key not in _HISTORY_ONLY}


def _in_force(project: Mapping[str, Any]) -> dict[str, Any] | None:
    """Find the newest parameters; None where there is no history, or another thing in its place."""
    history = project.get("param_history")
    newest = history[-1] if isinstance(history, builtins.list) and history else None
    return newest if isinstance(newest, dict) else None


def _unknown(error: NotFound, name: str) -> NotFound:
    return with_remedy(
        error,
        f"There is no project {name!r} for this key (test and live keys share nothing): "
        "rf.projects.list() shows those there are.",
    )


def _row(project: dict[str, Any]) -> dict[str, Any]:
    """Make a project's row; what does not fit its column goes to ``extra_json`` with what has none."""
    extra = dict(project)
    row = {
        "project": taken(extra, "name", str),
        "type": taken(extra, "type", str),
        "created_at": taken_stamp(extra, "created_at"),
        "archived": taken(extra, "archived", bool),
        "pipeline": taken(extra, "pipeline", str),
        "consensus_attempts": taken(extra, "consensus_attempts", int),
    }
    params = _in_force(extra)
    if params is not None:
        del extra["param_history"]
    params = {} if params is None else dict(params)
    params.pop("created_at", None)
    row["version"] = taken(params, "version", int)
    row["instruction"] = taken(params, "instruction", str)
    row["params_json"] = json.dumps(params, ensure_ascii=False)
    row["extra_json"] = extra_of(extra)
    return row
