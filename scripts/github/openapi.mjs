// Cuts GitHub's OpenAPI description (npm @octokit/openapi, MIT) down to the routes that we call, with
// every $ref that they reach: tests/it/fixtures/github-openapi.json. The package has 400 MB, so
// scripts/check-github does not install it; run this where it is installed.
//   npm install --no-save @octokit/openapi@23.0.2 && node openapi.mjs >github-openapi.json
import fs from "node:fs";

const source = process.argv[2] ?? "node_modules/@octokit/openapi/generated/api.github.com.json";
const full = JSON.parse(fs.readFileSync(source, "utf8"));
const routes = {
  "/rate_limit": ["get"],
  "/user": ["get"],
  "/repos/{owner}/{repo}": ["get"],
  "/repos/{owner}/{repo}/issues/{issue_number}/comments": ["get", "post"],
  "/repos/{owner}/{repo}/issues/comments/{comment_id}": ["get", "patch", "delete"],
  "/repos/{owner}/{repo}/pulls": ["get"],
  "/repos/{owner}/{repo}/pulls/{pull_number}": ["get"],
  "/repos/{owner}/{repo}/pulls/{pull_number}/files": ["get"],
  "/repos/{owner}/{repo}/pulls/{pull_number}/reviews": ["get", "post"],
  "/repos/{owner}/{repo}/pulls/{pull_number}/comments": ["get", "post"],
  "/repos/{owner}/{repo}/pulls/comments/{comment_id}": ["get", "patch", "delete"],
  "/repos/{owner}/{repo}/commits/{commit_sha}/pulls": ["get"],
  "/repos/{owner}/{repo}/deployments": ["post"],
  "/repos/{owner}/{repo}/deployments/{deployment_id}/statuses": ["post"],
};

const references = [];
// Requests are judged by the description, and no answer is: those keep their status alone.
function copy(value) {
  if (Array.isArray(value)) return value.map(copy);
  if (value === null || typeof value !== "object") return value;
  const out = {};
  for (const [key, inner] of Object.entries(value)) {
    const isExample = ["example", "examples"].includes(key) && value.type === undefined && !value.properties;
    if (isExample) continue;
    if (key === "$ref") references.push(inner);
    out[key] = copy(inner);
  }
  return out;
}

const { openapi, info, servers } = full;
const out = { openapi, info, servers, paths: {}, components: {} };
for (const [route, methods] of Object.entries(routes)) {
  out.paths[route] = {};
  for (const method of methods) {
    const operation = full.paths[route]?.[method];
    if (!operation) throw new Error(`GitHub has no ${method} ${route}`);
    const responses = {};
    for (const [status, { description }] of Object.entries(operation.responses)) {
      responses[status] = { description: description ?? "" };
    }
    out.paths[route][method] = { ...copy({ ...operation, responses: undefined }), responses };
  }
}
const seen = new Set();
while (references.length > 0) {
  const reference = references.pop();
  if (seen.has(reference)) continue;
  seen.add(reference);
  const [, , kind, name] = reference.split("/");
  out.components[kind] ??= {};
  out.components[kind][name] = copy(full.components[kind][name]);
}
process.stdout.write(`${JSON.stringify(out, null, 1)}\n`);
