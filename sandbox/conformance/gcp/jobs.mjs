// Cloud Run jobs and executions, and what is not emulated.
import {assert, code, images, place, refused, short, until, world} from './harness.mjs';

const job = `${place}/jobs/tests`;

export const cases = {
  'jobs: get, list and permissions': async () => {
    const [got] = await world.jobs.getJob({name: job});
    assert.equal(got.template.template.containers[0].args[0], 'pytest');
    const [all] = await world.jobs.listJobs({parent: place});
    assert.deepEqual(all.map(j => short(j.name)), ['tests']);
    assert.deepEqual((await world.jobs.testIamPermissions({resource: job, permissions: ['run.jobs.run']}))[0].permissions, ['run.jobs.run']);
    await refused(world.jobs.getJob({name: `${place}/jobs/nobody`}), code.NOT_FOUND);
  },

  'jobs: update to another image': async () => {
    const [before] = await world.jobs.getJob({name: job});
    const next = structuredClone({name: job, etag: before.etag, template: before.template});
    next.template.template.containers[0].image = `${images}:good`;
    const [operation] = await world.jobs.updateJob({job: next});
    await operation.promise();
    const [after] = await world.jobs.getJob({name: job});
    assert.notEqual(after.etag, before.etag);
    assert.equal(after.terminalCondition.state, 'CONDITION_SUCCEEDED');
    await refused(world.jobs.updateJob({job: next}), code.ABORTED);
  },

  'jobs: run with overrides': async () => {
    const [operation] = await world.jobs.runJob({
      name: job,
      overrides: {containerOverrides: [{args: ['pytest', 'tests/unit'], env: [{name: 'SLIPWAY_KEY', value: 'k1'}]}], timeout: {seconds: 120}},
    });
    assert.match(operation.metadata.name, /\/executions\/tests-/);
    const [execution] = await operation.promise();
    assert.equal(execution.succeededCount, 1);
    assert.deepEqual(execution.template.containers[0].args, ['pytest', 'tests/unit']);
    assert.deepEqual(execution.template.containers[0].env.map(v => [v.name, v.value]), [['SLIPWAY_KEY', 'k1']]);
    assert.equal(Number(execution.template.timeout.seconds), 120);
    const [kept] = await world.jobs.getJob({name: job});
    assert.deepEqual(kept.template.template.containers[0].args, ['pytest']);
    assert.equal(kept.latestCreatedExecution.name, short(execution.name));
    await refused(world.jobs.runJob({name: job, overrides: {containerOverrides: [{name: 'nobody', args: ['x']}]}}), code.INVALID_ARGUMENT);
  },

  'jobs: a task that fails': async () => {
    const [operation] = await world.jobs.runJob({name: job, overrides: {containerOverrides: [{args: ['fails']}]}});
    const [ended] = await operation.promise();
    const [execution] = await world.executions.getExecution({name: ended.name});
    assert.equal(execution.failedCount, 1);
    const completed = execution.conditions.find(c => c.type === 'Completed');
    assert.equal(completed.state, 'CONDITION_FAILED');
    assert.equal(completed.executionReason, 'NON_ZERO_EXIT_CODE');
  },

  'executions: get, list and cancel': async () => {
    const [operation] = await world.jobs.runJob({name: job, overrides: {containerOverrides: [{args: ['forever']}]}});
    const name = operation.metadata.name;
    await until(async () => (await world.executions.getExecution({name}))[0].runningCount === 1);
    const [listed] = await world.executions.listExecutions({parent: job});
    assert.equal(listed[0].name, name);
    const [cancelling] = await world.executions.cancelExecution({name});
    await cancelling.promise();
    const [cancelled] = await world.executions.getExecution({name});
    assert.equal(cancelled.cancelledCount, 1);
    assert.equal(cancelled.conditions[0].executionReason, 'CANCELLED');
    await refused(world.executions.cancelExecution({name}), code.FAILED_PRECONDITION);
  },

  'unknown: what is not emulated is UNIMPLEMENTED': async () => {
    const calls = {
      ListTasks: () => world.tasks.listTasks({parent: `${job}/executions/x`}, {autoPaginate: false}), // a service that is not there
      DeleteService: () => world.services.deleteService({name: `${place}/services/x`}), // a method of one that is
      ListLogs: () => world.logs.listLogs({parent: `projects/${short(place)}`}, {autoPaginate: false}),
      WriteLogEntries: () => world.logs.writeLogEntries({entries: [{logName: 'x', textPayload: 'x'}]}),
    };
    for (const [method, call] of Object.entries(calls)) {
      const err = await refused(call(), code.UNIMPLEMENTED);
      assert.equal(err.details, 'Method not found.', method);
    }
    const journal = await world.get('journal');
    for (const method of Object.keys(calls)) assert.ok(journal.some(call => call.method === method && call.outcome.startsWith('UNIMPLEMENTED')), method);
  },
};
