// Cloud Run services, revisions and operations.
import {assert, code, images, latest, once, pin, place, refused, short, sleep, template, until, world} from './harness.mjs';

// served is the revision that answers at a URL.
const served = async uri => (await (await fetch(`${uri}/health`)).json()).revision;

const condition = (of, type) => of.conditions.find(c => c.type === type);

export const cases = {
  'services: get': async () => {
    const name = await world.fresh('get');
    const service = await world.read(name);
    assert.equal(service.name, name);
    assert.equal(service.terminalCondition.state, 'CONDITION_SUCCEEDED');
    assert.equal(String(service.observedGeneration), String(service.generation));
    assert.equal(service.latestReadyRevision, service.latestCreatedRevision);
    assert.match(service.etag, /^".+"$/);
    assert.deepEqual(service.trafficStatuses.map(t => [t.type, t.percent]), [['TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST', 100]]);
  },

  'services: get of what is not there': async () => {
    const err = await refused(world.services.getService({name: `${place}/services/nobody`}), code.NOT_FOUND);
    assert.match(err.details, /Resource 'nobody' of kind 'SERVICE' in region '.*' in project '.*' does not exist/);
  },

  'services: list in pages': async () => {
    for (const name of ['list-a', 'list-b', 'list-c']) await world.fresh(name);
    const [whole] = await world.services.listServices({parent: place});
    const [first, next, answer] = await world.services.listServices({parent: place, pageSize: 2}, {autoPaginate: false});
    assert.equal(first.length, 2);
    assert.ok(answer.nextPageToken);
    const [second] = await world.services.listServices({...next}, {autoPaginate: false});
    assert.notEqual(second[0].name, first[0].name);
    const paged = [];
    for await (const service of world.services.listServicesAsync({parent: place, pageSize: 2})) paged.push(service.name);
    assert.deepEqual(paged, whole.map(service => service.name));
    await refused(world.services.listServices({parent: place, pageToken: 'made-up'}, {autoPaginate: false}), code.INVALID_ARGUMENT);
  },

  'services: update template and traffic for a candidate': async () => {
    const name = await world.fresh('candidate');
    const before = await world.read(name);
    const stable = before.latestReadyRevision;
    const after = await world.update({
      name, etag: before.etag, template: template('bad', 'candidate-c1'),
      traffic: [pin(stable, 100), pin('candidate-c1', 0, 'candidate')],
    }, 'template', 'traffic');
    assert.equal(short(after.latestReadyRevision), 'candidate-c1');
    assert.notEqual(after.etag, before.etag);
    assert.equal(Number(after.generation), Number(before.generation) + 1);
    assert.deepEqual(after.trafficStatuses.map(t => [t.revision, t.percent, t.tag]), [[short(stable), 100, ''], ['candidate-c1', 0, 'candidate']]);
    assert.equal(await served(after.uri), short(stable));
    assert.equal(await served(after.trafficStatuses[1].uri), 'candidate-c1');
  },

  'services: update of traffic leaves the template': async () => {
    const name = await world.fresh('traffic-only');
    const before = await world.read(name);
    const after = await world.update({name, etag: before.etag, traffic: [pin(before.latestReadyRevision, 100)], description: 'not in the mask'}, 'traffic');
    assert.deepEqual(after.template.containers[0].image, before.template.containers[0].image);
    assert.equal(after.latestCreatedRevision, before.latestCreatedRevision);
    assert.equal(after.description, '');
  },

  'services: update with a part of the template in the mask': async () => {
    const name = await world.fresh('part');
    const before = await world.read(name);
    const after = await world.update({name, template: {serviceAccount: 'run@example.iam.gserviceaccount.com'}}, 'template.service_account');
    assert.equal(after.template.serviceAccount, 'run@example.iam.gserviceaccount.com');
    assert.equal(after.template.containers[0].image, before.template.containers[0].image);
    assert.notEqual(after.latestCreatedRevision, before.latestCreatedRevision);
  },

  'services: a mask of what cannot be set is refused': async () => {
    const name = await world.fresh('mask');
    for (const path of ['uri', 'nothing', 'template.nothing']) {
      await refused(world.services.updateService({service: {name}, updateMask: {paths: [path]}}), code.INVALID_ARGUMENT);
    }
  },

  'services: a stale etag is ABORTED': async () => {
    const name = await world.fresh('etag');
    const {etag} = await world.read(name);
    await world.update({name, etag, description: 'first'}, 'description');
    await refused(world.services.updateService({service: {name, etag, description: 'late'}, updateMask: {paths: ['description']}}), code.ABORTED);
    assert.equal((await world.read(name)).description, 'first');
  },

  'services: validate_only changes nothing': async () => {
    const name = await world.fresh('validate');
    const before = await world.read(name);
    const [operation] = await world.services.updateService({
      service: {name, template: template('bad', 'validate-x')}, updateMask: {paths: ['template']}, validateOnly: true,
    });
    assert.ok(operation.latestResponse.done);
    const after = await world.read(name);
    assert.equal(after.etag, before.etag);
    assert.equal(after.latestCreatedRevision, before.latestCreatedRevision);
    await refused(world.services.updateService({
      service: {name, traffic: [latest(90)]}, updateMask: {paths: ['traffic']}, validateOnly: true,
    }), code.INVALID_ARGUMENT);
  },

  'services: the name of a revision is used once': async () => {
    const name = await world.fresh('named');
    await world.update({name, template: template('bad', 'named-r1')}, 'template');
    const err = await refused(world.services.updateService({
      service: {name, template: template('good', 'named-r1')}, updateMask: {paths: ['template']},
    }), code.ALREADY_EXISTS);
    assert.match(err.details, /Revision named 'named-r1' with different configuration already exists/);
    await refused(world.services.updateService({
      service: {name, template: template('good', 'other-r1')}, updateMask: {paths: ['template']},
    }), code.INVALID_ARGUMENT);
  },

  'services: traffic that cannot be is refused': async () => {
    const name = await world.fresh('sums');
    const own = short((await world.read(name)).latestReadyRevision);
    for (const traffic of [[latest(90)], [pin('sums-nobody', 100)], [latest(100, 'Not_A_Host')], [pin(own, 50, 'a'), latest(50, 'a')], [{percent: 100}]]) {
      await refused(world.services.updateService({service: {name, traffic}, updateMask: {paths: ['traffic']}}), code.INVALID_ARGUMENT);
    }
  },

  'services: pinned traffic stays where it is': async () => {
    const name = await world.fresh('pinned');
    const stable = short((await world.read(name)).latestReadyRevision);
    await world.update({name, traffic: [pin(stable, 100)]}, 'traffic');
    const after = await world.update({name, template: template('bad')}, 'template');
    assert.notEqual(short(after.latestReadyRevision), stable);
    assert.deepEqual(after.trafficStatuses.map(t => [t.revision, t.percent]), [[stable, 100]]);
    assert.equal(await served(after.uri), stable);
  },

  'services: a tag on LATEST moves with each deploy': async () => {
    const name = await world.fresh('moving');
    const tagged = await world.update({name, traffic: [latest(100, 'newest')]}, 'traffic');
    assert.equal(await served(tagged.trafficStatuses[0].uri), short(tagged.latestReadyRevision));
    const after = await world.update({name, template: template('bad', 'moving-r2')}, 'template');
    assert.equal(await served(after.trafficStatuses[0].uri), 'moving-r2');
    assert.equal(await served(after.uri), 'moving-r2');
  },

  'services: conditions while reconciling': async () => {
    const name = await world.fresh('conditions');
    const [operation] = await world.services.updateService({service: {name, template: template('slow', 'conditions-r2')}, updateMask: {paths: ['template']}});
    assert.equal(operation.metadata.reconciling, true);
    let service = await world.read(name);
    assert.equal(service.terminalCondition.type, 'Ready');
    assert.equal(service.terminalCondition.state, 'CONDITION_RECONCILING');
    assert.equal(condition(service, 'ConfigurationsReady').state, 'CONDITION_RECONCILING');
    assert.equal(Number(service.observedGeneration), Number(service.generation) - 1);
    assert.notEqual(service.latestReadyRevision, service.latestCreatedRevision);
    const revision = async () => (await world.revisions.getRevision({name: `${name}/revisions/conditions-r2`}))[0];
    assert.equal(condition(await revision(), 'Ready').state, 'CONDITION_RECONCILING');
    assert.equal(condition(await revision(), 'Retry').reason, 'WAITING_FOR_OPERATION');
    const imported = await until(async () => {
      const now = await revision();
      return condition(now, 'ContainerReady').state === 'CONDITION_SUCCEEDED' && now;
    });
    assert.equal(condition(imported, 'ContainerHealthy').state, 'CONDITION_RECONCILING');
    await operation.promise();
    assert.deepEqual((await revision()).conditions.map(c => c.type), ['Ready', 'ContainerHealthy', 'ContainerReady', 'ResourcesAvailable', 'Retry', 'Active']);
    const [shift] = await world.services.updateService({service: {name, traffic: [pin('conditions-r2', 100)]}, updateMask: {paths: ['traffic']}});
    service = await world.read(name);
    assert.equal(condition(service, 'ConfigurationsReady').state, 'CONDITION_SUCCEEDED');
    assert.equal(condition(service, 'RoutesReady').state, 'CONDITION_RECONCILING');
    await shift.promise();
    assert.equal((await world.read(name)).reconciling, false);
  },

  'services: a start that fails': async () => {
    const name = await world.fresh('fails');
    const before = await world.read(name);
    const [operation] = await world.services.updateService({service: {name, template: template('crash', 'fails-r2')}, updateMask: {paths: ['template']}});
    const err = await refused(operation.promise(), code.FAILED_PRECONDITION);
    assert.match(err.message, /Revision 'fails-r2' is not ready and cannot serve traffic/);
    const after = await world.read(name);
    assert.equal(after.terminalCondition.state, 'CONDITION_FAILED');
    assert.equal(after.terminalCondition.revisionReason, 'HEALTH_CHECK_CONTAINER_ERROR');
    assert.equal(after.latestReadyRevision, before.latestReadyRevision);
    assert.equal(String(after.observedGeneration), String(before.generation));
    assert.deepEqual(after.trafficStatuses, before.trafficStatuses);
    const [revision] = await world.revisions.getRevision({name: `${name}/revisions/fails-r2`});
    assert.equal(condition(revision, 'ContainerHealthy').revisionReason, 'HEALTH_CHECK_CONTAINER_ERROR');
    assert.equal(condition(revision, 'ContainerReady').state, 'CONDITION_SUCCEEDED');
  },

  'services: an image that is missing': async () => {
    const name = await world.fresh('missing');
    const [operation] = await world.services.updateService({service: {name, template: template('nobody-pushed-this', 'missing-r2')}, updateMask: {paths: ['template']}});
    await refused(operation.promise(), code.FAILED_PRECONDITION);
    assert.equal((await world.read(name)).terminalCondition.reason, 'CONTAINER_MISSING');
    const [revision] = await world.revisions.getRevision({name: `${name}/revisions/missing-r2`});
    assert.equal(condition(revision, 'ContainerReady').reason, 'CONTAINER_MISSING');
    assert.equal(condition(revision, 'ContainerHealthy').state, 'CONDITION_PENDING');
  },

  'services: a retired revision that failed shows Ready': async () => {
    const name = await world.fresh('retired');
    const stable = (await world.read(name)).latestReadyRevision;
    const [operation] = await world.services.updateService({service: {name, template: template('crash', 'retired-r2')}, updateMask: {paths: ['template']}});
    await refused(operation.promise(), code.FAILED_PRECONDITION);
    await world.update({name, traffic: [pin(stable, 100)]}, 'traffic');
    const [revision] = await world.revisions.getRevision({name: `${name}/revisions/retired-r2`});
    assert.equal(condition(revision, 'Ready').state, 'CONDITION_SUCCEEDED');
    assert.equal(condition(revision, 'Ready').revisionReason, 'RETIRED');
    assert.equal(condition(revision, 'Active').state, 'CONDITION_FAILED');
    assert.equal(condition(revision, 'ContainerHealthy').state, 'CONDITION_FAILED');
    const [back] = await world.services.updateService({service: {name, traffic: [pin('retired-r2', 100)]}, updateMask: {paths: ['traffic']}});
    await refused(back.promise(), code.FAILED_PRECONDITION);
  },

  'operations: polled by name after a restart': async () => {
    const name = await world.fresh('resumed');
    const [operation] = await world.services.updateService({service: {name, description: 'x'}, updateMask: {paths: ['description']}});
    const resumed = await world.services.checkUpdateServiceProgress(operation.name);
    assert.equal(resumed.metadata.name, name);
    const done = await until(async () => {
      const now = await world.services.checkUpdateServiceProgress(operation.name);
      return now.done && now;
    });
    assert.equal(done.result.description, 'x');
    await refused(world.services.checkUpdateServiceProgress(`${place}/operations/nobody`), code.NOT_FOUND);
  },

  'operations: one that never ends is overtaken by the next': async () => {
    const name = await world.fresh('endless');
    await world.fault({method: 'UpdateService', kind: 'never_ends'});
    const [endless] = await world.services.updateService({service: {name, description: 'x'}, updateMask: {paths: ['description']}});
    await sleep(1000);
    assert.equal((await world.services.checkUpdateServiceProgress(endless.name)).done, false);
    assert.equal((await world.read(name)).reconciling, true);
    const after = await world.update({name, description: 'y'}, 'description');
    assert.equal(after.reconciling, false);
  },

  'services: permissions that are granted': async () => {
    const resource = await world.fresh('iam');
    const permissions = ['run.services.get', 'run.services.update'];
    assert.deepEqual((await world.services.testIamPermissions({resource, permissions}))[0].permissions, permissions);
    await world.post('deny', {permissions: ['run.services.update']});
    try {
      assert.deepEqual((await world.services.testIamPermissions({resource, permissions}))[0].permissions, ['run.services.get']);
      await refused(world.services.updateService({service: {name: resource}, updateMask: {paths: ['description']}}, once), code.PERMISSION_DENIED);
    } finally {
      await world.post('deny', {permissions: []});
    }
  },

  'revisions: get and list, the newest first': async () => {
    const name = await world.fresh('history');
    await world.update({name, template: template('bad', 'history-r2')}, 'template');
    await world.update({name, template: template('good', 'history-r3')}, 'template');
    const seen = [];
    for await (const revision of world.revisions.listRevisionsAsync({parent: name, pageSize: 2})) seen.push(short(revision.name));
    assert.deepEqual(seen.slice(0, 2), ['history-r3', 'history-r2']);
    assert.equal(seen.length, 3);
    const [revision] = await world.revisions.getRevision({name: `${name}/revisions/history-r2`});
    assert.ok(revision.containers[0].image.startsWith(`${images}@sha256:`));
    await refused(world.revisions.getRevision({name: `${name}/revisions/nobody`}), code.NOT_FOUND);
  },
};
