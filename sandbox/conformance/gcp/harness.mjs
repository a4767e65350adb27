// What the cases share: Google's clients, bound to the local servers that conformance_test.go names in the
// environment, and a runner that prints one line a case.
import assert from 'node:assert/strict';
import {createRequire} from 'node:module';
import run from '@google-cloud/run';
import logging from '@google-cloud/logging';

const require = createRequire(import.meta.url);
const {grpc} = createRequire(require.resolve('@google-cloud/run'))('google-gax');

export {assert, grpc};
export const project = process.env.GCP_PROJECT;
export const region = process.env.GCP_REGION;
export const images = process.env.GCP_IMAGES; // repository of the images good, bad, crash and hang
export const place = `projects/${project}/locations/${region}`;
export const resourceNames = [`projects/${project}`];

// World is one local server and the clients that other people wrote for it.
class World {
  constructor(port, control) {
    this.control = control;
    this.options = {apiEndpoint: '127.0.0.1', port: Number(port), sslCreds: grpc.credentials.createInsecure(), projectId: project};
    this.services = new run.v2.ServicesClient(this.options);
    this.revisions = new run.v2.RevisionsClient(this.options);
    this.jobs = new run.v2.JobsClient(this.options);
    this.executions = new run.v2.ExecutionsClient(this.options);
    this.tasks = new run.v2.TasksClient(this.options);
    this.logs = new logging.v2.LoggingServiceV2Client(this.options);
    this.logging = new logging.Logging(this.options);
  }

  async post(what, body) {
    const answer = await fetch(`${this.control}/_control/${what}`, {method: 'POST', body: JSON.stringify(body)});
    const said = await answer.json();
    assert.ok(said.ok, `${what}: ${said.error}`);
  }

  fault(fault) {
    return this.post('fault', {target: 'gcp', ...fault});
  }

  async get(what) {
    return (await fetch(`${this.control}/_control/${what}`)).json();
  }

  // calls counts how often a method was called.
  async calls(method) {
    return (await this.get('journal')).filter(call => call.method === method).length;
  }

  // fresh makes a service of its own for a case, serving the good image, and returns its full name.
  async fresh(short, image = 'good') {
    const name = `${place}/services/${short}`;
    const [operation] = await this.services.updateService({
      service: {name, template: {containers: [{image: `${images}:${image}`}]}}, allowMissing: true,
    });
    await operation.promise();
    return name;
  }

  async read(name) {
    return (await this.services.getService({name}))[0];
  }

  // update sends the masked fields and waits for the operation's end.
  async update(service, ...paths) {
    const [operation] = await this.services.updateService({service, updateMask: {paths}});
    return (await operation.promise())[0];
  }

  async close() {
    const clients = [this.services, this.revisions, this.jobs, this.executions, this.tasks, this.logs];
    await Promise.all(clients.map(client => client.close()));
  }
}

export const world = new World(process.env.GCP_PORT, process.env.GCP_CONTROL);
// strict is a server of its own with little quota, for the cases that use it up.
export const strict = new World(process.env.GCP_STRICT_PORT, process.env.GCP_STRICT_CONTROL);

export const code = grpc.status;
export const latest = (percent, tag = '') => ({type: 'TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST', percent, tag});
export const pin = (revision, percent, tag = '') => ({type: 'TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION', revision: short(revision), percent, tag});
export const short = name => name.slice(name.lastIndexOf('/') + 1);
export const template = (image, revision = '') => ({revision, containers: [{image: `${images}:${image}`}]});
export const sleep = ms => new Promise(done => setTimeout(done, ms));
export const once = {retry: null, timeout: 5000}; // call options: no retry by the client

// refused expects a call to end with the status, and returns the error.
export async function refused(call, want) {
  try {
    await call;
  } catch (err) {
    assert.equal(code[err.code], code[want], `ended with ${code[err.code] ?? err}: ${err.message}`);
    return err;
  }
  assert.fail(`was taken, want ${code[want]}`);
}

// until asks again and again, and returns the first answer that is true.
export async function until(ask, ms = 15000) {
  for (const end = Date.now() + ms; Date.now() < end; await sleep(50)) {
    const answer = await ask();
    if (answer) return answer;
  }
  assert.fail('it never came to that');
}

// Timestamp as milliseconds since 1970.
export const millis = ts => Number(ts.seconds) * 1000 + ts.nanos / 1e6;

const longest = 40000; // ms of a case

// runAll runs the cases in turn and says how many failed.
export async function runAll(cases) {
  let failed = 0;
  for (const [name, test] of Object.entries(cases)) {
    let timer;
    const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`took longer than ${longest} ms`)), longest); });
    try {
      await Promise.race([test(), late]);
      console.log(`ok  ${name}`);
    } catch (err) {
      failed++;
      console.log(`FAIL ${name}: ${String(err.message ?? err).replaceAll('\n', ' | ')}`);
    } finally {
      clearTimeout(timer);
    }
  }
  return failed;
}
