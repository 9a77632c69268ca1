// Our GraphQL documents against GitHub's published schema.
//   node graphql.mjs document.graphql …
import fs from "node:fs";
import { buildSchema, parse, validate } from "graphql";

const schema = fs.readFileSync("node_modules/@octokit/graphql-schema/schema.graphql", "utf8");
const built = buildSchema(schema, { assumeValid: true });
let found = 0;
for (const file of process.argv.slice(2)) {
  for (const { message } of validate(built, parse(fs.readFileSync(file, "utf8")))) {
    found += 1;
    console.log(`${file}: ${message}`);
  }
}
process.exit(found ? 1 : 0);
