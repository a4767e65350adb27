// Commands, clicks, modals, Home and mentions.

import assert from 'node:assert/strict';
import { actions, botToken, button, deploys, input, modal, plain, reason, refused, section, sleep, within } from './kit.mjs';

// once returns a promise and the function that resolves it.
function once() {
  let resolve;
  const promise = new Promise((r) => { resolve = r; });
  return [promise, resolve];
}

// modalApp opens a modal on a command, and answers submissions as told.
async function modalApp(slack, answer) {
  const [opened, open] = once();
  const app = await slack.bolt((a) => {
    a.command('/deploy', async ({ ack, body, client }) => {
      await ack();
      open({ trigger: body.trigger_id, ...(await client.views.open({ trigger_id: body.trigger_id, view: modal() })) });
    });
    a.view('lock', async ({ ack, view, body }) => ack(answer(view, body)));
  });
  await slack.command();
  const { view, trigger } = await within(5000, 'the modal', opened);
  return { app, view, trigger };
}

export const cases = {
  'command: the payload of its ack is shown to its user alone': async (slack) => {
    await slack.bolt((app) => app.command('/deploy', async ({ ack, command }) => {
      assert.equal(command.user_id, 'U0DEPLOYER');
      assert.equal(command.channel_id, deploys);
      await ack({ text: `queued ${command.text}`, blocks: [section('queued')] });
    }));
    const ack = await slack.command('staging');
    assert.equal(ack.problem, undefined);
    const shown = await slack.last();
    assert.equal(shown.text, 'queued staging');
    assert.equal(shown.ephemeral_to, 'U0DEPLOYER');
  },

  'command: an ack with in_channel is shown to all, an empty one not at all': async (slack) => {
    await slack.bolt((app) => app.command('/deploy', async ({ ack, command }) => {
      await (command.text ? ack({ response_type: 'in_channel', text: command.text }) : ack());
    }));
    await slack.command('status');
    assert.equal((await slack.last()).ephemeral_to, undefined);
    await slack.command('');
    assert.equal((await slack.messages()).length, 1);
  },

  'respond: five times, and the sixth is refused': async (slack) => {
    const [answered, done] = once();
    await slack.bolt((app) => app.command('/deploy', async ({ ack, respond }) => {
      await ack();
      const outcomes = [];
      for (let i = 1; i <= 6; i++) {
        outcomes.push(await respond(`answer ${i}`).then(() => 'ok', (error) => String(error.message ?? error)));
      }
      done(outcomes);
    }));
    await slack.command();
    const outcomes = await within(10_000, 'six answers', answered);
    assert.deepEqual(outcomes.slice(0, 5), ['ok', 'ok', 'ok', 'ok', 'ok']);
    assert.notEqual(outcomes[5], 'ok');
    const shown = await slack.messages();
    assert.deepEqual(shown.map((m) => m.text), [1, 2, 3, 4, 5].map((i) => `answer ${i}`));
    const calls = (await slack.journal()).filter((c) => c.method === 'response_url');
    assert.equal(calls.at(-1).outcome, 'used_url');
  },

  'click: block_actions, its ack, and an update that takes the button away': async (slack) => {
    const [clicked, click] = once();
    await slack.bolt((app) => app.action('approve', async ({ ack, body, action, client }) => {
      await ack();
      await client.chat.update({ channel: body.channel.id, ts: body.message.ts, text: 'approved', blocks: [section('approved')] });
      click({ body, action });
    }));
    const { ts } = await slack.web().chat.postMessage({
      channel: deploys, text: 'approve?', blocks: [section('approve?'), actions(button('approve', 'Approve', { value: 'r1' }))],
    });
    await slack.click({ channel: deploys, ts, action_id: 'approve' });
    const { body, action } = await within(5000, 'the click', clicked);
    assert.equal(action.value, 'r1');
    assert.equal(body.user.id, 'U0DEPLOYER');
    assert.equal(body.container.message_ts, ts);
    assert.ok(body.trigger_id && body.response_url);
    const now = await slack.last();
    assert.equal(now.text, 'approved');
    await assert.rejects(slack.click({ channel: deploys, ts, action_id: 'approve' }), /no element with action_id/);
  },

  'click: respond replaces and deletes the message that was clicked': async (slack) => {
    await slack.bolt((app) => {
      app.action('yes', async ({ ack, respond }) => { await ack(); await respond({ replace_original: true, text: 'replaced', blocks: [actions(button('gone'))] }); });
      app.action('gone', async ({ ack, respond }) => { await ack(); await respond({ delete_original: true }); });
    });
    const { message_ts: ts } = await slack.web().chat.postEphemeral({
      channel: deploys, user: 'U0DEPLOYER', text: 'sure?', blocks: [actions(button('yes'))],
    });
    await assert.rejects(slack.click({ user: 'approver', channel: deploys, ts, action_id: 'yes' }), /sees no message/);
    await slack.click({ channel: deploys, ts, action_id: 'yes' });
    await slack.until('the replacement', async () => (await slack.last()).text === 'replaced');
    await slack.click({ channel: deploys, ts, action_id: 'gone' });
    await slack.until('the removal', async () => (await slack.last()).deleted === true);
    assert.equal((await slack.messages()).length, 1);
  },

  'modal: errors keep it open, and an empty ack closes it': async (slack) => {
    const { view } = await modalApp(slack, (v) => {
      const { value } = v.state.values.reason.text;
      return value === 'migration' ? undefined : { response_action: 'errors', errors: { reason: 'say why' } };
    });
    await assert.rejects(slack.submit({ view_id: view.id, values: {} }), /required field/);
    const ack = await slack.submit({ view_id: view.id, values: reason('x') });
    assert.deepEqual(ack.payload, { response_action: 'errors', errors: { reason: 'say why' } });
    assert.equal((await slack.views()).length, 1);
    await slack.submit({ view_id: view.id, values: reason('migration') });
    assert.equal((await slack.views()).length, 0);
    await assert.rejects(slack.submit({ view_id: view.id, values: reason('migration') }), /has no view/);
  },

  'modal: errors about a block that is not there are a problem': async (slack) => {
    const { view } = await modalApp(slack, () => ({ response_action: 'errors', errors: { nothing: '?' } }));
    const ack = await slack.submit({ view_id: view.id, values: reason('x') });
    assert.match(ack.problem, /nothing/);
  },

  'modal: an ack updates it, pushes onto it up to three, and clears all': async (slack) => {
    let answer;
    const { view } = await modalApp(slack, () => answer);
    answer = { response_action: 'update', view: modal([input('reason')], { title: plain('Sure?') }) };
    await slack.submit({ view_id: view.id, values: reason('x') });
    const [updated] = await slack.views();
    assert.equal(updated.id, view.id);
    assert.notEqual(updated.hash, view.hash);
    answer = { response_action: 'push', view: modal() };
    await slack.submit({ view_id: view.id, values: reason('x') });
    const pushed = (await slack.views()).at(-1);
    assert.equal(pushed.previous_view_id, view.id);
    assert.equal(pushed.root_view_id, view.id);
    await slack.submit({ view_id: pushed.id, values: reason('x') });
    const top = (await slack.views()).at(-1);
    const ack = await slack.submit({ view_id: top.id, values: reason('x') });
    assert.equal(ack.problem, 'push_limit_reached');
    answer = { response_action: 'clear' };
    await slack.submit({ view_id: top.id, values: reason('x') });
    assert.equal((await slack.views()).length, 0);
  },

  'modal: views.update by id and hash, views.push by a trigger from the modal': async (slack) => {
    const { app, view } = await modalApp(slack, () => undefined);
    const [pushed, push] = once();
    app.action('more', async ({ ack, body, client }) => {
      await ack();
      push(await client.views.push({ trigger_id: body.trigger_id, view: modal() }));
    });
    const web = slack.web();
    const { view: updated } = await web.views.update({ view_id: view.id, hash: view.hash, view: modal([actions(button('more'))]) });
    await refused('hash_conflict', web.views.update({ view_id: view.id, hash: view.hash, view: modal() }));
    await slack.click({ view_id: updated.id, action_id: 'more' });
    assert.equal((await within(5000, 'the push', pushed)).view.previous_view_id, view.id);
    await refused('not_found', web.views.update({ view_id: 'V0NONE', view: modal() }));
  },

  'modal: a trigger opens one view': async (slack) => {
    const { trigger } = await modalApp(slack, () => undefined);
    await refused('exchanged_trigger_id', slack.web().views.open({ trigger_id: trigger, view: modal() }));
    await refused('invalid_trigger_id', slack.web().views.open({ trigger_id: '1.2.x', view: modal() }));
  },

  'modal: a trigger lives three seconds': async (slack) => {
    const [triggered, trigger] = once();
    await slack.bolt((app) => app.command('/deploy', async ({ ack, body }) => { await ack(); trigger(body.trigger_id); }));
    await slack.command();
    const id = await within(5000, 'the trigger', triggered);
    await sleep(3300);
    await refused('expired_trigger_id', slack.web().views.open({ trigger_id: id, view: modal() }));
  },

  'modal: closing it tells the app, if the app asked for that': async (slack) => {
    const [closed, close] = once();
    let notify = true;
    const [first, second] = [once(), once()];
    await slack.bolt((app) => {
      app.command('/deploy', async ({ ack, body, client }) => {
        await ack();
        const { view } = await client.views.open({ trigger_id: body.trigger_id, view: modal([input('reason')], { notify_on_close: notify }) });
        (notify ? first : second)[1](view);
      });
      app.view({ callback_id: 'lock', type: 'view_closed' }, async ({ ack, body }) => { await ack(); close(body); });
    });
    await slack.command();
    const view = await within(5000, 'the modal', first[0]);
    await slack.close({ view_id: view.id, cleared: true });
    const body = await within(5000, 'view_closed', closed);
    assert.equal(body.view.id, view.id);
    assert.equal(body.is_cleared, true);
    notify = false;
    await slack.command();
    await slack.close({ view_id: (await within(5000, 'the modal', second[0])).id });
    const told = (await slack.journal()).filter((c) => c.kind === 'envelope' && c.method === 'interactive');
    assert.equal(told.length, 1);
  },

  'home: app_home_opened, views.publish, and a click in it': async (slack) => {
    const [clicked, click] = once();
    const seen = [];
    await slack.bolt((app) => {
      app.event('app_home_opened', async ({ event, client }) => {
        seen.push(event.view?.id);
        await client.views.publish({ user_id: event.user, view: { type: 'home', blocks: [section('Nothing is deployed'), actions(button('refresh'))] } });
      });
      app.action('refresh', async ({ ack, body }) => { await ack(); click(body); });
    });
    await slack.openHome();
    await slack.until('the Home', async () => slack.home().then(() => true, () => false));
    const home = await slack.home();
    assert.match(JSON.stringify(home.blocks), /Nothing is deployed/);
    await slack.click({ view_id: home.id, action_id: 'refresh' });
    assert.equal((await within(5000, 'the click', clicked)).view.type, 'home');
    await slack.openHome();
    await slack.until('the second opening', () => seen.length === 2);
    assert.deepEqual(seen, [undefined, home.id]);
    await assert.rejects(slack.home('approver'), /no Home/);
  },

  'mention: app_mention, and the answer in its thread': async (slack) => {
    await slack.bolt((app) => app.event('app_mention', async ({ event, say }) => {
      await say({ text: `you said ${event.text}`, thread_ts: event.thread_ts ?? event.ts });
    }));
    const { ts, event_id: id } = await slack.mention({ text: 'status' });
    assert.ok(id);
    await slack.until('the answer', async () => (await slack.messages()).length === 2);
    const answer = await slack.last();
    assert.equal(answer.thread_ts, ts);
    assert.equal(answer.text, 'you said <@U0BOT> status');
    const { messages } = await slack.web(botToken).conversations.replies({ channel: deploys, ts });
    assert.deepEqual(messages.map((m) => m.ts), [ts, answer.ts]);
  },
};
