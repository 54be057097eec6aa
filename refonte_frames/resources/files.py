"""Files: upload many, have many fetched, list them. A frame in, its rows with their addresses out (contract 2.4)."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from refonte_frames.client import Client, resolve_client
from refonte_frames.errors import InputError
from refonte_frames.resources.asking import as_sent
from refonte_frames.resources.assets import AssetFinder, list_assets
from refonte_frames.resources.changes import column_of
from refonte_frames.resources.file_rows import RESULT_COLUMNS, FileColumns, file_line, frame_of, local_file, remote_file
from refonte_frames.resources.named import Named
from refonte_frames.resources.objects import extra_of, frame_of_rows, taken, taken_json, taken_stamp, taken_texts
from refonte_frames.resources.projects import check_project
from refonte_frames.resources.undertakings import Undertaking, state_path
from refonte_frames.resources.uploads import FileSettler

if TYPE_CHECKING:
    import os
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    import pandas as pd

    from refonte_frames.resources.creations import Refused
    from refonte_frames.resources.sources import WantedFile

__all__ = ["import_urls", "list", "upload"]

#: The columns of `list`.
_SCHEMA: Final = pa.schema(
    {
        "attachment_url": pa.string(),
        "file_id": pa.string(),
        "display_name": pa.string(),
        "mime_type": pa.string(),
        "bytes": pa.int64(),
        "project_names": pa.list_(pa.string()),
        "reference_id": pa.string(),
        "metadata_json": pa.string(),
        "created_at": pa.timestamp("us", tz="UTC"),
        "updated_at": pa.timestamp("us", tz="UTC"),
        "extra_json": pa.string(),
    }
)


def upload(  # noqa: PLR0913 - one argument a thing the caller may want to say
    files: Any,
    *,
    project: str | None = None,
    path: Hashable = "path",
    reference_id: Hashable | None = None,
    display_name: Hashable | None = None,
    metadata: Sequence[Hashable] | Mapping[str, Hashable] | None = None,
    journal: str | os.PathLike[str] | None = None,
    progress: bool = True,
    client: Client | None = None,
) -> pd.DataFrame:
    """Upload files of this machine, each once, and return their rows with the address to use as an attachment.

    Stop it at any moment, by Ctrl-C, a crash or a power cut, and run the same line again: it goes on where it was.

    Parameters
    ----------
    files : path, iterable of paths, Series or frame
        A frame (pandas, polars, or anything with ``__arrow_c_stream__``) has the paths in the column `path`. A file
        may stand in several rows, also under several names, and is uploaded once.
    project : str, optional
        The project that the files are for. Only the files of a project can be listed, so name it if you can: an upload
        whose answer was lost is found again by listing.
    path : column
        Holds the paths.
    reference_id : column, optional
        Your own names for the files, unique over the account. Default: made of the content, so that the same bytes
        are the same file in every run and on every machine.
    display_name : column, optional
        Default: the file's name.
    metadata : list of columns, or dict of str to column, optional
        What becomes the files' metadata, under the columns' names or the dict's keys. Equal bytes with different
        metadata are different files. ``reference_id`` and ``sha256`` are added.
    journal : path, optional
        Where to write down what was uploaded. Default: ``files.journal`` in the user's state folder for this host
        and key.
    progress : bool
        False shows no bar.
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    pandas.DataFrame
        One row per path given, in that order (a Series' or frame's index and columns are kept), followed by
        ``attachment_url``, ``outcome`` (``created``: by this journal, now or before; ``existing``: it was there;
        ``failed``; ``unsent``: the run stopped before it), ``sha256`` (hex), ``bytes``, ``mime_type`` (guessed from
        the name), ``reference_id``, ``error_code``, ``error_message`` and ``tries``. Columns of these names make way.
        ``attrs["refonte"]`` holds counts, seconds, requests by status and the journal's path.

    Raises
    ------
    ColumnError
        The frame has no such column; nothing was sent.
    InputError
        There is no such project, or a key of the metadata is taken; nothing was sent.
    Unauthorized, Forbidden, NotEnabled, NoReplyError, RefonteError
        The service refused the key or 20 files in a row, or cannot be reached; ``.receipt`` holds what was done.
    JournalError
        The journal is another account's, or cannot be written.
    SubmitInterrupted
        After Ctrl-C, once the uploads under way were settled; it has the ``.receipt`` as well.

    Notes
    -----
    Files that are not there, are folders, or have more than 80 MB are ``failed`` without a request. Every other file
    is read twice, for its hash and while it is sent, in small pieces; one that changes in between is not taken.
    One POST a file; on a second run none for those the journal knows, apart from one look at one of them. A 409 costs
    a GET. Contract 2.4.

    Examples
    --------
    >>> _ = rf.projects.create("kittens", type="imageannotation")
    >>> np.array([1, 2, 3], dtype="uint8").tofile("kitten.jpg")
    >>> done = rf.files.upload(["kitten.jpg", "puppy.jpg"], project="kittens", progress=False)
    >>> done[["path", "outcome", "bytes", "mime_type", "error_code"]]
             path  outcome  bytes   mime_type    error_code
    0  kitten.jpg  created      3  image/jpeg          None
    1   puppy.jpg   failed   <NA>        None  no_such_file

    The addresses are attachments:

    >>> tasks = done.query("outcome == 'created'").pipe(
    ...     rf.submit, type="imageannotation", project="kittens", columns={"attachment": "attachment_url"},
    ...     params={"geometries": {"box": {"objects_to_annotate": ["kitten"]}}}, progress=False)
    >>> tasks["outcome"].tolist()
    ['created']

    >>> rf.files.upload("kitten.jpg", project="puppies")
    Traceback (most recent call last):
    refonte_frames.errors.InputError: There is no project 'puppies' for this key...
    """
    rows = frame_of(files, path)
    cells = column_of(rows, path, "the files' paths", "path='…'").tolist()
    about = FileColumns.of(
        rows, project=project, reference_id=reference_id, display_name=display_name, metadata=metadata
    )
    wanted = [about.wanted(at, local_file, cell) for at, cell in enumerate(cells)]
    return _carry_out(rows, wanted, "upload", project=project, journal=journal, progress=progress, client=client)


def import_urls(  # noqa: PLR0913 - one argument a thing the caller may want to say
    files: Any,
    *,
    project: str | None = None,
    url: Hashable = "url",
    reference_id: Hashable | None = None,
    display_name: Hashable | None = None,
    metadata: Sequence[Hashable] | Mapping[str, Hashable] | None = None,
    journal: str | os.PathLike[str] | None = None,
    progress: bool = True,
    client: Client | None = None,
) -> pd.DataFrame:
    """Have the service fetch files from their URLs, each once, and keep them.

    Parameters
    ----------
    files : str, iterable of str, Series or frame
        URLs that begin with http, https, s3 or gs; a frame has them in the column `url`.
    project : str, optional
        The project that the files are for. As for `upload`, name it if you can.
    url : column
        Holds the URLs.
    reference_id : column, optional
        Your own names for the files, unique over the account. Default: made of the URL as it is written. Name files
        yourself where their URLs are signed anew every day, or where what lies there changes and is to be fetched
        again.
    display_name, metadata, journal, progress, client
        As for `upload`.

    Returns
    -------
    pandas.DataFrame
        As of `upload`. ``sha256`` and ``bytes`` are null: the content never was on this machine.

    Raises
    ------
    ColumnError, InputError, Unauthorized, Forbidden, NotEnabled, NoReplyError, RefonteError, JournalError
        As for `upload`.
    SubmitInterrupted
        After Ctrl-C.

    Notes
    -----
    One POST a URL; on a second run none for those the journal knows. Contract 2.4.

    Examples
    --------
    >>> _ = rf.projects.create("kittens", type="imageannotation")
    >>> urls = pd.DataFrame({"url": ["https://example.org/kitten.jpg", "kitten.jpg"]})
    >>> rf.files.import_urls(urls, project="kittens", progress=False)[["outcome", "error_code"]].to_dict("records")
    [{'outcome': 'created', 'error_code': None}, {'outcome': 'failed', 'error_code': 'bad_url'}]

    >>> rf.files.import_urls(urls, url="address")
    Traceback (most recent call last):
    refonte_frames.errors.ColumnError: The frame has no column 'address' with the files' URLs...
    """
    rows = frame_of(files, url)
    cells = column_of(rows, url, "the files' URLs", "url='…'").tolist()
    about = FileColumns.of(
        rows, project=project, reference_id=reference_id, display_name=display_name, metadata=metadata
    )
    wanted = [about.wanted(at, remote_file, cell) for at, cell in enumerate(cells)]
    return _carry_out(rows, wanted, "import_urls", project=project, journal=journal, progress=progress, client=client)


def list(  # noqa: A001 - rf.files.list
    projects: str | Iterable[str], *, metadata: Mapping[str, Any] | None = None, client: Client | None = None
) -> pd.DataFrame:
    """List the files of projects as a frame.

    Parameters
    ----------
    projects : str, or iterable of str
        At least one; the service lists no files without it.
    metadata : mapping, optional
        Only files whose metadata hold these values.
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    pandas.DataFrame
        One row per file, newest first, with Arrow dtypes: ``attachment_url``, ``file_id``, ``display_name``,
        ``mime_type``, ``bytes``, ``project_names`` (list), ``reference_id``, ``metadata_json``, ``created_at``,
        ``updated_at`` (UTC) and ``extra_json`` (whatever else the service sent). Without files: the same columns, no
        rows.

    Raises
    ------
    InputError
        No project is named; nothing was sent.

    Notes
    -----
    One request per page of the service's size. Contract 2.4.

    Examples
    --------
    >>> _ = rf.projects.create("kittens", type="imageannotation")
    >>> _ = rf.files.import_urls("https://example.org/kitten.jpg", project="kittens", progress=False)
    >>> rf.files.list("kittens")[["mime_type", "project_names"]].to_dict("records")
    [{'mime_type': 'image/jpeg', 'project_names': ['kittens']}]

    >>> rf.files.list([])
    Traceback (most recent call last):
    refonte_frames.errors.InputError: Name at least one project: the service lists files by project.
    """
    names = Named.of(projects, kind="project").distinct
    if not names:
        raise InputError("Name at least one project: the service lists files by project.")
    if metadata is not None and not hasattr(metadata, "keys"):
        raise InputError(f"metadata is a mapping such as {{'camera': 'left'}}, not {metadata!r}.")
    wanted = None if metadata is None else as_sent(dict(metadata))
    found = list_assets(resolve_client(client), names, wanted)
    return frame_of_rows(map(_row, found), _SCHEMA)


def _carry_out(
    rows: pd.DataFrame,
    wanted: Sequence[WantedFile | Refused],
    function: str,
    *,
    project: str | None,
    journal: str | os.PathLike[str] | None,
    progress: bool,
    client: Client | None,
) -> pd.DataFrame:
    client = resolve_client(client).for_one_run()
    undertaking = Undertaking(
        name=f"files.{function}",
        doing="Uploading" if function == "upload" else "Importing",
        unit="files",
        purpose="files",
        scope=project or "-",
        journal=state_path(client, journal, "files"),
        settler_of=functools.partial(FileSettler, finder=AssetFinder(client, project) if project else None),
        columns=RESULT_COLUMNS,
        line=file_line,
        check=functools.partial(check_project, client, project),
    )
    return undertaking.carry_out(rows, wanted, progress=progress, client=client)


def _row(asset: Mapping[str, Any]) -> dict[str, Any]:
    """Make a file's row; what does not fit its column goes to ``extra_json`` with what has none."""
    extra = dict(asset)
    return {
        "attachment_url": taken(extra, "attachment_url", str),
        "file_id": taken(extra, "id", str),
        "display_name": taken(extra, "display_name", str),
        "mime_type": taken(extra, "mime_type", str),
        "bytes": taken(extra, "size", int),
        "project_names": taken_texts(extra, "project_names"),
        "reference_id": taken(extra, "reference_id", str),
        "metadata_json": taken_json(extra, "metadata"),
        "created_at": taken_stamp(extra, "created_at"),
        "updated_at": taken_stamp(extra, "updated_at"),
        "extra_json": extra_of(extra),
    }
