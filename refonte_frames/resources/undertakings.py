"""Creations for a frame: journal, bar, receipt, summary, and what stopped them. Says nothing of what is created."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import pandas as pd
import pyarrow as pa

from refonte_frames import progress as bars
from refonte_frames.errors import InputError, RefonteError
from refonte_frames.journal import Journal
from refonte_frames.resources.creations import Creations
from refonte_frames.resources.receipts import beside, counts_of, end_with, tell
from refonte_frames.user_paths import at_home

if TYPE_CHECKING:
    import os
    import threading
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from refonte_frames.client import Client
    from refonte_frames.resources.creations import Refused, Settler, Wanted

__all__ = ["Undertaking", "state_path"]

_OUTCOMES: Final = ("created", "existing", "failed", "unsent")
#: Columns of receipts that hold whole numbers.
_WHOLE: Final = ("bytes", "tries")


@dataclass(frozen=True, slots=True)
class Undertaking:
    """What a public function makes of its rows.

    Attributes
    ----------
    name : str
        The function, for the summary.
    doing : str
        One word for the bar.
    unit : str
        What is made, in the plural.
    purpose : str
        Whose journal it is.
    scope : str
        Begins the keys in the journal.
    columns : sequence of str
        Of the receipt, behind the caller's; his of these names make way.
    line : callable
        Makes the cells of these columns for a row.
    check : callable
        A look at the service before the first row; raises where there is no use in going on.
    """

    name: str
    doing: str
    unit: str
    purpose: str
    scope: str
    journal: Path
    settler_of: Callable[[Client, threading.Event], Settler]
    columns: Sequence[str]
    line: Callable[[Creations, int], Mapping[str, Any]]
    check: Callable[[], None]

    def carry_out(
        self, rows: pd.DataFrame, wanted: Sequence[Wanted | Refused], *, progress: bool, client: Client
    ) -> pd.DataFrame:
        """Bring everything to the service and put what became of it behind its rows.

        Parameters
        ----------
        client : Client
            Made for this one run, since the receipt tells its requests.

        Raises
        ------
        RefonteError
            What stopped it, with the ``.receipt`` of what was done.
        SubmitInterrupted
            After Ctrl-C.
        """
        began = time.monotonic()
        with (
            Journal(
                self.journal, host=client.host, key_fingerprint=client.key_fingerprint, purpose=self.purpose
            ) as book,
            bars.bar(len(rows), self.doing, self.unit, progress=progress) as bar,
        ):
            run = Creations(client, book, self.scope, wanted, self.settler_of, bar)
            try:
                self.check()
                run.carry_out()
            except InputError:
                raise
            except RefonteError as error:
                error.receipt = self._receipt(rows, run)
                raise
        receipt = self._receipt(rows, run)
        receipt.attrs["refonte"] = {
            "counts": counts_of(receipt, _OUTCOMES),
            "seconds": round(time.monotonic() - began, 3),
            "requests_by_status": client.requests_by_status(),
            "journal": str(self.journal),
        }
        tell(receipt, self.name, f" Journal: {self.journal}")
        return end_with(receipt, was_interrupted=run.was_interrupted, halted_by=run.halted_by)

    def _receipt(self, rows: pd.DataFrame, run: Creations) -> pd.DataFrame:
        lines = [self.line(run, at) for at in range(len(rows))]
        cells = {name: [line[name] for line in lines] for name in self.columns}
        return beside(rows, {name: pd.Series(values, dtype=_dtype_of(name)) for name, values in cells.items()})


def state_path(client: Client, journal: str | os.PathLike[str] | None, *parts: str) -> Path:
    """Return where a journal lies: as the caller says, or in the user's state folder by host, key and job."""
    if journal is not None:
        return at_home(journal)
    host = re.sub(r"[^A-Za-z0-9.-]", "_", client.host)
    name = "-".join(quote(part, safe=" ") for part in parts)[:180]
    return client.state_dir / host / client.key_fingerprint / f"{name}.journal"


def _dtype_of(name: str) -> Any:
    return pd.ArrowDtype(pa.int64()) if name in _WHOLE else object
