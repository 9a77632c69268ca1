// Runs a composite action.yml on this machine much as actions/runner does, and prints what the runner
// would have kept, as JSON on the last line.
//   node run-composite.mjs ACTION_FOLDER EVENT_NAME EVENT.json [input=value …] [env:NAME=value …]
// Expressions are evaluated by GitHub's own library. Workflow commands are read from stdout and stderr
// in the runner's two grammars (`::command::` at a line's start, `##[command]` anywhere), with masks,
// stop-commands, and ten annotations of a kind for the whole action. The rules are those of
// actions/runner: ActionCommand.cs, ActionCommandManager.cs, FileCommandManager.cs, ProcessInvoker.cs.
import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { data, Evaluator, Lexer, Parser } from "@actions/expressions";
import YAML from "yaml";

const [folder, eventName, eventPath, ...settings] = process.argv.slice(2);
const action = YAML.parse(fs.readFileSync(path.join(folder, "action.yml"), "utf8"));
const temp = fs.mkdtempSync(path.join(os.tmpdir(), "runner-"));
const workspace = process.cwd();

const given = {};
const variables = {};
for (const setting of settings) {
  const [name, ...value] = setting.split("=");
  if (name.startsWith("env:")) variables[name.slice(4)] = value.join("=");
  else given[name] = value.join("=");
}

// Expressions.

function toData(value) {
  if (value === null || value === undefined) return new data.Null();
  if (typeof value === "string") return new data.StringData(value);
  if (typeof value === "number") return new data.NumberData(value);
  if (typeof value === "boolean") return new data.BooleanData(value);
  if (Array.isArray(value)) return new data.Array(...value.map(toData));
  return new data.Dictionary(...Object.entries(value).map(([key, it]) => ({ key, value: toData(it) })));
}

const context = {
  github: {
    token: variables.GITHUB_TOKEN ?? "ghs_token",
    event_name: eventName,
    event: JSON.parse(fs.readFileSync(eventPath, "utf8")),
    action_path: path.resolve(folder),
    workspace,
  },
  inputs: {},
  steps: {},
  runner: { os: "Linux", arch: "X64", temp },
  env: {},
};

function evaluate(source) {
  const parser = new Parser(new Lexer(source).lex().tokens, Object.keys(context), []);
  return new Evaluator(parser.parse(), toData(context)).evaluate().coerceString();
}

const expand = (text) => String(text).replace(/\$\{\{([\s\S]*?)\}\}/g, (_, inner) => evaluate(inner.trim()));

for (const name of Object.keys(given)) {
  if (!action.inputs[name]) throw new Error(`unexpected input ${name}`);
}
for (const [name, input] of Object.entries(action.inputs)) {
  context.inputs[name] = given[name] ?? expand(input.default ?? "");
}

// Workflow commands.

const MOST_OF_A_KIND = 10;
const LONGEST_MESSAGE = 4096;
const LARGEST_SUMMARY = 1024 * 1024;
const KNOWN = new Set(
  `error warning notice debug group endgroup add-mask stop-commands echo add-matcher remove-matcher
   set-output save-state set-env add-path`.split(/\s+/),
);
const masks = new Set();
const annotations = { error: [], warning: [], notice: [] };
const forbidden = [];
const log = [];
let stopped = null;

function masked(text) {
  const longestFirst = [...masks].filter(Boolean).sort((a, b) => b.length - a.length);
  return longestFirst.reduce((out, mask) => out.replaceAll(mask, "***"), text);
}

function unescape(text, property) {
  let out = text.replaceAll("%0D", "\r").replaceAll("%0A", "\n");
  if (property) out = out.replaceAll("%3A", ":").replaceAll("%2C", ",");
  return out.replaceAll("%25", "%");
}

function split(head, value) {
  const space = head.indexOf(" ");
  const name = space < 0 ? head : head.slice(0, space);
  return { name, properties: space < 0 ? "" : head.slice(space + 1), value };
}

function read(line) {
  const known = (it) => it && (KNOWN.has(it.name.toLowerCase()) || it.name === stopped);
  const text = line.trimStart();
  const end = text.indexOf("::", 2);
  if (text.startsWith("::") && end > 0) {
    const found = split(text.slice(2, end), text.slice(end + 2));
    if (known(found)) return found;
  }
  const start = line.indexOf("##[");
  const close = line.indexOf("]", start);
  if (start < 0 || close < 0) return null;
  const found = split(line.slice(start + 3, close), line.slice(close + 1));
  return known(found) ? found : null;
}

/** Obeys a command; false if the line is none. */
function obey(line) {
  const command = read(line);
  if (!command) return false;
  if (stopped !== null) {
    if (command.name !== stopped) return false;
    stopped = null;
    return true;
  }
  const name = command.name.toLowerCase();
  const value = unescape(command.value, false);
  if (name === "stop-commands") {
    stopped = command.value;
    masks.add(stopped);
  } else if (name === "add-mask") masks.add(value);
  else if (annotations[name]) {
    const properties = Object.fromEntries(
      command.properties
        .split(",")
        .filter(Boolean)
        .map((pair) => [pair.slice(0, pair.indexOf("=")), unescape(pair.slice(pair.indexOf("=") + 1), true)]),
    );
    annotations[name].push({ ...properties, message: masked(value).slice(0, LONGEST_MESSAGE) });
  } else if (["set-env", "add-path", "set-output", "save-state"].includes(name)) forbidden.push(line);
  return true;
}

function hear(stream) {
  let rest = "";
  const line = (text) => {
    if (!obey(text)) log.push(masked(text));
  };
  stream.on("data", (chunk) => {
    const lines = (rest + chunk).split(/\r\n|\r|\n/);
    rest = lines.pop();
    lines.forEach(line);
  });
  return () => rest && line(rest);
}

// Steps.

function outputsOf(file) {
  const outputs = {};
  const lines = fs.readFileSync(file, "utf8").split("\n");
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at];
    if (!line) continue;
    const heredoc = line.indexOf("<<");
    const equals = line.indexOf("=");
    if (heredoc >= 0 && (equals < 0 || heredoc < equals)) {
      const delimiter = line.slice(heredoc + 2);
      const value = [];
      for (at += 1; lines[at] !== delimiter; at += 1) {
        if (at >= lines.length) throw new Error(`no closing delimiter ${delimiter}`);
        value.push(lines[at]);
      }
      outputs[line.slice(0, heredoc)] = value.join("\n");
    } else if (equals > 0) outputs[line.slice(0, equals)] = line.slice(equals + 1);
    else throw new Error(`invalid format: ${line}`);
  }
  return outputs;
}

function run(step, number) {
  const file = (name) => path.join(temp, `${name}_${number}`);
  for (const name of ["output", "env", "path", "summary", "state"]) fs.writeFileSync(file(name), "");
  const env = {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    GITHUB_REPOSITORY: "o/r",
    ...variables,
    CI: "true",
    GITHUB_ACTIONS: "true",
    GITHUB_WORKSPACE: workspace,
    GITHUB_EVENT_NAME: eventName,
    GITHUB_EVENT_PATH: path.resolve(eventPath),
    GITHUB_ACTION_PATH: path.resolve(folder),
    RUNNER_TEMP: temp,
    RUNNER_TOOL_CACHE: path.join(temp, "tools"),
    GITHUB_OUTPUT: file("output"),
    GITHUB_ENV: file("env"),
    GITHUB_PATH: file("path"),
    GITHUB_STEP_SUMMARY: file("summary"),
    GITHUB_STATE: file("state"),
  };
  for (const [name, value] of Object.entries(step.env ?? {})) env[name] = expand(value);
  const script = path.join(temp, `step_${number}.sh`);
  fs.writeFileSync(script, expand(step.run));
  const shells = { sh: ["sh", "-e"], bash: ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail"] };
  const [shell, ...options] = shells[step.shell];
  return new Promise((resolve) => {
    const child = spawn(shell, [...options, script], { env, cwd: workspace });
    const ends = [hear(child.stdout), hear(child.stderr)];
    child.on("close", (code) => {
      ends.forEach((end) => end());
      resolve({ code, outputs: outputsOf(file("output")), summary: fs.readFileSync(file("summary"), "utf8") });
    });
  });
}

let code = 0;
let summary = "";
for (const [number, step] of action.runs.steps.entries()) {
  const ran = await run(step, number);
  if (step.id) context.steps[step.id] = { outputs: ran.outputs, outcome: ran.code ? "failure" : "success" };
  // Over the limit the runner drops it whole.
  if (Buffer.byteLength(ran.summary) <= LARGEST_SUMMARY) summary += ran.summary;
  code = ran.code;
  if (code) break;
}
const outputs = Object.fromEntries(
  Object.entries(action.outputs ?? {}).map(([name, output]) => [name, expand(output.value)]),
);
for (const kind of Object.keys(annotations)) annotations[kind] = annotations[kind].slice(0, MOST_OF_A_KIND);
fs.rmSync(temp, { recursive: true });
console.log(JSON.stringify({ code, outputs, annotations, forbidden, masks: [...masks], log, summary }));
