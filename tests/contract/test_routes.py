"""Every documented route is there (contract 8)."""

from __future__ import annotations

from typing import Any

import pytest

ROUTES = """
GET /projects | POST /projects | GET /projects/x | POST /projects/x/setParams | POST /projects/x/updatePipelineConfig
POST /studio/projects/x/updatePipelineConfig | POST /studio/projects/x/send_tasks_to_completed
POST /batches | GET /batches | GET /batches/x | GET /batches/x/status | POST /batches/x/finalize
POST /batches/x/prioritize | POST /batches/x/setMetadata
POST /task/categorization | GET /task/x | GET /tasks | POST /task/x/cancel | POST /task/x/setMetadata
POST /task/x/unique_id | DELETE /task/x/unique_id | PUT /task/x/tags | POST /task/x/tags | DELETE /task/x/tags
POST /task/x/audit | POST /task/x/send-callback
POST /training_tasks/categorization | POST /evaluation_tasks/categorization
POST /files/upload | POST /files/import | GET /files
GET /teams | POST /teams/invite | POST /teams/set_role
GET /studio/assignments | POST /studio/assignments/add | POST /studio/assignments/remove
GET /studio/projects/x/groups | POST /studio/projects/x/groups
PUT /studio/projects/x/groups/y | POST /studio/projects/x/groups/y
GET /studio/batches | PUT /studio/batches/x | POST /studio/batches/x
POST /studio/batches/set_priorities | POST /studio/batches/reset_priorities | GET /quality/labelers
"""


@pytest.mark.parametrize(
    "route", [route.strip() for line in ROUTES.split("\n") for route in line.split("|") if route.strip()]
)
def test_a_documented_route_is_there(api: Any, route: str) -> None:
    """It may refuse this empty request, but not for its verb, and not as an unknown path."""
    verb, path = route.split()
    reply = api.call(verb, path)
    assert reply.status_code in (200, 400, 404, 415)
    if reply.status_code == 404:
        assert f"/v1{path}" not in reply.json()["error"]
