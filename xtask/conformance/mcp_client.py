"""Makes the calls of mcp_calls.json with the MCP client for Python, in both eras of the protocol.

The client holds each result to its `outputSchema`; this holds good arguments to the `inputSchema`.
Environment: ROOTS_URL, the address of the server; ROOTS_PROGRAM, the path of the command `roots`;
ROOTS_HOME, a folder for what that command stores. It prints nothing unless something is wrong.
"""

import json
from typing import Any, Literal

import anyio
import httpx2
import jsonschema_rs
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_table import CALLS, HOME, PROGRAM, TOOLS, URL, check, filled, new_key

Mode = Literal["auto", "legacy"]
VERSIONS: dict[Mode, str] = {"auto": "2026-07-28", "legacy": "2025-11-25"}


async def run(mode: Mode, client: Client) -> None:
    async with client:
        assert client.protocol_version == VERSIONS[mode]
        assert client.instructions
        tools = (await client.list_tools()).tools
        assert [tool.name for tool in tools] == TOOLS
        schemas = {tool.name: tool.input_schema for tool in tools}
        kept: dict[str, Any] = {}
        for call in CALLS:
            arguments = filled(call["arguments"], kept)
            try:
                if "refused" not in call:
                    jsonschema_rs.validate(schemas[call["tool"]], arguments)
                result = await client.call_tool(call["tool"], arguments)
                check(call, result.model_dump(by_alias=True), kept)
            except Exception as error:
                error.add_note(f"{mode}: {call['tool']} {json.dumps(arguments)}")
                raise
        try:
            await client.call_tool("claim_tood", {})
        except MCPError as error:
            assert "claim_tood" in str(error)
        else:
            raise AssertionError("an unknown tool was called")


async def main() -> None:
    for mode in VERSIONS:
        async with httpx2.AsyncClient(headers={"X-API-Key": new_key()}) as http:
            transport = streamable_http_client(f"{URL}/mcp", http_client=http)
            await run(mode, Client(transport, mode=mode))
        env = {"HOME": HOME, "ROOTS_URL": URL, "ROOTS_API_KEY": new_key()}
        command = StdioServerParameters(command=PROGRAM, args=["mcp"], env=env, cwd=HOME)
        await run(mode, Client(command, mode=mode))


anyio.run(main)
