"""Whether callbacks arrive: how many tasks were called back, by day and receiving host. Pure."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd

from refonte_frames.quality.rates import rates_of
from refonte_frames.quality.taking import decided, midnights, moments, take

__all__ = ["callback_health"]


def callback_health(tasks: Any, *, tz: str = "UTC", min_n: int = 30, conf: float = 0.95) -> pd.DataFrame:
    """Tell whether callbacks arrive where they are sent.

    Parameters
    ----------
    tasks : frame
        As `read_tasks` gives them: ``callback_url, callback_succeeded, completed_at``.
    tz : str
        The time zone whose days are meant.
    min_n : int
        Settled callbacks from which on a rate is ``enough``.
    conf : float
        Level of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row per day of completion and host: ``day, host`` (an address's domain for mail), ``n`` (settled
        callbacks), ``k`` (delivered), ``rate`` and the columns that rates come with, ``n_unsettled`` (still being
        tried, or not told). Tasks without a callback_url are left out: ``attrs["n_excluded"]``.

    Raises
    ------
    ColumnError
        A column is missing.
    InputError
        There is no such time zone.

    Examples
    --------
    >>> tasks = pd.DataFrame({"callback_url": "https://example.com/hook", "callback_succeeded": [True, False, None],
    ...     "completed_at": "2020-01-01T10:00:00Z"})
    >>> rf.quality.callback_health(tasks)[["host", "n", "k", "rate", "n_unsettled"]]
              host  n  k  rate  n_unsettled
    0  example.com  2  1   0.5            1

    >>> rf.quality.callback_health(tasks.drop(columns="callback_url"))
    Traceback (most recent call last):
    refonte_frames.errors.ColumnError: Tasks need a column 'callback_url', ...
    """
    rows = take(tasks, "callback_url", "callback_succeeded", "completed_at", of="Tasks")
    has_url = rows["callback_url"].notna() & (rows["callback_url"].astype("string") != "").fillna(value=False)
    rows = rows[has_url].reset_index(drop=True)
    known, is_well = decided(rows["callback_succeeded"])
    days = midnights(moments(rows["completed_at"]), tz)
    marks = pd.DataFrame(
        {
            "day": days,
            "host": pd.array([_host(str(url)) for url in rows["callback_url"]], dtype="string"),
            "n": known.astype(np.int64),
            "k": is_well.astype(np.int64),
            "n_unsettled": (~known).astype(np.int64),
        }
    )
    counted = marks.groupby(["day", "host"], dropna=False, sort=True).sum().reset_index()
    rates = rates_of(counted["k"], counted["n"], min_n=min_n, conf=conf)
    table = pd.concat([counted[["day", "host"]], rates, counted[["n_unsettled"]]], axis=1)
    table.attrs["n_excluded"] = int((~has_url).sum())
    return table


def _host(url: str) -> str:
    if "://" not in url:
        return url.rpartition("@")[2]
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
