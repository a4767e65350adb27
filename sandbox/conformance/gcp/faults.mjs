// Trouble on demand, as Google's clients meet it.
import {assert, code, once, place, refused, resourceNames, sleep, template, until, world} from './harness.mjs';

const timed = async call => {
  const start = Date.now();
  await call;
  return Date.now() - start;
};

export const cases = {
  'trouble: a dropped read is repeated by the client': async () => {
    const name = await world.fresh('dropped');
    await world.fault({method: 'GetService', kind: 'drop', count: 2});
    const before = await world.calls('GetService');
    assert.equal((await world.read(name)).name, name);
    assert.equal(await world.calls('GetService') - before, 3);
  },

  'trouble: a dropped update is not repeated, and not applied': async () => {
    const name = await world.fresh('lost');
    const {etag} = await world.read(name);
    await world.fault({method: 'UpdateService', kind: 'drop'});
    const before = await world.calls('UpdateService');
    await refused(world.services.updateService({service: {name, description: 'x'}, updateMask: {paths: ['description']}}), code.UNAVAILABLE);
    assert.equal(await world.calls('UpdateService') - before, 1);
    assert.equal((await world.read(name)).etag, etag);
  },

  'trouble: applied, yet answered with an error': async () => {
    const name = await world.fresh('applied');
    await world.fault({method: 'UpdateService', kind: 'applied_but_error', code: 'INTERNAL'});
    await refused(world.services.updateService({service: {name, description: 'x'}, updateMask: {paths: ['description']}}), code.INTERNAL);
    assert.equal((await world.read(name)).description, 'x');
  },

  'trouble: errors by their code': async () => {
    for (const want of ['INTERNAL', 'UNAVAILABLE', 'RESOURCE_EXHAUSTED', 'UNAUTHENTICATED']) {
      await world.fault({method: 'ListServices', kind: 'error', code: want});
      await refused(world.services.listServices({parent: place}, {...once, autoPaginate: false}), code[want]);
    }
  },

  'trouble: answers that are late': async () => {
    const name = await world.fresh('slow');
    const call = () => world.services.getService({name}, once);
    await world.fault({method: 'GetService', kind: 'latency', seconds: 0.5});
    assert.ok(await timed(call()) >= 500);
    await world.fault({method: 'GetService', kind: 'latency', distribution: 'uniform', from: 0.2, seconds: 0.4, count: 3});
    for (let i = 0; i < 3; i++) {
      const took = await timed(call());
      assert.ok(took >= 200 && took < 900, `${took} ms`);
    }
    await world.fault({method: 'GetService', kind: 'latency', distribution: 'lognormal', seconds: 0.1, sigma: 0.5, count: 3});
    for (let i = 0; i < 3; i++) assert.ok(await timed(call()) >= 10);
    await world.fault({method: 'UpdateService', kind: 'latency', seconds: 3});
    const late = {service: {name, description: 'late'}, updateMask: {paths: ['description']}};
    await refused(world.services.updateService(late, {retry: null, timeout: 300}), code.DEADLINE_EXCEEDED);
    assert.equal((await world.read(name)).description, 'late');
  },

  'trouble: a half-open connection': async () => {
    const name = await world.fresh('silent');
    const {ServicesClient} = (await import('@google-cloud/run')).default.v2;
    const own = new ServicesClient({...world.options, 'grpc.use_local_subchannel_pool': 1}); // a connection that no other case has
    await own.getService({name});
    await world.fault({method: 'GetService', kind: 'half_open'});
    await refused(own.getService({name}, {retry: null, timeout: 700}), code.DEADLINE_EXCEEDED);
    await refused(own.getService({name}, {retry: null, timeout: 700}), code.DEADLINE_EXCEEDED); // no fault is left: the connection is dead
    await own.close();
    assert.equal((await world.read(name)).name, name);
  },

  'trouble: pages that end early lose nothing': async () => {
    const name = await world.fresh('cut-pages');
    for (const revision of ['cut-pages-r2', 'cut-pages-r3', 'cut-pages-r4']) await world.update({name, template: template('good', revision)}, 'template');
    await world.fault({method: 'ListRevisions', kind: 'truncated', count: 2});
    const [first, , answer] = await world.revisions.listRevisions({parent: name}, {autoPaginate: false});
    assert.equal(first.length, 2);
    assert.ok(answer.nextPageToken);
    const [all] = await world.revisions.listRevisions({parent: name});
    assert.equal(all.length, 4);
    await world.fault({method: 'ListLogEntries', kind: 'truncated'});
    const [entries, next] = await world.logs.listLogEntries({resourceNames, pageSize: 50}, {...once, autoPaginate: false});
    assert.ok(entries.length <= 25 && next.pageToken);
  },

  'trouble: a token that is no good any more': async () => {
    await world.fault({method: 'ListLogEntries', kind: 'bad_token'});
    await refused(world.logs.listLogEntries({resourceNames, filter: 'severity>=ERROR', pageSize: 10}, once), code.INVALID_ARGUMENT);
  },

  'trouble: a connection that is cut': async () => {
    const name = await world.fresh('severed');
    await world.fault({method: 'GetService', kind: 'disconnect'});
    assert.equal((await world.read(name)).name, name);
  },

  'trouble: a tail that breaks off can be opened again': async () => {
    await world.fault({method: 'TailLogEntries', kind: 'drop'});
    const open = () => {
      const stream = world.logs.tailLogEntries();
      stream.write({resourceNames});
      return new Promise((resolve, reject) => stream.on('data', data => { stream.cancel(); resolve(data); }).on('error', reject));
    };
    await refused(open(), code.UNAVAILABLE);
    assert.ok((await open()).entries.length > 0);
  },

  'trouble: ready, and then it crashes': async () => {
    const name = await world.fresh('brittle');
    await world.fault({method: 'UpdateService', kind: 'crash_after_ready', seconds: 20});
    const after = await world.update({name, template: template('good', 'brittle-r2')}, 'template');
    const ready = async () => assert.equal((await world.read(name)).terminalCondition.state, 'CONDITION_SUCCEEDED');
    await ready();
    const status = async () => (await fetch(`${after.uri}/api/threads`)).status;
    await until(async () => await status() === 503);
    await ready();
    await sleep(2000);
    const [lines] = await world.logs.listLogEntries({resourceNames, filter: 'resource.labels.revision_name="brittle-r2" textPayload:"Container called exit(1)."'}, once);
    assert.equal(lines[0].severity, 'WARNING');
  },

  'trouble: an unknown kind is refused with the list': async () => {
    const answer = await fetch(`${world.control}/_control/fault`, {method: 'POST', body: '{"target": "gcp", "kind": "fire"}'});
    assert.equal(answer.status, 400);
    const {error} = await answer.json();
    for (const kind of ['latency', 'half_open', 'duplicate', 'never_ends']) assert.ok(error.includes(kind));
  },
};
