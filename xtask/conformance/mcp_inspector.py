"""Calls each tool with the MCP inspector: the first good and the first bad call of mcp_calls.json.

Environment: see mcp_client.py. It prints nothing unless something is wrong.
"""

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mcp_table import CALLS, HOME, PROGRAM, URL, check, filled, new_key

# Its exit status when no key is given, and when a tool refuses.
NO_KEY = 3
REFUSED = 5
# Without its own folder it would read the settings of the developer's.
ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": HOME, "NO_PROXY": "127.0.0.1"}


def inspect(*words: str) -> tuple[int, str, str]:
    """Its exit status, and what it writes to standard output and to standard error."""
    command = ["mcp-inspector", "--cli", *words, "--format", "json"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


def run(target: list[str]) -> None:
    # Both eras of the protocol. A schema that other programs may not read is an error.
    for era in ["legacy", "auto"]:
        listed = inspect(*target, "--protocol-era", era, "--method", "tools/list", "--strict")
        assert listed[0] == 0 and not listed[2], f"{target[0]}, {era}: {listed}"
    seen = set()
    kept: dict[str, Any] = {}
    for call in CALLS:
        kind = (call["tool"], "refused" in call)
        if kind in seen:
            continue
        seen.add(kind)
        arguments = json.dumps(filled(call["arguments"], kept))
        words = ["--method", "tools/call", "--tool-name", call["tool"]]
        status, out, err = inspect(*target, *words, "--tool-args-json", arguments)
        said = f"{target[0]}, {call['tool']} {arguments}: {status} {out} {err}"
        assert status == (REFUSED if "refused" in call else 0), said
        # Of a refusal it says on standard error that it was one. Anything else is a warning.
        assert len(err.splitlines()) <= int("refused" in call), said
        try:
            check(call, json.loads(out)["result"], kept)
        except (AssertionError, LookupError) as error:
            error.add_note(said)
            raise


http = ["--server-url", f"{URL}/mcp", "--transport", "http"]
settings = [f"ROOTS_URL={URL}", f"ROOTS_API_KEY={new_key()}"]
stdio = [PROGRAM, "mcp", "--cwd", HOME, *(word for pair in settings for word in ("-e", pair))]
with ThreadPoolExecutor() as pool:
    for done in [
        pool.submit(run, [*http, "--header", f"X-API-Key: {new_key()}"]),
        pool.submit(run, stdio),
    ]:
        done.result()

# Without a key it hears 401, and starts no login.
status, out, err = inspect(*http, "--stored-auth-only", "--method", "tools/list")
assert status == NO_KEY and not out and "auth_required" in err, (status, out, err)
