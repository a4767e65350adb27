// The Web API: who may do what, how much, and how often.

import assert from 'node:assert/strict';
import { WebAPIRateLimitedError } from '@slack/web-api';
import { actions, appToken, botToken, button, deploys, general, refused, section } from './kit.mjs';

const post = (web, text, more = {}) => web.chat.postMessage({ channel: deploys, text, ...more });

export const cases = {
  'scopes: what is missing is named, and the headers tell what is there': async (slack) => { // has chat:write and channels:read
    const web = slack.web();
    const error = await refused('missing_scope', web.users.info({ user: 'U0DEPLOYER' }));
    assert.equal(error.needed, 'users:read');
    assert.equal(error.provided, 'chat:write,channels:read');
    const posted = await post(web, 'hello');
    assert.deepEqual(posted.response_metadata.scopes, ['chat:write', 'channels:read']);
    assert.deepEqual(posted.response_metadata.acceptedScopes, ['chat:write']);
    const history = await refused('missing_scope', web.conversations.history({ channel: deploys }));
    assert.equal(history.needed, 'channels:history');
    const groups = await refused('missing_scope', web.conversations.list({ types: 'public_channel,private_channel' }));
    assert.equal(groups.needed, 'groups:read');
    await web.conversations.list({ types: 'public_channel' });
    await refused('missing_scope', web.files.getUploadURLExternal({ filename: 'a.txt', length: 3 }));
    await refused('missing_scope', web.reactions.add({ channel: deploys, timestamp: posted.ts, name: 'eyes' }));
    await web.auth.test();
    await assert.rejects(slack.command(), /no scope "commands"/);
    assert.equal((await slack.mention({ text: 'status' })).event_id, undefined);
  },

  'scopes: without chat:write nothing is posted': async (slack) => { // has commands only
    const error = await refused('missing_scope', post(slack.web(), 'hello'));
    assert.equal(error.needed, 'chat:write');
    assert.equal(error.provided, 'commands');
    assert.equal((await slack.messages()).length, 0);
  },

  'scopes: chat:write.public posts where the app is no member': async (slack) => { // has chat:write and chat:write.public
    await slack.web().chat.postMessage({ channel: 'C0PRIVATE', text: 'hello' });
    const { ts } = await slack.last('C0PRIVATE');
    await refused('not_in_channel', slack.web().chat.update({ channel: 'C0PRIVATE', ts, text: 'x' }));
  },

  'channels: only members write and read': async (slack) => {
    const web = slack.web();
    await refused('channel_not_found', web.chat.postMessage({ channel: 'C0NONE', text: 'x' }));
    await refused('not_in_channel', web.chat.postMessage({ channel: 'C0PRIVATE', text: 'x' }));
    await refused('not_in_channel', web.conversations.history({ channel: 'C0PRIVATE' }));
    await refused('user_not_in_channel', web.chat.postEphemeral({ channel: deploys, user: 'U0OUTSIDER', text: 'x' }));
    await assert.rejects(slack.command('', { user: 'outsider' }), /is not in/);
  },

  'messages: an app updates and deletes its own, and no ephemerals': async (slack) => {
    const web = slack.web();
    await slack.bolt();
    const { ts: theirs } = await slack.mention({ text: 'status' });
    await refused('cant_update_message', web.chat.update({ channel: deploys, ts: theirs, text: 'x' }));
    await refused('cant_delete_message', web.chat.delete({ channel: deploys, ts: theirs }));
    const { message_ts: hint } = await web.chat.postEphemeral({ channel: deploys, user: 'U0DEPLOYER', text: 'psst' });
    await refused('message_not_found', web.chat.update({ channel: deploys, ts: hint, text: 'x' }));
    const { ts } = await post(web, 'one', { blocks: [section('one')] });
    await refused('message_not_found', web.chat.update({ channel: deploys, ts: '1.000001', text: 'x' }));
    await refused('msg_too_long', web.chat.update({ channel: deploys, ts, text: 'x'.repeat(4001) }));
    await web.chat.update({ channel: deploys, ts, text: 'two' });
    assert.equal((await slack.last()).blocks, undefined, 'text without blocks removes the blocks');
    await web.chat.delete({ channel: deploys, ts });
    await refused('message_not_found', web.chat.delete({ channel: deploys, ts }));
    await refused('no_text', post(web, ''));
  },

  'messages: threads, permalinks, reactions and metadata': async (slack) => {
    const web = slack.web();
    const metadata = { event_type: 'rollout', event_payload: { id: 'r1' } };
    const { ts } = await post(web, 'card', { metadata });
    const { ts: reply } = await post(web, 'started', { thread_ts: ts });
    await refused('cannot_reply_to_message', post(web, 'x', { thread_ts: reply }));
    const { messages } = await web.conversations.history({ channel: deploys, include_all_metadata: true });
    assert.deepEqual(messages.map((m) => m.text), ['card']);
    assert.equal(messages[0].reply_count, 1);
    assert.deepEqual(messages[0].metadata, metadata);
    assert.match((await web.chat.getPermalink({ channel: deploys, message_ts: ts })).permalink, new RegExp(`/archives/${deploys}/p`));
    await web.reactions.add({ channel: deploys, timestamp: ts, name: 'eyes' });
    await refused('already_reacted', web.reactions.add({ channel: deploys, timestamp: ts, name: 'eyes' }));
  },

  'people: users, groups and direct messages': async (slack) => {
    const web = slack.web();
    assert.equal((await web.users.info({ user: 'U0OUTSIDER' })).user.is_restricted, true);
    await refused('user_not_found', web.users.info({ user: 'U0NONE' }));
    assert.deepEqual((await web.usergroups.users.list({ usergroup: 'S0RELEASE' })).users, ['U0APPROVER']);
    await refused('no_such_subteam', web.usergroups.users.list({ usergroup: 'S0NONE' }));
    const { channel } = await web.conversations.open({ users: 'U0DEPLOYER' });
    const { channel: where } = await web.chat.postMessage({ channel: 'U0DEPLOYER', text: 'hello' });
    assert.equal(where, channel.id);
  },

  'files: filesUploadV2 shares a file, and its bytes come back to the token alone': async (slack) => {
    const web = slack.web();
    const file = Buffer.from('revision,errors\n00042,0.7\n');
    const { files: [{ files: [{ id }] }] } = await web.files.uploadV2({ channel_id: deploys, filename: 'errors.csv', title: 'Errors', initial_comment: 'the numbers', file });
    const shown = await slack.last();
    assert.equal(shown.text, 'the numbers');
    assert.equal(shown.files[0].title, 'Errors');
    const info = await web.files.info({ file: id });
    assert.equal(info.file.size, file.length);
    assert.equal(info.file.shares.public[deploys][0].ts, shown.ts);
    const mine = await fetch(info.file.url_private, { headers: { Authorization: `Bearer ${botToken}` } });
    assert.equal(await mine.text(), file.toString());
    assert.equal((await fetch(info.file.url_private)).status, 403);
    await web.chat.postMessage({ channel: deploys, text: 'graph', blocks: [{ type: 'image', alt_text: 'graph', slack_file: { id } }] });
    await refused('invalid_blocks', web.chat.postMessage({ channel: deploys, text: 'graph', blocks: [{ type: 'image', alt_text: 'graph', slack_file: { id: 'F0NONE' } }] }));
  },

  'files: an upload of another length, or an unknown one, is refused': async (slack) => {
    const web = slack.web();
    const { upload_url: url, file_id: id } = await web.files.getUploadURLExternal({ filename: 'a.txt', length: 3 });
    assert.ok(url.startsWith(`${slack.url}/`));
    assert.equal((await fetch(url, { method: 'POST', body: 'four' })).status, 400);
    await refused('file_not_found', web.files.completeUploadExternal({ files: [{ id }] }));
    assert.equal((await fetch(url, { method: 'POST', body: 'abc' })).status, 200);
    await web.files.completeUploadExternal({ files: [{ id }] });
    await refused('file_not_found', web.files.info({ file: 'F0NONE' }));
  },

  'cursors: the client pages through channels, history and members': async (slack) => {
    const web = slack.web();
    const channels = [];
    for await (const page of web.paginate('conversations.list', { limit: 2 })) channels.push(page.channels.map((c) => c.id));
    assert.deepEqual(channels, [[deploys, general], ['C0PRIVATE']]);
    for (let i = 1; i <= 5; i++) await post(web, `message ${i}`);
    const texts = [];
    for await (const page of web.paginate('conversations.history', { channel: deploys, limit: 2 })) {
      assert.equal(page.has_more, page.response_metadata.next_cursor !== '');
      texts.push(...page.messages.map((m) => m.text));
    }
    assert.deepEqual(texts, [5, 4, 3, 2, 1].map((i) => `message ${i}`));
    const members = [];
    for await (const page of web.paginate('conversations.members', { channel: general, limit: 3 })) members.push(...page.members);
    assert.equal(members.length, 4);
    await refused('invalid_cursor', web.conversations.list({ cursor: 'elsewhere' }));
  },

  'limits: 429 with Retry-After, and the client comes back by itself': async (slack) => {
    const web = slack.web();
    let waits = 0;
    web.on('rate_limited', (seconds) => { assert.ok(seconds >= 1 && seconds <= 5); waits++; });
    for (let i = 0; i < 6; i++) await post(web, String(i)); // a burst of five passes
    assert.equal(waits, 1);
    assert.equal((await slack.messages()).length, 6);
    assert.equal((await slack.journal()).filter((c) => c.outcome === 'ratelimited').length, 1);
  },

  'limits: a method of each tier has its own': async (slack) => {
    const web = slack.web(botToken, { rejectRateLimitedCalls: true });
    const { ts } = await post(web, 'card');
    const tiers = {
      'usergroups.users.list': [20, () => web.usergroups.users.list({ usergroup: 'S0RELEASE' })],
      'chat.update': [50, () => web.chat.update({ channel: deploys, ts, text: 'x' })],
      'users.info': [100, () => web.users.info({ user: 'U0DEPLOYER' })],
      'apps.connections.open': [10, ((app) => () => app.apps.connections.open({}))(slack.web(appToken, { rejectRateLimitedCalls: true }))],
    };
    for (const [method, [calls, call]] of Object.entries(tiers)) {
      for (let i = 0; i < calls; i++) await call();
      await assert.rejects(call(), (e) => e instanceof WebAPIRateLimitedError && e.retryAfter >= 1, `call ${calls + 1} of ${method}`);
    }
    await post(web, 'another channel', { channel: general }); // its own limit
  },

  'methods: an unknown one and a retired one': async (slack) => {
    await refused('unknown_method', slack.web().apiCall('pins.explode'));
    await refused('method_deprecated', slack.web().apiCall('files.upload', { content: 'x' }));
  },

  'bodies: JSON, a form, and a token in either place': async (slack) => {
    const call = async (headers, body) => (await fetch(`${slack.url}/api/chat.postMessage`, { method: 'POST', headers, body })).json();
    const blocks = [section('x'), actions(button('go'))];
    const bearer = { Authorization: `Bearer ${botToken}`, 'Content-Type': 'application/json; charset=utf-8' };
    assert.equal((await call(bearer, JSON.stringify({ channel: deploys, text: 'json', blocks }))).ok, true);
    assert.equal((await call({}, new URLSearchParams({ token: botToken, channel: deploys, text: 'form', blocks: JSON.stringify(blocks) }))).ok, true);
    assert.equal((await call(bearer, '{')).error, 'invalid_json');
    assert.equal((await call({}, new URLSearchParams({ channel: deploys, text: 'x' }))).error, 'not_authed');
  },
};
