"""Hooks for schemathesis: the key of each call, corrected requests, and dropped failures.

Environment: ROOTS_URL, the address of the server; ROOTS_API_KEY, a key of its operator's account.
"""

import os
import sys
from pathlib import Path

import requests
import schemathesis
from schemathesis.generation.meta import TestPhase
from schemathesis.openapi.checks import JsonSchemaError, RejectedPositiveData
from schemathesis.transport.serialization import Binary

# Schemathesis loads this file by its path, and does not find the one beside it.
sys.path.insert(0, str(Path(__file__).parent))

from exceptions import UNDESCRIBED, explains

URL = os.environ["ROOTS_URL"]
OPERATOR_KEY = os.environ["ROOTS_API_KEY"]

# Operations that can end the key of the call. Each such call gets a new account, so that the other
# calls keep their key.
ENDS_KEYS = {
    "addKey",
    "deactivateActor",
    "eraseAccount",
    "renewRecoveryCode",
    "revokeKey",
    "rotateKey",
    "updateActor",
}

# Values that the patterns of these headers allow.
VALID_HEADERS = {"If-Match": "*", "If-None-Match": '"0"', "Last-Event-ID": "0.0"}


@schemathesis.auth(refresh_interval=None)
class ApiKey:
    """The operator's key, or the key of a new account for one call."""

    def get(self, case, context):
        if case.operation.definition.raw.get("operationId") not in ENDS_KEYS:
            return OPERATOR_KEY
        account = {"account_name": "for one call", "actor_name": "caller", "actor_type": "agent"}
        made = requests.post(f"{URL}/api/v1/bootstrap", json=account, timeout=10)
        made.raise_for_status()
        return made.json()["api_key"]

    def set(self, case, data, context):
        case.headers = case.headers or {}
        case.headers["X-API-Key"] = data


@schemathesis.serializer("application/x-ndjson")
def write_lines(context, value):
    """An import's body is bytes already. As a text, Binary is empty."""
    return value.data if isinstance(value, Binary) else str(value).encode()


@schemathesis.deserializer("application/x-ndjson")
def read_lines(context, response):
    """An export is text to its schema. client.py checks each line of one."""
    return response.text


@schemathesis.hook
def before_call(context, case, kwargs):
    """Ends streams, and replaces 0, which the coverage phase sends in headers whose pattern
    does not allow it."""
    if case.operation.definition.raw.get("operationId") == "events":
        query = case.query or {}
        if str(query.get("follow", "true")).lower() == "true":
            case.query = {**query, "follow": "false"}
    meta = case.meta
    is_positive = meta is not None and meta.generation.mode.is_positive
    if case.headers and is_positive and meta.phase.name is TestPhase.COVERAGE:
        for name, valid in VALID_HEADERS.items():
            if case.headers.get(name) == "0":
                case.headers[name] = valid


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Drops what exceptions.py explains: refusals of requests that their schemas allow.

    The schema of a stream is a text, as other tools read it. Schemathesis compares it with the
    events; client.py does that by their own schema."""
    operation = f"{case.operation.method.upper()} {case.operation.path}"
    is_of_text = operation == "GET /api/v1/events" and isinstance(failure, JsonSchemaError)
    is_refusal = isinstance(failure, RejectedPositiveData)
    return not (is_of_text or is_refusal and explains(UNDESCRIBED, operation, response))
