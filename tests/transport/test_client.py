"""The client's settings: where the key comes from, where it may go, and that it is never shown."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import pytest

from refonte_frames.client import Client, resolve_client
from refonte_frames.errors import ConfigError
from refonte_frames.transport.redact import Secret

KEY = "live_0123456789"


def test_no_key_is_an_error_that_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key the error says which variable to set."""
    monkeypatch.delenv("REFONTE_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="REFONTE_API_KEY"):
        Client()


def test_the_environment_makes_the_default_client_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same environment gives the same client, another one another."""
    monkeypatch.setenv("REFONTE_API_KEY", KEY)
    monkeypatch.setenv("REFONTE_BASE_URL", "http://127.0.0.1:1/v1")
    first = resolve_client()
    assert resolve_client() is first
    monkeypatch.setenv("REFONTE_BASE_URL", "http://127.0.0.1:2/v1")
    assert resolve_client() is not first


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://api.example.org/v1", "in clear"),
        ("http://10.0.0.1/v1", "in clear"),
        ("https://user:secret@example.org/v1", "user or password"),
        ("ftp://example.org/v1", "form"),
        ("https://example.org/v1?x=1", "form"),
        ("https://example.org/v1#x", "form"),
        ("https:///v1", "form"),
        ("example.org/v1", "form"),
        ("https://example.org\\@evil/v1", "form|user"),
        ("https://example.org:port/v1", "no URL"),
    ],
)
def test_a_base_url_that_would_endanger_the_key_is_refused(url: str, why: str) -> None:
    """Only https, or plain http to this machine, without anything hidden in the URL."""
    with pytest.raises(ConfigError, match=why) as caught:
        Client(KEY, url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.9.9.9"])
def test_plain_http_to_this_machine_is_fine(host: str) -> None:
    """A sandbox needs no certificate."""
    assert Client(KEY, f"http://{host}:8377/v1/").base_url == f"http://{host}:8377/v1"


@pytest.mark.parametrize("key", ["", "a b", "tab\tkey", "line\nbreak", "colon:key", "schlüssel", "\x00"])
def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(key: str) -> None:
    """The error does not repeat what was given as a key."""
    with pytest.raises(ConfigError) as caught:
        Secret(key)
    assert not key.strip() or key not in str(caught.value)


def test_a_client_shows_its_host_and_the_end_of_its_key() -> None:
    """The repr names the host and four characters."""
    assert repr(Client(KEY, "http://127.0.0.1:8377/v1")) == "Client('127.0.0.1:8377', key …6789)"


def test_a_short_key_shows_nothing() -> None:
    """Four characters of a key of seven would be too many."""
    assert repr(Secret("live_ab")) == "Secret(…)"


def test_a_key_cannot_be_pickled() -> None:
    """A key does not end up in a file by way of an object that holds it."""
    secret = Secret(KEY)
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    assert copy.deepcopy(secret) is secret
    assert KEY not in f"{secret} {secret!r} {[secret]}"


def test_fingerprints_tell_keys_and_hosts_apart() -> None:
    """Another key, or the same at another host, has another fingerprint; the same has the same."""
    here = Client(KEY, "http://127.0.0.1:1/v1").key_fingerprint
    assert here == Client(KEY, "http://127.0.0.1:1/v1").key_fingerprint
    assert here != Client(KEY, "http://127.0.0.1:2/v1").key_fingerprint
    assert here != Client(KEY + "0", "http://127.0.0.1:1/v1").key_fingerprint
    assert len(here) == 16


@pytest.mark.parametrize(("name", "value"), [("timeout_secs", 0), ("timeout_secs", -1), ("max_workers", 0)])
def test_limits_out_of_range_are_refused(name: str, value: int) -> None:
    """Each limit's error names it."""
    with pytest.raises(ConfigError, match=name):
        Client(KEY, "http://127.0.0.1:1/v1", **{name: value})


def test_importing_the_package_loads_none_of_the_heavy_libraries() -> None:
    """Names are lazy: pandas, pyarrow and requests come with their first use."""
    code = (
        "import refonte_frames as rf, sys; "
        "assert set(dir(rf)) == set(rf.__all__); "
        "print([m for m in ('pandas', 'pyarrow', 'requests', 'numpy', 'msgspec', 'tqdm') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
