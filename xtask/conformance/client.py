"""Calls every operation by the client that openapi-python-client makes, and reads each answer.

A new account makes the calls, so that they do not disturb other clients of the server.
Environment: ROOTS_URL, the address of the server; ROOTS_API_KEY, a key of its operator's account.
"""

import io
import json
import os
from typing import Any, TypeVar

from roots_client import AuthenticatedClient, Client
from roots_client.api.accounts import (
    bootstrap,
    erase_account,
    export,
    get_credit_stats,
    get_credits,
    get_usage,
    get_usage_history,
    import_,
    list_audit,
    list_ledger,
    recover,
    renew_recovery_code,
    whoami,
)
from roots_client.api.activities import (
    delete_activity,
    get_activity,
    get_activity_stats,
    list_activities,
    log_activity,
)
from roots_client.api.brief import brief
from roots_client.api.events import events
from roots_client.api.keys import (
    add_actor,
    add_key,
    deactivate_actor,
    get_actor,
    list_actors,
    list_keys,
    revoke_key,
    rotate_key,
    update_actor,
)
from roots_client.api.operators import (
    get_account,
    grant_credits,
    list_accounts,
    resume_account,
    suspend_account,
)
from roots_client.api.search import search
from roots_client.api.service import health, openapi, problems, ready
from roots_client.api.sessions import (
    delete_session,
    get_session,
    list_sessions,
    start_session,
    update_session,
)
from roots_client.api.todos import (
    claim_todo,
    create_todo,
    delete_todo,
    get_todo,
    get_todo_logs,
    get_todo_stats,
    list_todos,
    release_todo,
    update_todo,
)
from roots_client.models import (
    Account,
    AccountErased,
    AccountPage,
    AccountState,
    Action,
    Activity,
    ActivityDeleted,
    ActivityLine,
    ActivityPage,
    ActivityStats,
    Actor,
    ActorChange,
    ActorDeactivated,
    ActorFilterType1,
    ActorLine,
    ActorPage,
    ActorType,
    AuditPage,
    Bootstrapped,
    Brief,
    CreditStats,
    Credits,
    CreditsGranted,
    EndLine,
    Erasure,
    Event,
    HeaderLine,
    Health,
    Import,
    KeyPage,
    KeyRevoked,
    LedgerPage,
    ListedTodo,
    NewAccount,
    NewActivity,
    NewActor,
    NewClaim,
    NewCredits,
    NewKey,
    NewKeyShown,
    NewSession,
    NewTodo,
    OpenapiResponse200,
    Problem,
    Ready,
    Recovered,
    Recovery,
    RecoveryCodeRenewed,
    Release,
    Rotation,
    Search,
    SearchKind,
    SearchResults,
    Session,
    SessionChange,
    SessionDeleted,
    SessionLine,
    SessionPage,
    SessionStatus,
    StepLine,
    Todo,
    TodoChange,
    TodoDeleted,
    TodoLine,
    TodoLog,
    TodoPage,
    TodoStats,
    TodoStatus,
    Usage,
    UsageHistory,
    Whoami,
)
from roots_client.types import File, Response

URL = os.environ["ROOTS_URL"]
T = TypeVar("T")


def read(kind: type[T], response: Response[Any]) -> T:
    """The answer, which must be of that kind and hold nothing that is not described."""
    answer = response.parsed
    assert isinstance(answer, kind), f"{response.status_code}, no {kind}: {response.content!r}"
    undescribed = getattr(answer, "additional_properties", None)
    assert not undescribed or kind is OpenapiResponse200, f"not in the schema: {undescribed}"
    return answer


def with_key(key: str) -> AuthenticatedClient:
    return AuthenticatedClient(
        base_url=URL,
        token=key,
        prefix="",
        auth_header_name="X-API-Key",
        raise_on_unexpected_status=True,
    )


anyone = Client(base_url=URL, raise_on_unexpected_status=True)
operator = with_key(os.environ["ROOTS_API_KEY"])

# The service.
read(Health, health.sync_detailed(client=anyone))
read(Ready, ready.sync_detailed(client=anyone))
read(OpenapiResponse200, openapi.sync_detailed(client=anyone))
read(str, problems.sync_detailed(client=anyone))

# An account, and an agent of it.
new_account = NewAccount(account_name="Conformance", actor_name="owner", actor_type=ActorType.HUMAN)
made = read(Bootstrapped, bootstrap.sync_detailed(client=anyone, body=new_account))
owner = with_key(made.api_key)
assert read(Whoami, whoami.sync_detailed(client=owner)).actor_id == made.actor_id
new_actor = NewActor(name="agent", actor_type=ActorType.AGENT)
actor = read(Actor, add_actor.sync_detailed(client=owner, body=new_actor))
key = read(NewKeyShown, add_key.sync_detailed(client=owner, body=NewKey(actor_id=actor.actor_id)))
agent = with_key(key.api_key)

# A session of work.
session = read(Session, start_session.sync_detailed(client=agent, body=NewSession(notes="Begun")))
read(Session, get_session.sync_detailed(session.session_id, client=agent))
new_todo = NewTodo(title="Write the tests", session_id=session.session_id, due_at="2030-01-01")
todo = read(Todo, create_todo.sync_detailed(client=agent, body=new_todo))
claim = NewClaim(session_id=session.session_id, lease_seconds=60)
claimed = read(ListedTodo, claim_todo.sync_detailed(client=agent, body=claim))
assert claimed.todo_id == todo.todo_id and claimed.claim and claimed.claim.token == 1
assert claim_todo.sync_detailed(client=agent, body=NewClaim()).status_code == 204
given_up = Release(claim_token=1)
released = read(Todo, release_todo.sync_detailed(todo.todo_id, client=agent, body=given_up))
assert released.status is TodoStatus.OPEN
lost = read(Problem, release_todo.sync_detailed(todo.todo_id, client=agent, body=given_up))
assert lost.type_ == "/docs/problems#claim-lost"
claimed = read(ListedTodo, claim_todo.sync_detailed(client=agent, body=claim))
assert claimed.claim and claimed.claim.token == 2
change = TodoChange(status=TodoStatus.DONE, note="All of them", claim_token=claimed.claim.token)
done = read(Todo, update_todo.sync_detailed(todo.todo_id, client=agent, body=change))
assert done.status is TodoStatus.DONE
read(Todo, get_todo.sync_detailed(todo.todo_id, client=agent))
assert len(read(TodoLog, get_todo_logs.sync_detailed(todo.todo_id, client=agent)).logs) == 4
listed = read(TodoPage, list_todos.sync_detailed(client=agent, limit=1)).todos
assert [(one.todo_id, one.until) for one in listed] == [(todo.todo_id, None)]
assert listed[0].status_since == done.status_since
assert read(TodoPage, list_todos.sync_detailed(client=agent, overdue=True)).total == 0
counted = read(TodoStats, get_todo_stats.sync_detailed(client=agent, tz="Europe/Berlin"))
assert (counted.made, counted.done, counted.by_actor[0].made) == (1, 1, 1)
new_activity = NewActivity(description="Wrote the tests", session_id=session.session_id)
activity = read(Activity, log_activity.sync_detailed(client=agent, body=new_activity))
read(Activity, get_activity.sync_detailed(activity.activity_id, client=agent))
assert read(ActivityPage, list_activities.sync_detailed(client=agent)).activities == [activity]
read(ActivityStats, get_activity_stats.sync_detailed(client=agent, tz="Europe/Berlin"))
woken = read(Brief, brief.sync_detailed(client=agent, max_tokens=500))
assert woken.session and woken.session.session_id == session.session_id
assert not woken.has_work and woken.next_action.action is Action.NONE
wanted = Search(q='tests "wrote the"')
results = read(SearchResults, search.sync_detailed(client=agent, body=wanted)).results
assert [(found.kind, found.id) for found in results] == [
    (SearchKind.ACTIVITY, activity.activity_id)
]
ended = SessionChange(status=SessionStatus.ENDED)
read(Session, update_session.sync_detailed(session.session_id, client=agent, body=ended))
assert len(read(SessionPage, list_sessions.sync_detailed(client=agent)).sessions) == 1

# An error is a Problem.
missing = read(Problem, get_todo.sync_detailed(999_999_999, client=agent))
assert missing.status == 404

# Each line of an export is of its kind's schema.
LINES: dict[str, Any] = {
    "export": HeaderLine,
    "actor": ActorLine,
    "session": SessionLine,
    "todo": TodoLine,
    "todo_log": StepLine,
    "activity": ActivityLine,
    "end": EndLine,
}
lines = read(File, export.sync_detailed(client=owner)).payload.read()
found = []
for text in lines.splitlines():
    line = json.loads(text)
    read_line = LINES[line["kind"]].from_dict(line)
    assert not getattr(read_line, "additional_properties", None), f"not in the schema: {text!r}"
    assert read_line.to_dict().keys() == line.keys(), f"read as {read_line}: {text!r}"
    found.append(line["kind"])
assert set(found) == set(LINES), f"not all kinds of lines: {found}"
# No account imports an export of its own.
file = File(payload=io.BytesIO(lines))
caller = read(Whoami, whoami.sync_detailed(client=operator))
trial = import_.sync_detailed(client=operator, body=file, actor_id=caller.actor_id, dry_run=True)
report = read(Import, trial)
assert report.lines == len(found) and report.faulty == 0, report

# Each event of a stream is of its schema.
told = read(str, events.sync_detailed(client=owner, follow=False, last_event_id="0.0"))
found = []
for row in told.splitlines():
    if row.startswith("data: "):
        event = json.loads(row.removeprefix("data: "))
        read_event = Event.from_dict(event)
        undescribed = getattr(read_event, "additional_properties", None)
        assert not undescribed, f"not in the schema: {row!r}"
        assert read_event.to_dict().keys() == event.keys(), f"read as {read_event}: {row!r}"
        found.append(event["kind"])
assert {"session", "todo", "activity", "actor", "key"} <= set(found), f"kinds of events: {found}"

# What it cost.
credits_ = read(Credits, get_credits.sync_detailed(client=owner))
curve = read(CreditStats, get_credit_stats.sync_detailed(client=owner, actor_id=ActorFilterType1.ALL))
assert curve.balance == credits_.balance == curve.by_day[-1].balance
read(LedgerPage, list_ledger.sync_detailed(client=owner))
read(Usage, get_usage.sync_detailed(client=owner))
read(UsageHistory, get_usage_history.sync_detailed(client=owner))

# Its rows are deleted.
read(ActivityDeleted, delete_activity.sync_detailed(activity.activity_id, client=agent))
read(TodoDeleted, delete_todo.sync_detailed(todo.todo_id, client=agent))
read(SessionDeleted, delete_session.sync_detailed(session.session_id, client=agent))

# What its operator does.
read(AccountPage, list_accounts.sync_detailed(client=operator))
read(Account, get_account.sync_detailed(made.account_id, client=operator))
credits = NewCredits(amount=1000, note="April")
read(CreditsGranted, grant_credits.sync_detailed(made.account_id, client=operator, body=credits))
read(AccountState, suspend_account.sync_detailed(made.account_id, client=operator))
read(AccountState, resume_account.sync_detailed(made.account_id, client=operator))

# Actors and keys.
read(ActorPage, list_actors.sync_detailed(client=owner))
read(Actor, get_actor.sync_detailed(actor.actor_id, client=owner))
renamed = ActorChange(name="reviewer")
read(Actor, update_actor.sync_detailed(actor.actor_id, client=owner, body=renamed))
read(KeyPage, list_keys.sync_detailed(client=owner))
rotated = read(NewKeyShown, rotate_key.sync_detailed(client=agent, body=Rotation(label="laptop")))
read(KeyRevoked, revoke_key.sync_detailed(rotated.key_id, client=owner))
read(ActorDeactivated, deactivate_actor.sync_detailed(actor.actor_id, client=owner))
renewed = read(RecoveryCodeRenewed, renew_recovery_code.sync_detailed(client=owner))
recovery = Recovery(recovery_code=renewed.recovery_code)
recovered = read(Recovered, recover.sync_detailed(client=anyone, body=recovery))
owner = with_key(recovered.api_key)
read(AuditPage, list_audit.sync_detailed(client=owner))
erasure = Erasure(recovery_code=recovered.recovery_code)
read(AccountErased, erase_account.sync_detailed(client=owner, body=erasure))
