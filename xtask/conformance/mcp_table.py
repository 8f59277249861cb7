"""The calls of mcp_calls.json, and what must come of each."""

import json
import os
from pathlib import Path
from typing import Any

import httpx2

URL = os.environ["ROOTS_URL"]
PROGRAM = os.environ["ROOTS_PROGRAM"]
HOME = os.environ["ROOTS_HOME"]

_TABLE = json.loads(Path("mcp_calls.json").read_text())
TOOLS: list[str] = _TABLE["tools"]
CALLS: list[dict[str, Any]] = _TABLE["calls"]


def new_key() -> str:
    """Each run has an account of its own: its lists hold nothing of the others."""
    body = {"account_name": "MCP", "actor_name": "owner", "actor_type": "human"}
    answer = httpx2.post(f"{URL}/api/v1/bootstrap", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["api_key"])


def filled(value: Any, kept: dict[str, Any]) -> Any:
    """The value with what was kept of earlier results in the place of each `$name`."""
    if isinstance(value, str) and value.startswith("$"):
        return kept[value[1:]]
    if isinstance(value, list):
        return [filled(one, kept) for one in value]
    if isinstance(value, dict):
        return {name: filled(one, kept) for name, one in value.items()}
    return value


def at(document: Any, pointer: str) -> Any:
    """What stands at that JSON pointer."""
    for name in pointer.split("/")[1:]:
        document = document[int(name) if isinstance(document, list) else name]
    return document


def check(call: dict[str, Any], result: dict[str, Any], kept: dict[str, Any]) -> None:
    """Holds a result to its call, and keeps what later calls need of it."""
    [block] = result["content"]
    text = block["text"]
    if "refused" in call:
        assert result.get("isError"), f"not refused: {text}"
        missing = [part for part in call["refused"] if part not in text]
        assert not missing, f"{missing} not in: {text}"
        return
    assert not result.get("isError"), text
    document = result["structuredContent"]
    assert json.loads(text) == document, "the text is not the structured content"
    assert {"cost", "credits_left"} <= document.keys(), text
    for pointer, value in call.get("holds", {}).items():
        assert at(document, pointer) == filled(value, kept), f"{pointer}: {text}"
    for name, pointer in call.get("keep", {}).items():
        kept[name] = at(document, pointer)
