// What the cases share: a local Slack, people who use it, and clients of it.

import assert from 'node:assert/strict';
import bolt from '@slack/bolt';
import { SocketModeClient } from '@slack/socket-mode';
import { WebClient } from '@slack/web-api';

export const appToken = 'xapp-local';
export const botToken = 'xoxb-local';
export const deploys = 'C0DEPLOYS';
export const general = 'C0GENERAL';

const silent = {
  debug() {}, info() {}, warn() {}, error() {}, setLevel() {}, setName() {},
  getLevel: () => 'error',
};

// A client that retries soon: the cases are about whether it retries.
const clientOptions = (url) => ({
  slackApiUrl: `${url}/api/`, logger: silent, retryConfig: { retries: 4, factor: 1, minTimeout: 20, maxTimeout: 20 },
});

// Slack is one local Slack, which a case has for itself, and what was started on it.
export class Slack {
  #stops = [];

  constructor(url) { this.url = url; }

  web(token = botToken, options = {}) { return new WebClient(token, { ...clientOptions(this.url), ...options }); }

  // bolt starts a Bolt app after register has told it what to listen to.
  async bolt(register = () => {}) {
    const app = new bolt.App({
      token: botToken, appToken, socketMode: true, clientOptions: clientOptions(this.url), logger: silent,
    });
    register(app);
    await app.start();
    this.#stops.push(() => app.stop());
    return app;
  }

  // socket starts a bare Socket Mode client. It misses its peer after clientPingTimeout ms, and waits as long before it
  // connects again.
  async socket(listen = () => {}, clientPingTimeout = 3000) {
    const client = new SocketModeClient({ appToken, clientPingTimeout, clientOptions: clientOptions(this.url), logger: silent });
    listen(client);
    await client.start();
    this.#stops.push(() => client.disconnect());
    return client;
  }

  async stop() { await Promise.allSettled(this.#stops.map((stop) => within(3000, 'stop', stop()))); }

  async #control(method, path, body) {
    const response = await fetch(`${this.url}/_control/${path}`, { method, body: body && JSON.stringify(body) });
    const answer = await response.json();
    if (!response.ok) throw new Error(`${path}: ${answer.error}`);
    return answer;
  }

  // What people do.
  command(text = '', more = {}) {
    return this.#control('POST', 'command', { user: 'deployer', channel: deploys, command: '/deploy', text, ...more });
  }
  click(what) { return this.#control('POST', 'click', { user: 'deployer', ...what }); }
  submit(what) { return this.#control('POST', 'submit', { user: 'deployer', ...what }); }
  close(what) { return this.#control('POST', 'close', { user: 'deployer', ...what }); }
  mention(what) { return this.#control('POST', 'mention', { user: 'deployer', channel: deploys, ...what }); }
  openHome(user = 'deployer') { return this.#control('POST', 'home', { user }); }
  fault(what) { return this.#control('POST', 'fault', what); }

  // What is to be seen.
  messages(channel = deploys) { return this.#control('GET', `messages?channel=${channel}`); }
  async last(channel) { return (await this.messages(channel)).at(-1); }
  async views(user = 'deployer') { return (await this.#control('GET', `views?user=${user}`)) ?? []; }
  home(user = 'deployer') { return this.#control('GET', `home?user=${user}`); }
  journal() { return this.#control('GET', 'journal'); }
  async connections() { return (await this.#control('GET', 'state')).connections; }

  // until waits for something to become true.
  async until(what, holds, ms = 20_000) {
    const end = Date.now() + ms;
    for (;;) {
      if (await holds()) return;
      if (Date.now() > end) throw new Error(`${what}: not within ${ms} ms`);
      await sleep(25);
    }
  }
}

export const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

export async function within(ms, what, promise) {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`${what}: not within ${ms} ms`)), ms); });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

// refused asserts that a call fails with one of Slack's codes, and returns what Slack answered.
export async function refused(code, call) {
  try {
    await call;
  } catch (error) {
    assert.equal(error.data?.error ?? String(error), code);
    return error.data;
  }
  assert.fail(`it worked, and should have been refused: ${code}`);
}

// Blocks.
export const plain = (text) => ({ type: 'plain_text', text });
export const mrkdwn = (text) => ({ type: 'mrkdwn', text });
export const section = (text, more = {}) => ({ type: 'section', text: mrkdwn(text), ...more });
export const button = (action_id, text = action_id, more = {}) => ({ type: 'button', action_id, text: plain(text), ...more });
export const actions = (...elements) => ({ type: 'actions', elements });
export const input = (block_id, element = { type: 'plain_text_input', action_id: 'text' }) => ({
  type: 'input', block_id, label: plain(block_id), element,
});
export const modal = (blocks = [input('reason')], more = {}) => ({
  type: 'modal', callback_id: 'lock', title: plain('Lock'), submit: plain('Lock'), blocks, ...more,
});
export const reason = (value) => ({ reason: { text: { type: 'plain_text_input', value } } });
