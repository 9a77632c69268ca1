// Writes workflow commands with GitHub's own toolkit, one for each line of JSON on stdin:
//   {"command": "error", "message": "50%\nmore", "properties": {"file": "a,b:c.sql", "startLine": 3}}
//   {"command": "add-mask", "message": "p%40ss"}
import * as core from "@actions/core";
import readline from "node:readline";

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { command, message, properties } = JSON.parse(line);
  if (command === "add-mask") core.setSecret(message);
  else core[command](message, properties);
}
