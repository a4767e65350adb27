// Connections: how they come, share the work, and go.

import assert from 'node:assert/strict';
import http from 'node:http';
import { appToken, botToken, refused, sleep } from './kit.mjs';

// reconnects asserts that a client comes back by itself after a disconnect.
function reconnects(reason) {
  return async (slack) => {
    const client = await slack.socket((c) => c.on('slash_commands', ({ ack }) => ack()));
    const [first] = await slack.connections();
    await slack.fault({ kind: 'disconnect', reason });
    await slack.until('a new connection', async () => {
      const now = await slack.connections();
      return now.length === 1 && now[0].id !== first.id && client.websocket?.isActive();
    });
    const told = (await slack.journal()).filter((c) => c.method === 'disconnect').map((c) => c.outcome);
    assert.deepEqual(told, [reason]);
    await slack.command();
  };
}

// upgrade asks for a socket and returns the HTTP status.
function upgrade(url) {
  return new Promise((resolve, reject) => {
    const request = http.get(url.replace('ws:', 'http:'), {
      headers: { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': 'MDEyMzQ1Njc4OWFiY2RlZg==' },
    });
    request.on('upgrade', (response, socket) => { socket.destroy(); resolve(response.statusCode); });
    request.on('response', (response) => { response.resume(); resolve(response.statusCode); });
    request.on('error', reject);
  });
}

export const cases = {
  'connect: a Bolt app says hello, and auth.test knows it': async (slack) => {
    const app = await slack.bolt();
    const [connection] = await slack.connections();
    assert.ok(connection.id);
    const me = await app.client.auth.test();
    assert.equal(me.user_id, 'U0BOT');
    assert.ok(me.bot_id && me.team_id && me.url);
    const { url } = await slack.web(appToken).apps.connections.open({});
    assert.match(url, /^ws:\/\/.*ticket=/);
  },

  'connect: the tokens are not interchangeable': async (slack) => {
    await refused('not_allowed_token_type', slack.web(botToken).apps.connections.open({}));
    await refused('not_allowed_token_type', slack.web(appToken).auth.test());
    await refused('invalid_auth', slack.web('xoxb-other').auth.test());
    await refused('not_authed', slack.web('').auth.test());
  },

  'connect: a ticket is good for one connection': async (slack) => {
    const { url } = await slack.web(appToken).apps.connections.open({});
    assert.equal(await upgrade(url), 101);
    assert.equal(await upgrade(url), 403);
    assert.equal(await upgrade(url.replace(/ticket=\w+/, 'ticket=guessed')), 403);
  },

  'connect: ten connections, and the eleventh is one too many': async (slack) => {
    for (let i = 0; i < 10; i++) await slack.socket(undefined, 8000);
    assert.equal((await slack.connections()).length, 10);
    let refusals = 0;
    const eleventh = slack.socket((c) => c.on('ws_message', (data) => {
      if (JSON.parse(data).reason === 'too_many_websockets') refusals++;
    }));
    await slack.until('a refusal', () => refusals > 0);
    assert.equal((await slack.connections()).length, 10);
    await slack.fault({ kind: 'drop', count: 1 }); // makes room
    await eleventh;
  },

  'disconnect: warning': reconnects('warning'),
  'disconnect: refresh_requested': reconnects('refresh_requested'),
  'disconnect: link_disabled': reconnects('link_disabled'),

  'disconnect: too_many_websockets, until there is room': async (slack) => {
    await slack.fault({ kind: 'disconnect', reason: 'too_many_websockets', count: 2 });
    await slack.socket((c) => c.on('slash_commands', ({ ack }) => ack()));
    const told = (await slack.journal()).filter((c) => c.method === 'disconnect').map((c) => c.outcome);
    assert.deepEqual(told, ['too_many_websockets', 'too_many_websockets']);
    await slack.command();
  },

  'share: each event goes to one of two clients': async (slack) => {
    const got = [[], []];
    for (const list of got) {
      await slack.socket((c) => c.on('slash_commands', async ({ ack, envelope_id: id }) => { list.push(id); await ack(); }));
    }
    for (let i = 0; i < 30; i++) await slack.command(String(i));
    assert.equal(got[0].length + got[1].length, 30);
    assert.equal(new Set(got.flat()).size, 30);
    assert.ok(got[0].length > 2 && got[1].length > 2, `shared ${got[0].length} to ${got[1].length}`);
  },

  'share: what one client does not ack in 3 s goes to the other': async (slack) => {
    const got = [];
    for (const name of ['one', 'two']) {
      await slack.socket((c) => c.on('slack_event', ({ envelope_id: id, retry_num: retry, ack }) => {
        got.push({ name, id, retry, at: Date.now() });
        if (got.length > 1) ack();
      }));
    }
    await assert.rejects(slack.command(), /did not answer within 3 s/);
    await slack.until('the second sending', () => got.length > 1);
    assert.notEqual(got[0].name, got[1].name);
    assert.equal(got[0].id, got[1].id);
    const apart = got[1].at - got[0].at;
    assert.ok(apart > 2800 && apart < 4900, `sent again after ${apart} ms`);
    await sleep(3500);
    assert.equal(got.length, 2, 'sent again after its ack');
  },

  'share: an event that nobody acks is sent again, and says so': async (slack) => {
    const retries = [];
    await slack.socket((c) => c.on('slack_event', ({ retry_num: retry, retry_reason: why }) => { retries.push([retry, why]); }));
    await assert.rejects(slack.mention({ text: 'status' }), /did not answer/);
    await slack.until('the second sending', () => retries.length === 2);
    assert.deepEqual(retries, [[0, ''], [1, 'timeout']]);
  },
};
