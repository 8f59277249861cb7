"""Sends /mcp what no MCP client sends of itself, and looks for what would make one log in.

Environment: ROOTS_URL, the address of the server; ROOTS_API_KEY, a key. It prints nothing unless
something is wrong.
"""

import os

import httpx2

URL = os.environ["ROOTS_URL"]
KEY = {"X-API-Key": os.environ["ROOTS_API_KEY"]}
ACCEPT = {"Accept": "application/json, text/event-stream"}
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
# Where clients look for the server that gives out tokens.
WELL_KNOWN = [
    "oauth-protected-resource",
    "oauth-protected-resource/mcp",
    "oauth-authorization-server",
    "oauth-authorization-server/mcp",
    "openid-configuration",
    "openid-configuration/mcp",
]


def ask(status: int, *named: str, method: str = "POST", **headers: str) -> httpx2.Response:
    """Sends a request with these headers and checks the answer's status and what it names."""
    body = LIST if method == "POST" else None
    answer = httpx2.request(method, f"{URL}/mcp", json=body, headers={**ACCEPT, **headers})
    said = f"{method} {headers.keys()}: {answer.status_code} {answer.headers} {answer.text}"
    assert answer.status_code == status, said
    assert all(name in answer.text for name in named), said
    return answer


listed = ask(200, "work_brief", **KEY).headers
assert listed["Content-Type"].startswith("application/json"), listed
for no_key in [{}, {"X-API-Key": "roots_1_none"}, {"Authorization": "Bearer none"}]:
    scheme = ask(401, **no_key).headers["WWW-Authenticate"]
    assert scheme.startswith("Bearer") and "resource_metadata" not in scheme, scheme
for method in ["GET", "DELETE"]:
    assert ask(405, method=method, **KEY).headers["Allow"] == "POST"
ask(403, "ROOTS_HOSTS", Host="roots.example.org", **KEY)
ask(403, "ROOTS_CORS_ORIGINS", Origin="https://roots.example.org", **KEY)
for name in WELL_KNOWN:
    answer = httpx2.get(f"{URL}/.well-known/{name}")
    assert answer.status_code == 404, f"{name}: {answer.status_code} {answer.text}"
