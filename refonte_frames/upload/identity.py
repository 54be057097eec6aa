"""What makes two rows the same task: canonical JSON, derived ids, row keys and idempotency keys. Pure.

The recipe (version 1, kept in every journal): SHA-256 over the canonical JSON of what is to be labeled, that is the
body without metadata, tags, priority, callback_url, clear_unique_id_on_error and unique_id, with the type. Canonical
means: keys sorted, text in Unicode NFC, whole numbers without a fraction (5.0 is 5), URLs without fragment and
without the parameters that sign them. A file of this machine that `submit` uploads enters as ``sha256:`` and the hex
SHA-256 of its bytes, under whatever path and address. The first 26 characters of the base32 form (lower case, 130
bits) end the id.
"""

from __future__ import annotations

import functools
import hashlib
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec
import numpy as np

from refonte_frames.api import OTHER_TASK_TYPES, TASK_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "RECIPE_VERSION",
    "Canon",
    "CanonOrder",
    "auto_unique_id",
    "canonical_bytes",
    "id_prefix",
    "id_tails",
    "idempotency_key",
    "is_auto_id",
    "unsigned",
]

RECIPE_VERSION: Final = 1
_NOT_HASHED: Final = frozenset(
    {"metadata", "tags", "priority", "callback_url", "callback", "clear_unique_id_on_error", "unique_id"}
)
#: Parameters that sign a URL (S3, CloudFront, GCS) and so change from day to day while the file stays the same.
_SIGNING: Final = frozenset({"signature", "expires", "key-pair-id", "awsaccesskeyid", "googleaccessid"})
_SIGNING_PREFIXES: Final = ("x-amz-", "x-goog-")
#: Azure's shared access signatures: only together with `sig`, since the names are too short to be sure alone.
_SAS: Final = frozenset(
    {"sv", "ss", "srt", "sp", "se", "st", "spr", "sig", "sr", "sip", "skoid", "sktid", "skt", "ske", "sks", "skv"}
)
_DIGEST_CHARS: Final = 26
_TAIL_BYTES: Final = 17
_ALPHABET: Final = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz234567", dtype=np.uint8)
_PLACES: Final = np.array([16, 8, 4, 2, 1], dtype=np.uint8)
#: One URL and nothing else: a text that mentions a URL is a text.
_IS_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+").fullmatch
_AUTO_ID: Final = re.compile(rf"(.+)/({'|'.join((*TASK_TYPES, *OTHER_TASK_TYPES))})/[a-z2-7]{{26}}(?:#([0-9]+))?")
_encode = msgspec.json.Encoder(order="sorted").encode


def unsigned(url: str) -> str:
    """Return a URL without fragment and signing parameters; other text comes back as it is.

    Examples
    --------
    >>> unsigned("https://b.example.org/a.jpg?w=9&X-Amz-Signature=abc&X-Amz-Expires=60#top")
    'https://b.example.org/a.jpg?w=9'
    """
    if ("?" not in url and "#" not in url) or not _IS_URL(url):
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    names = {name.lower() for name, _ in pairs}
    dropped = _SIGNING | (_SAS if "sig" in names else frozenset())
    dropped |= {"policy"} if names & {"signature", "key-pair-id"} else frozenset()
    kept = [
        (name, value)
        for name, value in pairs
        if name.lower() not in dropped and not name.lower().startswith(_SIGNING_PREFIXES)
    ]
    query = parts.query if len(kept) == len(pairs) else urlencode(kept)
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))


def canonical(value: Any) -> Any:
    """Bring a JSON value into the form in which equal content is equal text."""
    kind = type(value)
    if kind is str:
        return unsigned(value if value.isascii() else unicodedata.normalize("NFC", value))
    if kind is float:
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if kind is dict:
        return {canonical_key(key): canonical(item) for key, item in value.items()}
    if kind is list:
        return [canonical(item) for item in value]
    return value


def canonical_key(key: str) -> str:
    """Bring an object's key into NFC."""
    return key if key.isascii() else unicodedata.normalize("NFC", key)


class Canon:
    """Canonical JSON of many bodies that share most of their content.

    Parameters
    ----------
    constants : mapping
        Body fields that are the same for all rows; they are made canonical once.
    """

    def __init__(self, constants: Mapping[str, Any]) -> None:
        self._constants = {name: _pair(name, value) for name, value in constants.items()}

    def digests(self, task_type: str, fields: Mapping[str, Any]) -> tuple[bytes, bytes]:
        """Hash the constants, overlaid with one row's `fields`: what is to be labeled, and all that is sent.

        Both are of the content, not of its bytes: a 5.0 that is a 5 tomorrow changes nothing.
        """
        return self.order(task_type, fields).digests({name: canonical_bytes(value) for name, value in fields.items()})

    def order(self, task_type: str, names: Iterable[str]) -> CanonOrder:
        """Put the fields of rows of this type that have these names in order."""
        pairs: dict[str, bytes | None] = {**self._constants, **dict.fromkeys(names), "type": _pair("type", task_type)}
        labeled = [name for name in sorted(pairs) if name not in _NOT_HASHED]
        rest = [name for name in sorted(pairs) if name in _NOT_HASHED]
        return CanonOrder(_ordered(labeled, pairs), _ordered(rest, pairs))


#: Name and encoded key of each field, and between them, without a name, the whole bytes of constants.
_Order = tuple[tuple[str | None, bytes], ...]


def _ordered(names: Sequence[str], pairs: Mapping[str, bytes | None]) -> _Order:
    return tuple((None, pair) if (pair := pairs[name]) is not None else (name, _key(name)) for name in names)


@dataclass(frozen=True, slots=True)
class CanonOrder:
    """How the fields of rows that have the same ones are put together, worked out once for all of them."""

    labeled: _Order
    rest: _Order

    def digests(self, fields: Mapping[str, bytes]) -> tuple[bytes, bytes]:
        """Hash a row, given each of its fields in canonical bytes."""
        to_be_labeled = hashlib.sha256(b"{" + _joined(self.labeled, fields) + b"}").digest()
        return to_be_labeled, hashlib.sha256(to_be_labeled + _joined(self.rest, fields)).digest()[:16]


def _joined(order: _Order, fields: Mapping[str, bytes]) -> bytes:
    return b",".join([key if name is None else key + fields[name] for name, key in order])


@functools.lru_cache(maxsize=1024)
def _key(name: str) -> bytes:
    return _encode(canonical_key(name)) + b":"


def _pair(name: str, value: Any) -> bytes:
    return _key(name) + canonical_bytes(value)


def canonical_bytes(value: Any, plain: bytes | None = None) -> bytes:
    """Encode a value in canonical form.

    Only text beyond ASCII, URLs with a query or fragment and whole floats have another form than their own; where the
    JSON shows no trace of them, the walk through the value is spared.

    Parameters
    ----------
    value : JSON value
    plain : bytes, optional
        The value in JSON with sorted keys, where it is known.
    """
    plain = _encode(value) if plain is None else plain
    if plain.isascii() and b"?" not in plain and b"#" not in plain and b".0" not in plain:
        return plain
    return _encode(canonical(value))


def auto_unique_id(digest: bytes, *, task_type: str, project: str | None, batch: str | None) -> str:
    """Make the id of a row from the hash of its content, prefixed, since ids are global to the account.

    Examples
    --------
    >>> auto_unique_id(b"0" * 32, task_type="categorization", project="shop", batch=None)
    'shop/categorization/gaydambqgaydambqgaydambqga'
    """
    (tail,) = id_tails([digest])
    return id_prefix(task_type, project=project, batch=batch) + tail


def id_prefix(task_type: str, *, project: str | None, batch: str | None) -> str:
    """Begin the id of a row; its tail comes from the content."""
    return f"{project or batch or '-'}/{task_type}/"


def id_tails(digests: Sequence[bytes]) -> list[str]:
    """Write the first 130 bits of each digest as 26 characters: base32 as of RFC 4648, in lower case.

    Many at once, which costs a fifth of one by one.

    Examples
    --------
    >>> id_tails([b"0" * 32])
    ['gaydambqgaydambqgaydambqga']
    """
    first = np.frombuffer(b"".join([digest[:_TAIL_BYTES] for digest in digests]), dtype=np.uint8)
    bits = np.unpackbits(first.reshape(-1, _TAIL_BYTES), axis=1)[:, : 5 * _DIGEST_CHARS]
    values = bits.reshape(-1, _DIGEST_CHARS, 5) @ _PLACES
    text = _ALPHABET[values].tobytes().decode()
    return [text[start : start + _DIGEST_CHARS] for start in range(0, len(text), _DIGEST_CHARS)]


def is_auto_id(unique_id: str) -> bool:
    """Whether an id looks like one made by `auto_unique_id`, numbered or not."""
    return _AUTO_ID.fullmatch(unique_id) is not None


def idempotency_key(run_id: str, row_key: str, sent_hash: bytes, generation: int) -> str:
    """Derive the Idempotency-Key: the same after a crash, another for another body or generation."""
    parts = (run_id.encode(), row_key.encode(), sent_hash, str(generation).encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:40]
