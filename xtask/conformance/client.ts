// A TypeScript client with the types that openapi-typescript generates: it lists, creates and
// patches.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.d.ts";

declare const process: { env: Record<string, string | undefined> };

type Todo = components["schemas"]["Todo"];

const { ROOTS_URL: baseUrl, ROOTS_API_KEY: key } = process.env;
if (baseUrl === undefined || key === undefined) throw new Error("ROOTS_URL and ROOTS_API_KEY");
const client = createClient<paths>({ baseUrl, headers: { "X-API-Key": key } });

const created = await client.POST("/api/v1/todos", { body: { title: "Write the tests" } });
if (created.error !== undefined) throw new Error(created.error.detail);
const todo: Todo = created.data;

const patched = await client.PATCH("/api/v1/todos/{id}", {
  params: { path: { id: todo.todo_id } },
  body: { status: "in_progress", note: "Begun" },
});
if (patched.error !== undefined) throw new Error(patched.error.detail);
const status: Todo["status"] = patched.data.status;

const listed = await client.GET("/api/v1/todos", {
  params: { query: { status, limit: 20 } },
});
if (listed.error !== undefined) throw new Error(listed.error.detail);
const found: Todo | undefined = listed.data.todos.find((one) => one.todo_id === todo.todo_id);
if (found?.status !== "in_progress") throw new Error(`not in the list: ${JSON.stringify(found)}`);

const missing = await client.GET("/api/v1/todos/{id}", { params: { path: { id: 999_999_999 } } });
if (missing.error?.status !== 404) throw new Error(`not a problem: ${JSON.stringify(missing)}`);
