// Runs every case, or those whose name contains an argument, and exits with 1 if one failed.
import {runAll, strict, world} from './harness.mjs';
import {cases as services} from './services.mjs';
import {cases as jobs} from './jobs.mjs';
import {cases as logging} from './logging.mjs';
import {cases as faults} from './faults.mjs';

const wanted = process.argv.slice(2);
const all = Object.entries({...services, ...jobs, ...logging, ...faults});
const chosen = all.filter(([name]) => wanted.length === 0 || wanted.some(part => name.includes(part)));
const failed = await runAll(Object.fromEntries(chosen));
await Promise.all([world.close(), strict.close()]);
process.exit(failed > 0 ? 1 : 0); // clients of streams may keep the process alive
