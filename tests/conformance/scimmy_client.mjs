// A client made of SCIMMY's messages and schemas. Argument: the base URL; the token is in the environment.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const SCIMMY = createRequire(`${process.env.CLIENTS}/`)("scimmy").default;
const { Messages, Schemas } = SCIMMY;
const [base] = process.argv.slice(2);

async function send(method, path, body) {
  const headers = { Authorization: `Bearer ${process.env.TOKEN}`, "Content-Type": "application/scim+json" };
  const answer = await fetch(base + path, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  return { status: answer.status, body: text ? JSON.parse(text) : null };
}

// What the service provider says of itself is read by SCIMMY's own definitions, strictly.
const config = new Schemas.ServiceProviderConfig((await send("GET", "/ServiceProviderConfig")).body, "out");
assert.deepEqual([config.patch.supported, config.filter.supported], [true, true]);
const types = new Messages.ListResponse((await send("GET", "/ResourceTypes")).body);
assert.deepEqual(types.Resources.map(({ name }) => name).slice(0, 2), ["User", "Group"]);
types.Resources.forEach((one) => new Schemas.ResourceType(one, "out"));

const person = new Schemas.User({ userName: "ada@example.com", name: { givenName: "Ada", familyName: "Byron" }, active: true }, "in");
const made = await send("POST", "/Users", person);
assert.equal(made.status, 201);
const ada = new Schemas.User(made.body, "out", base);
assert.equal(ada.name.givenName, "Ada");
assert.equal((await send("POST", "/Users", person)).status, 409);

// SCIMMY's message of an error throws what it reads.
const error = (await send("POST", "/Users", person)).body;
assert.throws(() => new Messages.ErrorResponse(error), { name: "SCIMError", status: "409", scimType: "uniqueness" });

const bob = (await send("POST", "/Users", new Schemas.User({ userName: "bob@example.com", active: true }, "in"))).body;
const group = (await send("POST", "/Groups", new Schemas.Group({ displayName: "Engineering", members: [{ value: ada.id }] }, "in"))).body;
assert.deepEqual(new Schemas.Group(group, "out", base).members.map(({ value }) => value), [ada.id]);

const joins = new Messages.PatchOp({
  schemas: [Messages.PatchOp.id],
  Operations: [{ op: "add", path: "members", value: [{ value: bob.id }] }, { op: "remove", path: `members[value eq "${ada.id}"]` }],
});
assert.equal((await send("PATCH", `/Groups/${group.id}`, joins)).status, 204);

// The same PatchOp applied by SCIMMY to what was read, and by the bridge to what is stored, come to the same.
const renames = new Messages.PatchOp({
  schemas: [Messages.PatchOp.id],
  Operations: [{ op: "replace", path: "name.familyName", value: "Lovelace" }, { op: "replace", path: "active", value: false }],
});
const here = await renames.apply(new Schemas.User(made.body, "inout"));
const there = new Schemas.User((await send("PATCH", `/Users/${ada.id}`, renames)).body, "out", base);
assert.deepEqual([there.name.familyName, there.active], [here.name.familyName, here.active]);

// Pages, and a search, by SCIMMY's own messages; the list holds each once.
const pages = [];
for (let startIndex = 1; startIndex <= 2; startIndex++) {
  pages.push(new Messages.ListResponse((await send("GET", `/Users?count=1&startIndex=${startIndex}`)).body));
}
assert.deepEqual(pages.map(({ totalResults, itemsPerPage }) => [totalResults, itemsPerPage]), [[2, 1], [2, 1]]);
assert.deepEqual(new Set(pages.flatMap(({ Resources }) => Resources.map(({ id }) => id))), new Set([ada.id, bob.id]));
const search = new Messages.SearchRequest({ schemas: [Messages.SearchRequest.id], filter: 'userName sw "bob"', attributes: ["userName"] });
const found = new Messages.ListResponse((await send("POST", "/Users/.search", search)).body);
assert.deepEqual(found.Resources.map(({ userName }) => userName), ["bob@example.com"]);

const bulk = new Messages.BulkRequest({
  schemas: [Messages.BulkRequest.id],
  Operations: [
    { method: "POST", path: "/Users", bulkId: "eve", data: { ...person, userName: "eve@example.com" } },
    { method: "PATCH", path: `/Groups/${group.id}`, data: { schemas: [Messages.PatchOp.id], Operations: [{ op: "add", path: "members", value: [{ value: "bulkId:eve" }] }] } },
    { method: "DELETE", path: `/Users/${bob.id}` },
  ],
});
const told = new Messages.BulkResponse((await send("POST", "/Bulk", bulk)).body);
assert.deepEqual(told.Operations.map(({ status }) => String(status)), ["201", "200", "204"]);
