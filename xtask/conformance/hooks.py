"""Hooks for schemathesis: the key of each call, and the exceptions to its checks, with reasons.

Environment: ROOTS_URL, the address of the server; ROOTS_API_KEY, a key of its operator's account.
"""

import os
import re
from urllib.parse import unquote

import requests
import schemathesis
from schemathesis.openapi.checks import RejectedPositiveData

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
    """An import's body is text already."""
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.deserializer("application/x-ndjson")
def read_lines(context, response):
    """An export is text to its schema. client.py checks each line of one."""
    return response.text


@schemathesis.hook
def before_call(context, case, kwargs):
    """Replaces 0, which the coverage phase sends in headers whose pattern requires quotes."""
    if case.headers and case.meta and case.meta.generation.mode.is_positive:
        for name in ("If-Match", "If-None-Match"):
            if case.headers.get(name) == "0":
                case.headers[name] = "*" if name == "If-Match" else '"0"'


# Requests that their schemas allow and the server still refuses: a part of the answer, and why no
# schema can describe it.
UNDESCRIBED = {
    "must not be given together with": "the schema of a parameter knows no other parameter",
    "There is no session": "the database knows which rows exist",
    "There is no actor": "the database knows which rows exist",
    "must have 1 to 8 terms": "a pattern can't count the words of every script",
    "has a term without a letter or digit": "a pattern can't tell the letters of every script",
    "has a quote that is not closed": "a pattern can't pair quotes between terms of every form",
    "must be left out unless kind is todo": "client generators can't read conditions on other fields",
    "must be the next_cursor of a page of this list": "the server signs cursors",
    "has changed since you read it": "a precondition is about the state of a row",
    "was used for a different request in the last 24 hours": "the server remembers idempotency keys",
    "A note needs a change of status": "the database knows the status of a todo",
    "must be a time zone of the IANA database": "the IANA database changes several times a year",
    "must be in the future": "a schema knows no clock",
    "must be export on the first line": "a schema describes no lines of a body",
}


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Drops the failures that this file explains."""
    if not isinstance(failure, RejectedPositiveData):
        return True
    is_undescribed = any(answer in response.text for answer in UNDESCRIBED)
    return not is_undescribed and not has_impossible_leap_second(response)


def has_impossible_leap_second(response):
    """Whether it refused a second 60 that is not at the end of a UTC month.

    That is at another local time in each zone, so no pattern can describe it.
    """
    if "must be a date or time of RFC 3339" not in response.text:
        return False
    body = response.request.body or b""
    text = body if isinstance(body, str) else body.decode(errors="replace")
    sent = unquote(response.request.url) + text
    return re.search(r":[0-5][0-9]:60", sent) is not None
