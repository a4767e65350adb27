// Runs the cases and prints a line for each: `ok   name` or `FAIL name: why`.
//
// SLACKS is JSON: the URL of a local Slack for each case. They run side by side, since most of them wait.

import { Slack, within } from './kit.mjs';
import * as blocks from './blocks.mjs';
import * as calls from './calls.mjs';
import * as faults from './faults.mjs';
import * as interaction from './interaction.mjs';
import * as sockets from './sockets.mjs';

const cases = { ...blocks.cases, ...calls.cases, ...faults.cases, ...interaction.cases, ...sockets.cases };
const longest = 60_000; // ms, for a case

async function run(name, url) {
  if (!cases[name]) return `FAIL ${name}: there is no such case`;
  const slack = new Slack(url);
  try {
    await within(longest, 'the case', cases[name](slack));
    return `ok   ${name}`;
  } catch (error) {
    return `FAIL ${name}: ${String(error.stack ?? error).replaceAll('\n', ' ')}`;
  } finally {
    await slack.stop();
  }
}

process.on('unhandledRejection', (error) => { console.error('unhandled:', error); });

const slacks = JSON.parse(process.env.SLACKS);
for (const name of Object.keys(cases)) {
  if (!slacks[name]) console.log(`FAIL ${name}: it is not in the list of cases`);
}
await Promise.all(Object.entries(slacks).map(async ([name, url]) => { console.log(await run(name, url)); }));
process.exit(0);
