// Cloud Logging: entries.list and entries.tail.
import {assert, code, grpc, millis, once, refused, resourceNames, sleep, strict, until, world} from './harness.mjs';

const requests = 'resource.type="cloud_run_revision" resource.labels.service_name="busy" log_id("run.googleapis.com/requests")';
const ago = seconds => new Date(Date.now() - seconds * 1000).toISOString();
const between = (from, to) => `${requests} timestamp>="${ago(from)}" timestamp<"${ago(to)}"`;
const page = {...once, autoPaginate: false};

// list reads all pages, empty ones included.
async function list(filter, more = {}) {
  const [entries] = await world.logs.listLogEntries({resourceNames, filter, pageSize: 1000, ...more}, once);
  return entries;
}

// tail opens a session and gathers its responses until it is closed.
function tail(from, request) {
  const stream = from.logs.tailLogEntries();
  const got = {responses: [], entries: [], suppressed: 0, error: null, opened: Date.now(), close: () => stream.cancel()};
  stream.on('data', response => {
    got.responses.push(response);
    got.entries.push(...response.entries);
    for (const info of response.suppressionInfo) got.suppressed += info.suppressedCount;
  });
  stream.on('error', err => { got.error ??= err; });
  stream.write({resourceNames, ...request});
  return got;
}

const failed = got => until(() => got.error);
const inOrder = times => times.every((at, i) => i === 0 || at >= times[i - 1]);

export const cases = {
  'logging: list with a filter': async () => {
    const entries = await list(between(60, 30));
    assert.ok(entries.length > 100, `${entries.length} entries`);
    for (const entry of entries) {
      assert.equal(entry.resource.type, 'cloud_run_revision');
      assert.deepEqual(Object.keys(entry.resource.labels).sort(), ['configuration_name', 'location', 'project_id', 'revision_name', 'service_name']);
      assert.match(entry.logName, /\/logs\/run\.googleapis\.com%2Frequests$/);
    }
    const errors = await list(`${between(60, 30)} httpRequest.status>=500`);
    assert.ok(errors.length > 0 && errors.length < entries.length);
    for (const entry of errors) assert.equal(entry.severity, 'ERROR');
    const [friendly] = await world.logging.getEntries({filter: between(60, 50), pageSize: 10, autoPaginate: false});
    assert.ok(friendly.length > 0 && friendly[0].metadata.httpRequest.status);
  },

  'logging: list in pages and in both orders': async () => {
    const filter = between(60, 50);
    const up = await list(filter, {pageSize: 20, orderBy: 'timestamp asc'});
    const down = await list(filter, {pageSize: 20, orderBy: 'timestamp desc'});
    assert.ok(inOrder(up.map(e => millis(e.timestamp))));
    assert.deepEqual(down.map(e => e.insertId).reverse(), up.map(e => e.insertId));
    assert.equal(new Set(up.map(e => e.insertId)).size, up.length);
    await refused(list(filter, {orderBy: 'severity'}), code.INVALID_ARGUMENT);
  },

  'logging: an empty page may have a token': async () => {
    const filter = between(60, 50);
    for (let i = 0; i < 14; i++) {
      const [entries, next, answer] = await world.logs.listLogEntries({resourceNames, filter}, page);
      if (entries.length > 0) continue;
      assert.ok(answer.nextPageToken);
      const [rest] = await world.logs.listLogEntries(next, page);
      assert.ok(rest.length > 0);
      return;
    }
    assert.fail('no page was empty');
  },

  'logging: what entries.list refuses': async () => {
    const [, next] = await world.logs.listLogEntries({resourceNames, filter: between(60, 30), pageSize: 5}, page);
    const err = await refused(world.logs.listLogEntries({...next, filter: requests}, page), code.INVALID_ARGUMENT);
    assert.equal(err.details, "page_token doesn't match arguments from the request");
    await refused(list('', {pageSize: 1001}), code.INVALID_ARGUMENT);
    await refused(list('severity>='), code.INVALID_ARGUMENT);
    await refused(list('x'.repeat(20001)), code.INVALID_ARGUMENT);
    await refused(list('', {resourceNames: []}), code.INVALID_ARGUMENT);
  },

  'logging: 60 lists a minute, and no more': async () => {
    let taken = 0, err;
    for (; taken < 70 && !err; taken++) {
      await strict.logs.listLogEntries({resourceNames, pageSize: 1}, page).catch(e => { err = e; taken--; });
    }
    assert.equal(taken, 60);
    assert.equal(err.code, grpc.status.RESOURCE_EXHAUSTED);
    assert.match(err.details, /^Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute' of service 'logging.googleapis.com' for consumer 'project_number:\d+'\.$/);
    assert.equal(err.reason, 'RATE_LIMIT_EXCEEDED');
    assert.equal(err.errorInfoMetadata.quota_limit, 'ReadRequestsPerMinutePerProject');
    assert.equal(err.errorInfoMetadata.quota_limit_value, '60');
  },

  'logging: an entry shows once it is received': async () => {
    const entries = await list(`${requests} receiveTimestamp>="${ago(5)}"`);
    assert.ok(entries.length > 0);
    for (const entry of entries) {
      assert.ok(millis(entry.receiveTimestamp) <= Date.now());
      assert.ok(millis(entry.receiveTimestamp) > millis(entry.timestamp));
    }
  },

  'logging: late entries come after younger ones': async () => {
    const window = `${requests} timestamp>="${ago(0)}" timestamp<"${ago(-2)}"`;
    await world.fault({method: 'Log', kind: 'late', seconds: 6, distribution: 'uniform', from: 4, share: 0.5, count: 20});
    await sleep(4000);
    const early = new Set((await list(window)).map(e => e.insertId));
    await sleep(6500);
    const all = await list(window);
    assert.ok(early.size > 0 && all.length > early.size, `${early.size}, then ${all.length}`);
    const late = all.filter(e => !early.has(e.insertId));
    assert.ok(late.some(e => all.some(other => early.has(other.insertId) && millis(other.timestamp) > millis(e.timestamp))));
  },

  'logging: duplicates have one insertId': async () => {
    const since = ago(2); // the first of them are of requests that began before the fault
    await world.fault({method: 'Log', kind: 'duplicate', count: 5});
    await sleep(4000);
    const ids = (await list(`resource.labels.service_name="busy" timestamp>="${since}"`)).map(e => e.insertId);
    assert.equal(ids.length - new Set(ids).size, 5);
  },

  'logging: a clock that is wrong': async () => {
    await world.fault({method: 'Log', kind: 'skew', seconds: -600, count: 10});
    const since = ago(0);
    await sleep(3000);
    const entries = (await list(`resource.labels.service_name="busy" receiveTimestamp>="${since}"`));
    const skewed = entries.filter(e => millis(e.receiveTimestamp) - millis(e.timestamp) > 590e3);
    assert.equal(skewed.length, 10);
  },

  'tail: new entries alone, in order within a response': async () => {
    const got = tail(world, {filter: requests});
    await until(() => got.entries.length >= 40);
    got.close();
    for (const response of got.responses) {
      assert.ok(inOrder(response.entries.map(e => millis(e.timestamp))));
      for (const entry of response.entries) {
        assert.ok(millis(entry.receiveTimestamp) > got.opened - 50, 'an entry from before');
        assert.equal(entry.resource.labels.service_name, 'busy');
      }
    }
    assert.ok(got.responses.length > 1);
  },

  'tail: the buffer window holds entries back': async () => {
    const buffered = tail(world, {filter: requests, bufferWindow: {seconds: 4}});
    const unbuffered = tail(world, {filter: requests, bufferWindow: {seconds: 0}});
    await until(() => unbuffered.entries.length > 0);
    assert.equal(buffered.entries.length, 0);
    await until(() => buffered.entries.length > 0);
    assert.ok(Date.now() - millis(buffered.entries[0].timestamp) >= 4000);
    buffered.close();
    unbuffered.close();
    await failed(tail(world, {bufferWindow: {seconds: 61}})).then(err => assert.equal(err.code, grpc.status.INVALID_ARGUMENT));
    await failed(tail(world, {filter: 'severity>='})).then(err => assert.equal(err.code, grpc.status.INVALID_ARGUMENT));
  },

  'tail: no order between responses': async () => {
    const got = tail(world, {filter: requests, bufferWindow: {seconds: 0}});
    await until(() => got.entries.length > 0);
    await world.fault({method: 'Log', kind: 'late', seconds: 3, share: 0.5, count: 20});
    await sleep(6000);
    got.close();
    assert.ok(!inOrder(got.entries.map(e => millis(e.timestamp))));
    for (const response of got.responses) assert.ok(inOrder(response.entries.map(e => millis(e.timestamp))));
  },

  "tail: Google's own stream of entries": async () => {
    const stream = world.logging.tailEntries({filter: requests});
    const got = await new Promise((resolve, reject) => stream.on('data', resolve).on('error', reject));
    stream.destroy();
    assert.ok(got.entries.length > 0 && got.entries[0].metadata.insertId);
  },

  'tail: what is over the rate is suppressed and counted': async () => {
    const got = tail(strict, {});
    await until(() => got.suppressed > 0, 30000);
    got.close();
    assert.ok(got.entries.length <= 100, `${got.entries.length} entries`);
    for (const response of got.responses) {
      for (const info of response.suppressionInfo) assert.equal(info.reason, 'RATE_LIMIT');
      assert.ok(response.suppressionInfo.length <= 1);
    }
  },

  'tail: ten sessions, and no eleventh': async () => {
    const open = Array.from({length: 10}, () => tail(strict, {}));
    await until(async () => (await strict.get('state')).tails >= 10);
    const err = await failed(tail(strict, {}));
    assert.equal(err.code, grpc.status.RESOURCE_EXHAUSTED);
    for (const session of open) session.close();
    await until(async () => (await strict.get('state')).tails === 0);
    const again = tail(strict, {});
    await until(async () => (await strict.get('state')).tails === 1);
    again.close();
  },
};
