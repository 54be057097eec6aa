"""Keep the API key out of every text: the holder that never shows it, and the eraser for text from outside."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import NoReturn

from refonte_frames.errors import ConfigError

__all__ = ["Secret"]

_SHOWN = 4


class Secret:
    """An API key that shows at most its last four characters, however it is looked at.

    Examples
    --------
    >>> Secret("live_0123456789")
    Secret(…6789)
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        is_usable = value.isascii() and value.isprintable() and not set(" :") & set(value) and value != ""
        self._value = value if is_usable else ""
        # Error reports often print the local variables of every frame; what is no key may be one with a slip in it.
        del value
        if not is_usable:
            raise ConfigError(
                "The API key is empty or holds characters that no key has (blanks, line breaks, colons, non-ASCII). "
                "Copy it again from the dashboard into REFONTE_API_KEY or api_key=."
            )

    @property
    def hint(self) -> str:
        """The last four characters, or none of a key too short to spare them."""
        return "…" + (self._value[-_SHOWN:] if len(self._value) >= 2 * _SHOWN else "")

    @property
    def basic_auth(self) -> str:
        """The Authorization header's value: the key as user, an empty password (contract 1.1)."""
        return "Basic " + base64.b64encode(f"{self._value}:".encode()).decode()

    def fingerprint(self, scope: str) -> str:
        """Return 16 hex digits that tell keys apart and lead back to none; `scope` keeps hosts apart."""
        mac = hmac.new(self._value.encode(), f"refonte-frames/{scope}".encode(), hashlib.sha256)
        return mac.hexdigest()[:16]

    def erase_from(self, text: str) -> str:
        """Return `text` without the key, plain or in the form the header carries."""
        for form in (self.basic_auth.removeprefix("Basic "), self._value):
            text = text.replace(form, self.hint)
        return text

    def is_in(self, content: bytes) -> bool:
        """Whether the key, in one of these forms, is in there."""
        return any(form.encode() in content for form in (self._value, self.basic_auth.removeprefix("Basic ")))

    def __repr__(self) -> str:
        return f"Secret({self.hint})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("An API key is not pickled: make the Client again where it is needed.")

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self
