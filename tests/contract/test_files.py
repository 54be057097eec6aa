"""Uploading, importing and listing files (contract 2.4)."""

from __future__ import annotations

import json
from typing import Any

import pytest


@pytest.fixture
def rapid(live: Any) -> Any:
    """Give a live account with two Rapid projects."""
    for name in ("p", "q"):
        live.project(name, rapid=True)
    return live


def upload(api: Any, content: bytes = b"\x89PNG\r\n--x", status: int = 200, **fields: str) -> Any:
    """Upload a file."""
    reply = api.call("POST", "/files/upload", files={"file": ("a b.png", content, "image/png")}, data=fields)
    assert reply.status_code == status, reply.text
    return reply.json()


def test_an_upload_gives_an_address_for_attachments(rapid: Any) -> None:
    """With what is known of the file; the address can be used as an attachment."""
    found = upload(rapid, project_name="p", metadata='{"row": 1}', display_name="First")
    assert found["attachment_url"].endswith(found["id"])
    assert (found["mime_type"], found["size"], found["project_names"]) == ("image/png", 9, ["p"])
    assert (found["metadata"], found["display_name"]) == ({"row": 1}, "First")
    sent = {"attachment": found["attachment_url"], "geometries": {"box": {}}}
    assert rapid.ok("POST", "/task/imageannotation", json=sent)["params"]["attachment"] == found["attachment_url"]


def test_any_bytes_survive_the_form(rapid: Any) -> None:
    """Line ends and dashes inside the content do not end it."""
    content = bytes(range(256)) * 10 + b"\r\n--\r\n\r\n--boundary--\r\n"
    assert upload(rapid, content)["size"] == len(content)
    assert upload(rapid, b"")["size"] == 0


def test_a_reference_id_is_taken_once_per_project(rapid: Any) -> None:
    """The same file joins another project; anything else is 409."""
    first = upload(rapid, b"one", project_name="p", reference_id="r")
    upload(rapid, b"one", status=409, project_name="p", reference_id="r")
    upload(rapid, b"two", status=409, project_name="q", reference_id="r")
    upload(rapid, b"one", status=409, reference_id="r")
    joined = upload(rapid, b"one", project_name="q", reference_id="r")
    assert joined["id"] == first["id"]
    assert joined["project_names"] == ["p", "q"]


def test_an_import_notes_the_url(rapid: Any) -> None:
    """The type is that of its name."""
    found = rapid.ok("POST", "/files/import", json={"file_url": "https://example.com/a.jpg?x=1", "project_name": "p"})
    assert found["mime_type"] == "image/jpeg"
    assert rapid.ok("GET", "/files", params={"projects": "p"})["docs"] == [found]


def test_files_are_listed_by_project_and_metadata(rapid: Any) -> None:
    """Newest first; every given pair of the metadata must agree."""
    one = upload(rapid, project_name="p", metadata='{"row": 1, "side": "left"}')
    two = upload(rapid, project_name="p", metadata='{"row": 2, "side": "left"}')
    three = upload(rapid, project_name="q")
    for query, wanted in (
        ({"projects": "p"}, [two, one]),
        ({"projects": ["p", "q"]}, [three, two, one]),
        ({"projects": "p", "metadata": json.dumps({"side": "left", "row": 1})}, [one]),
        ({"projects": "p", "metadata": json.dumps({"side": "right"})}, []),
        ({"projects": "none"}, []),
    ):
        assert rapid.ok("GET", "/files", params=query) == {"docs": wanted, "has_more": False}


def test_a_long_list_goes_on_with_a_cursor(rapid: Any) -> None:
    """Each file once."""
    made = [
        rapid.ok("POST", "/files/import", json={"file_url": f"https://example.com/{n}", "project_name": "p"})["id"]
        for n in range(105)
    ]
    first = rapid.ok("GET", "/files", params={"projects": "p"})
    rest = rapid.ok("GET", "/files", params={"projects": "p", "cursor": first["next_token"]})
    assert first["has_more"] is True
    assert [asset["id"] for asset in [*first["docs"], *rest["docs"]]] == made[::-1]
    rapid.refused(400, "GET", "/files", params={"projects": "p", "cursor": "nonsense"})


def test_unacceptable_files_are_refused(rapid: Any) -> None:
    """No file, no form, an unknown project, bad metadata, a form that does not end, more than 80 MB."""
    rapid.refused(400, "POST", "/files/upload", files={"other": ("x", b"x")})
    rapid.refused(415, "POST", "/files/upload", json={})
    rapid.refused(400, "POST", "/files/import", json={})
    rapid.refused(400, "GET", "/files")
    upload(rapid, status=400, project_name="none")
    upload(rapid, status=400, metadata="[1]")
    upload(rapid, status=400, metadata="{")
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    for broken in (b"", b"--x\r\n", b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nabc'):
        rapid.refused(400, "POST", "/files/upload", data=broken, headers=headers)
    rapid.refused(400, "POST", "/files/upload", data=b"x", headers={"Content-Type": "multipart/form-data"})
    upload(rapid, b"x" * (80 * 1024 * 1024 + 1), status=413)
