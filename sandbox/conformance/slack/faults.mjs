// Trouble, and what Slack's clients make of it.

import assert from 'node:assert/strict';
import { botToken, deploys, refused, sleep } from './kit.mjs';

const post = (web, text = 'x') => web.chat.postMessage({ channel: deploys, text });
const outcomes = async (slack, method) => (await slack.journal()).filter((c) => c.method === method).map((c) => c.outcome);

export const cases = {
  'trouble: the client tries again after a drop and after a 503 in HTML': async (slack) => {
    await slack.fault({ method: 'chat.postMessage', kind: 'drop' });
    await slack.fault({ method: 'chat.postMessage', kind: 'error', code: '503' });
    await post(slack.web());
    assert.deepEqual(await outcomes(slack, 'chat.postMessage'), ['fault: drop', 'http 503', 'ok']);
    assert.equal((await slack.messages()).length, 1);
  },

  'trouble: done, and yet an error, or half an answer': async (slack) => {
    const web = slack.web(botToken, { retryConfig: { retries: 0 } });
    await slack.fault({ method: 'chat.postMessage', kind: 'applied_but_error', code: 'fatal_error' });
    await refused('fatal_error', post(web, 'one'));
    await slack.fault({ method: 'chat.postMessage', kind: 'truncated' });
    await assert.rejects(post(web, 'two'));
    assert.deepEqual((await slack.messages()).map((m) => m.text), ['one', 'two']);
  },

  'trouble: no answer at all, until the client gives up': async (slack) => {
    await slack.fault({ method: 'chat.postMessage', kind: 'timeout' });
    await assert.rejects(post(slack.web(botToken, { timeout: 300, retryConfig: { retries: 0 } })));
    assert.equal((await slack.messages()).length, 0);
  },

  'trouble: latency, fixed and drawn': async (slack) => {
    const web = slack.web();
    const took = async () => {
      const start = performance.now();
      await web.auth.test();
      return performance.now() - start;
    };
    await slack.fault({ method: 'auth.test', kind: 'latency', delay: 1.5 });
    assert.ok(await took() >= 1490);
    assert.ok(await took() < 1490, 'the second call was late too');
    await slack.fault({ method: '*', kind: 'latency', distribution: 'uniform', least: 0.2, delay: '300ms', seed: 1 });
    assert.ok(await took() >= 190);
    await slack.fault({ method: '*', kind: 'latency', distribution: 'lognormal', delay: 0.3, sigma: 0.1, seed: 1 });
    assert.ok(await took() >= 150);
    await assert.rejects(slack.fault({ method: '*', kind: 'latency', distribution: 'zipf' }), /fixed, uniform or lognormal/);
    await assert.rejects(slack.fault({ kind: 'gremlins' }), /half_open/);
  },

  'trouble: a half-open socket is noticed, and replaced': async (slack) => {
    const client = await slack.socket((c) => c.on('slash_commands', ({ ack }) => ack()));
    await slack.fault({ kind: 'half_open' });
    await assert.rejects(slack.command(), /did not answer within 3 s/);
    await slack.until('a working connection', () => slack.command().then(() => client.websocket?.isActive(), () => false), 50_000);
  },

  'trouble: a socket that closes without a word is replaced': async (slack) => {
    await slack.socket((c) => c.on('slash_commands', ({ ack }) => ack()));
    const [first] = await slack.connections();
    await slack.fault({ kind: 'drop' });
    await slack.until('a new connection', async () => {
      const [now] = await slack.connections();
      return now && now.id !== first.id;
    });
    await slack.command();
  },

  'trouble: the same envelope twice, two in the wrong order, a lost ack': async (slack) => {
    const got = [];
    await slack.socket((c) => c.on('slash_commands', async ({ ack, body, envelope_id: id }) => { got.push({ text: body.text, id }); await ack(); }));
    await slack.fault({ method: 'slash_commands', kind: 'duplicate' });
    await slack.command('twice');
    await slack.until('the duplicate', () => got.length === 2);
    assert.equal(got[0].id, got[1].id);
    await slack.fault({ method: 'slash_commands', kind: 'reorder' });
    const first = slack.command('first');
    await sleep(200);
    await slack.command('second');
    await first;
    assert.deepEqual(got.slice(2).map((g) => g.text), ['second', 'first']);
    await slack.fault({ method: 'slash_commands', kind: 'timeout' });
    await assert.rejects(slack.command('again'), /did not answer/);
    await slack.until('the second sending', () => got.length === 6);
    assert.equal(got[4].id, got[5].id);
  },

  'trouble: a clock that is wrong': async (slack) => {
    const web = slack.web();
    await slack.fault({ kind: 'clock_skew', skew: 3600 });
    const { ts } = await post(web);
    assert.ok(Number(ts) > Date.now() / 1000 + 3500);
    const answer = await fetch(`${slack.url}/api/auth.test`, { method: 'POST' });
    assert.ok(Date.parse(answer.headers.get('date')) > Date.now() + 3500e3);
    await slack.fault({ kind: '' });
    const right = await fetch(`${slack.url}/api/auth.test`, { method: 'POST' });
    assert.ok(Date.parse(right.headers.get('date')) < Date.now() + 60e3);
  },
};
