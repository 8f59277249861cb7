"""Requests that the OpenAPI document allows and the server still refuses, each with the reason.

As a program, it sends one request for each exception and operation, and fails if the server does
not refuse it in that way. So an exception that is out of date fails every run.
Environment: ROOTS_URL, the address of the server; ROOTS_API_KEY, a key of its operator's account.
"""

import json
import os
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests

# Each operation with an example of its parts: query, headers, and json or data as its body.
Examples = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Undescribed:
    """One error of an answer that no schema can describe."""

    reason: str
    status: int
    # The field that the error names, or None for an answer without a list of errors.
    field: str | None
    # The whole message, or the whole detail of an answer without a list, as a regular expression.
    message: str
    # What the request must hold: names of parameters, headers or fields of the body, each with a
    # regular expression that is found in its value.
    needs: dict[str, str]
    # The operations, each with a request that must be refused so.
    examples: Examples

    def covers(self, operation: str, response: requests.Response, error: tuple) -> bool:
        field, message = error
        sent = sent_in(response.request)
        return (
            operation in self.examples
            and response.status_code == self.status
            and field == self.field
            and re.fullmatch(self.message, message) is not None
            and all(name in sent and re.search(p, sent[name]) for name, p in self.needs.items())
        )


def sent_in(request: requests.PreparedRequest) -> dict[str, str]:
    """The parameters of the query, the headers and the fields of a body in JSON."""
    sent = dict(request.headers) | dict(parse_qsl(urlsplit(request.url).query))
    try:
        body = json.loads(request.body or "{}")
    except ValueError:
        body = {}
    if isinstance(body, dict):
        sent |= {name: str(value) for name, value in body.items()}
    return sent


def explains(exceptions: list[Undescribed], operation: str, response: requests.Response) -> bool:
    """Whether they cover every error of that operation's answer."""
    problem = response.json()
    listed = [(error["field"], error["message"]) for error in problem.get("errors", [])]
    errors = listed or [(None, problem["detail"])]
    return all(any(e.covers(operation, response, error) for e in exceptions) for error in errors)


LISTS = [
    "GET /api/v1/accounts",
    "GET /api/v1/activities",
    "GET /api/v1/actors",
    "GET /api/v1/audit",
    "GET /api/v1/credits/ledger",
    "GET /api/v1/keys",
    "GET /api/v1/sessions",
    "GET /api/v1/todos",
]
# It has the form of a cursor, and no signature.
CURSOR = "AQ" + 37 * "A"
RANGES = ["GET /api/v1/activities", "GET /api/v1/activities/stats"]
STATS = ["GET /api/v1/credits/stats", "GET /api/v1/todos/stats"]
# They take actor_id=all.
OF_ACTORS = ["GET /api/v1/sessions", "GET /api/v1/todos", *RANGES, *STATS]
# They take since and until.
TIMED = ["GET /api/v1/sessions", *RANGES, *STATS]
DATES = "must be a date or time of RFC 3339, such as 2026-04-09 or 2026-04-09T14:00:00Z"
NO_LEAP_SECOND = "2026-04-09T14:00:60Z"

START = "POST /api/v1/sessions"
CREATE = "POST /api/v1/todos"
LOG = "POST /api/v1/activities"
CLAIM = "POST /api/v1/todos/claim"
RELEASE = "POST /api/v1/todos/{id}/release"
ADD_KEY = "POST /api/v1/keys"
IMPORT = "POST /api/v1/import"
SEARCH = "POST /api/v1/search"
BRIEF = "GET /api/v1/brief"
GRANT = "POST /api/v1/accounts/{id}/credits"
LINES = {"Content-Type": "application/x-ndjson"}
UPDATE_SESSION = "PATCH /api/v1/sessions/{id}"
UPDATE_TODO = "PATCH /api/v1/todos/{id}"
DELETIONS = [f"DELETE /api/v1/{rows}/{{id}}" for rows in ("sessions", "todos", "activities")]

# A body that the server accepts.
BODIES = {
    START: {},
    CREATE: {"title": "Write the tests"},
    CLAIM: {},
    RELEASE: {"claim_token": 1},
    LOG: {"description": "Wrote the tests"},
    SEARCH: {"q": "tests"},
    ADD_KEY: {"actor_id": 1},
    GRANT: {"amount": 1},
    UPDATE_SESSION: {"notes": "Begun"},
    UPDATE_TODO: {"priority": 1},
}
UNKNOWN_ID = 999_999_999
# In JSON, 2, 2.0 and 2e0 are the same number.
NUMBER = r"^\d+(\.\d+)?(e\+?\d+)?$"
USED_KEY = "used-for-another-request"


def each(operations: list[str], **parts: Any) -> Examples:
    """The same parts for each operation, with a body that it accepts."""
    accepted = {operation: {"json": body} for operation, body in BODIES.items()}
    return {operation: accepted.get(operation, {}) | parts for operation in operations}


def bodies(operations: list[str], **fields: Any) -> Examples:
    """For each operation a body that it accepts, with those fields."""
    return {operation: {"json": BODIES[operation] | fields} for operation in operations}


def no_leap_second(status: int, field: str, examples: Examples) -> Undescribed:
    reason = "a second 60 ends a month of UTC, so its local time differs in each zone"
    return Undescribed(reason, status, field, DATES, {field: r":[0-5][0-9]:60"}, examples)


UNDESCRIBED = [
    Undescribed(
        "the schema of a parameter knows no other parameter",
        400,
        "cursor",
        "must not be given together with offset",
        {"cursor": "", "offset": ""},
        each(LISTS, params={"cursor": CURSOR, "offset": 1}),
    ),
    Undescribed(
        "the server signs cursors",
        400,
        "cursor",
        "must be the next_cursor of a page of this list, with the same filters and caller",
        {"cursor": ""},
        each(LISTS, params={"cursor": CURSOR}),
    ),
    Undescribed(
        "JSON Schema counts 1.0 as an integer, and a query takes digits alone",
        400,
        "actor_id",
        "must be a positive integer, or all",
        {"actor_id": r"^\d+\.0$"},
        each(OF_ACTORS, params={"actor_id": "1.0"}),
    ),
    Undescribed(
        "the server signs cursors",
        422,
        "cursor",
        "must be the next_cursor of a page of this list, with the same filters and caller",
        {"cursor": ""},
        bodies([SEARCH], cursor=CURSOR),
    ),
    Undescribed(
        "a pattern can't count the words of every script",
        422,
        "q",
        r"must have 1 to 8 terms.*",
        {"q": ""},
        bodies([SEARCH], q="1 2 3 4 5 6 7 8 9"),
    ),
    Undescribed(
        "a pattern can't tell the letters of every script",
        422,
        "q",
        r"has a term without a letter or digit.*",
        {"q": ""},
        bodies([SEARCH], q="\"-\""),
    ),
    Undescribed(
        "a pattern can't pair quotes between terms of every form",
        422,
        "q",
        r"has a quote that is not closed.*",
        {"q": ""},
        bodies([SEARCH], q="\"tests"),
    ),
    Undescribed(
        "client generators can't read conditions on other fields",
        422,
        "status",
        r"must be left out with a kind other than todo.*",
        {"status": "", "kind": ""},
        bodies([SEARCH], status="open", kind="session"),
    ),
    Undescribed(
        "the IANA database changes several times a year",
        400,
        "tz",
        "must be a time zone of the IANA database, such as Europe/Vienna or UTC",
        {"tz": ""},
        each([*RANGES, *STATS], params={"tz": "Europe/Atlantis"}),
    ),
    Undescribed(
        "the schema of a parameter knows no other parameter",
        400,
        "active_since",
        "must not be given together with since or until",
        {"active_since": ""},
        each(
            ["GET /api/v1/sessions"],
            params={"active_since": "2026-04-09", "since": "2026-04-01"},
        ),
    ),
    Undescribed(
        "the schema of a parameter knows no other parameter",
        400,
        "overdue",
        "must not be given together with sort, or with a filter but actor_id",
        {"overdue": "true"},
        each(["GET /api/v1/todos"], params={"overdue": "true", "status": "open"}),
    ),
    Undescribed(
        "the schema of a parameter knows no other parameter",
        400,
        "sort",
        "status_since needs status=done or status=cancelled, and can't be combined with session_id",
        {"sort": "status_since"},
        each(["GET /api/v1/todos"], params={"sort": "status_since", "status": "open"}),
    ),
    no_leap_second(
        400,
        "active_since",
        each(["GET /api/v1/sessions"], params={"active_since": NO_LEAP_SECOND}),
    ),
    no_leap_second(400, "since", each([BRIEF, *TIMED], params={"since": NO_LEAP_SECOND})),
    no_leap_second(400, "until", each(TIMED, params={"until": NO_LEAP_SECOND})),
    no_leap_second(422, "due_at", bodies([CREATE, UPDATE_TODO], due_at=NO_LEAP_SECOND)),
    no_leap_second(422, "since", bodies([SEARCH], since=NO_LEAP_SECOND)),
    no_leap_second(422, "until", bodies([SEARCH], until=NO_LEAP_SECOND)),
    no_leap_second(422, "logged_at", bodies([LOG], logged_at=NO_LEAP_SECOND)),
    no_leap_second(422, "expires_at", bodies([ADD_KEY], expires_at=NO_LEAP_SECOND)),
    Undescribed(
        "a schema knows no clock",
        422,
        "expires_at",
        r"The expiry must be in the future\.",
        {"expires_at": ""},
        bodies([ADD_KEY], expires_at="2020-01-01"),
    ),
    Undescribed(
        "the database knows which rows exist",
        422,
        "session_id",
        r"There is no session \d+\.",
        {"session_id": NUMBER},
        bodies([CREATE, CLAIM, LOG, UPDATE_TODO], session_id=UNKNOWN_ID),
    ),
    Undescribed(
        "the database knows which rows exist",
        422,
        "actor_id",
        r"There is no actor \d+\.",
        {"actor_id": NUMBER},
        bodies([START, CREATE, CLAIM, LOG, ADD_KEY], actor_id=UNKNOWN_ID),
    ),
    Undescribed(
        "the database knows the status of a todo",
        422,
        "note",
        r"A note needs a change of status, and this patch does not change it\.",
        {"note": ""},
        bodies([UPDATE_TODO], note="All of them", status="open"),
    ),
    Undescribed(
        "a precondition is about the state of a row",
        412,
        None,
        r"The (session|todo|activity) has changed since you read it: read it again, then decide\.",
        {"If-Match": '"'},
        each([UPDATE_SESSION, UPDATE_TODO, *DELETIONS], headers={"If-Match": '"another"'}),
    ),
    Undescribed(
        "the server remembers idempotency keys",
        422,
        None,
        r"This Idempotency-Key was used for a different request in the last 24 hours: .*",
        {"Idempotency-Key": ""},
        each(
            [START, CREATE, CLAIM, RELEASE, LOG, GRANT, UPDATE_SESSION, UPDATE_TODO, *DELETIONS],
            headers={"Idempotency-Key": USED_KEY},
        ),
    ),
    Undescribed(
        "a schema describes no lines of a body",
        422,
        "kind",
        "must be export on the first line",
        {},
        each([IMPORT], data="", headers=LINES),
    ),
    Undescribed(
        "a schema describes no lines of a body",
        422,
        "body",
        r"must be a JSON object, not .+",
        {},
        each([IMPORT], data="3", headers=LINES),
    ),
    Undescribed(
        "a schema describes no lines of a body",
        422,
        "kind",
        "is required",
        {},
        each([IMPORT], data="{}", headers=LINES),
    ),
    Undescribed(
        "a schema describes no lines of a body",
        400,
        None,
        r"The body .+, at line \d+, column \d+\.",
        {},
        each([IMPORT], data="[", headers=LINES),
    ),
]


def prove() -> None:
    """Sends the example of each exception. A new account keeps other clients undisturbed."""
    url = os.environ["ROOTS_URL"]

    def send(key: str | None, operation: str, **parts: Any) -> requests.Response:
        method, path = operation.split(" ")
        headers = parts.pop("headers", {}) | ({"X-API-Key": key} if key else {})
        return requests.request(method, url + path, headers=headers, timeout=10, **parts)

    def made(key: str | None, operation: str, **parts: Any) -> dict[str, Any]:
        response = send(key, operation, **parts)
        response.raise_for_status()
        return response.json()

    account = {"account_name": "exceptions", "actor_name": "caller", "actor_type": "agent"}
    founded = made(None, "POST /api/v1/bootstrap", json=account)
    key, operator_key = founded["api_key"], os.environ["ROOTS_API_KEY"]
    used = {"Idempotency-Key": USED_KEY}
    made(operator_key, START, json={"notes": "First"}, headers=used)
    ids = {
        "accounts": founded["account_id"],
        "sessions": made(key, START, json={"notes": "First"}, headers=used)["session_id"],
        "todos": made(key, CREATE, json=BODIES[CREATE])["todo_id"],
        "activities": made(key, LOG, json=BODIES[LOG])["activity_id"],
    }
    for exception in UNDESCRIBED:
        for operation, parts in exception.examples.items():
            caller = operator_key if operation in (LISTS[0], GRANT) else key
            path = operation.replace("{id}", str(ids.get(operation.split("/")[3])))
            response = send(caller, path, **parts)
            refused = response.status_code >= 400 and explains([exception], operation, response)
            assert refused, f"{operation} is not refused, since {exception.reason}: {response.text}"


if __name__ == "__main__":
    prove()
