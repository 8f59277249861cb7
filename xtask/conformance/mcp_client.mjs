// Makes the calls of mcp_calls.json with the MCP clients for TypeScript: the current one in both
// eras of the protocol, and the one before it. Both hold each result to its `outputSchema`.
// Environment: see mcp_client.py. It prints nothing unless something is wrong.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { Client as OldClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport as OldStdio } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport as OldHttp } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const { ROOTS_URL: url, ROOTS_PROGRAM: program, ROOTS_HOME: home } = process.env;
const endpoint = new URL("/mcp", url);
const table = JSON.parse(readFileSync("mcp_calls.json", "utf8"));
const information = { name: "conformance", version: "1.0.0" };
const isOld = (mode) => mode === "sdk";

const clientOf = (mode) =>
  isOld(mode)
    ? new OldClient(information)
    : new Client(information, { versionNegotiation: { mode } });

function http(mode, headers, options = {}) {
  const Transport = isOld(mode) ? OldHttp : StreamableHTTPClientTransport;
  return new Transport(endpoint, { requestInit: { headers }, ...options });
}

function stdio(mode, key) {
  const Transport = isOld(mode) ? OldStdio : StdioClientTransport;
  const env = { HOME: home, ROOTS_URL: url, ROOTS_API_KEY: key };
  return new Transport({ command: program, args: ["mcp"], cwd: home, env });
}

/** Each run has an account of its own: its lists hold nothing of the others. */
async function newKey() {
  const body = { account_name: "MCP", actor_name: "owner", actor_type: "human" };
  const answer = await fetch(new URL("/api/v1/bootstrap", url), {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  assert.equal(answer.status, 201, await answer.clone().text());
  return (await answer.json()).api_key;
}

/** The value with what was kept of earlier results in the place of each `$name`. */
function filled(value, kept) {
  if (typeof value === "string" && value.startsWith("$")) return kept[value.slice(1)];
  if (Array.isArray(value)) return value.map((one) => filled(one, kept));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, filled(one, kept)]));
}

/** What stands at that JSON pointer. */
const at = (document, pointer) =>
  pointer.split("/").slice(1).reduce((value, name) => value?.[name], document);

function check(call, result, kept) {
  const [block, ...more] = result.content;
  assert.equal(block.type, "text");
  assert.equal(more.length, 0);
  if (call.refused !== undefined) {
    assert.equal(result.isError, true, `not refused: ${block.text}`);
    for (const part of call.refused) assert.ok(block.text.includes(part), `${part}: ${block.text}`);
    return;
  }
  assert.ok(!result.isError, block.text);
  const document = result.structuredContent;
  assert.deepEqual(JSON.parse(block.text), document);
  assert.equal(typeof document.credits_left, "number", block.text);
  assert.equal(typeof document.cost, "number", block.text);
  for (const [pointer, value] of Object.entries(call.holds ?? {})) {
    assert.deepEqual(at(document, pointer), filled(value, kept), `${pointer}: ${block.text}`);
  }
  for (const [name, pointer] of Object.entries(call.keep ?? {})) kept[name] = at(document, pointer);
}

async function run(mode, transport) {
  const client = clientOf(mode);
  await client.connect(transport);
  assert.deepEqual(Object.keys(client.getServerCapabilities()), ["tools"]);
  assert.ok(client.getInstructions().length > 0);
  if (!isOld(mode)) {
    const version = client.getNegotiatedProtocolVersion();
    assert.equal(version, mode === "auto" ? "2026-07-28" : "2025-11-25");
  }
  const { tools } = await client.listTools();
  assert.deepEqual(tools.map((tool) => tool.name), table.tools);
  const kept = {};
  for (const call of table.calls) {
    const named = { name: call.tool, arguments: filled(call.arguments, kept) };
    try {
      check(call, await client.callTool(named), kept);
    } catch (error) {
      throw new Error(JSON.stringify(named), { cause: error });
    }
  }
  await assert.rejects(client.callTool({ name: "claim_tood", arguments: {} }), /claim_tood/);
  await client.close();
}

/** A client without a key hears 401. It finds no server for OAuth and asks nobody to log in. */
async function withoutKey(mode) {
  const refused = clientOf(mode).connect(http(mode, {}));
  await assert.rejects(refused, (error) => /401|Unauthorized/.test(String(error)));
  const authProvider = {
    redirectUrl: "http://127.0.0.1/callback",
    clientMetadata: { redirect_uris: ["http://127.0.0.1/callback"] },
    clientInformation: () => undefined,
    saveClientInformation: () => assert.fail("it registered"),
    tokens: () => undefined,
    saveTokens: () => assert.fail("it has a token"),
    codeVerifier: () => assert.fail("it asked for a token"),
    saveCodeVerifier: () => assert.fail("it began to log in"),
    redirectToAuthorization: () => assert.fail("it opened a browser"),
  };
  const login = clientOf(mode).connect(http(mode, {}, { authProvider }));
  await assert.rejects(login, (error) => !(error instanceof assert.AssertionError));
}

for (const mode of ["auto", "legacy", "sdk"]) {
  const key = await newKey();
  const headers = isOld(mode) ? { "X-API-Key": key } : { Authorization: `Bearer ${key}` };
  for (const [way, transport] of [
    ["HTTP", http(mode, headers)],
    ["stdio", stdio(mode, await newKey())],
  ]) {
    try {
      await run(mode, transport);
    } catch (error) {
      throw new Error(`${mode} over ${way}`, { cause: error });
    }
  }
  await withoutKey(mode);
}
