// Block Kit: lengths, counts, fields, and what may stand where.

import assert from 'node:assert/strict';
import { actions, button, deploys, input, modal, mrkdwn, plain, refused, section } from './kit.mjs';

const x = (n) => 'x'.repeat(n);
const times = (n, make) => Array.from({ length: n }, (_, i) => make(i));
const option = (i, more = {}) => ({ text: plain(`o${i}`), value: `v${i}`, ...more });
const select = (n, more = {}) => ({ type: 'static_select', action_id: 's', options: times(n, (i) => option(i)), ...more });
const plan = (task) => ({ type: 'plan', title: 'Plan', tasks: [{ type: 'task_card', task_id: 't1', title: 'Deploy', ...task }] });
const cells = (n) => times(n, () => ({ type: 'raw_text', text: 'x' }));
const chart = (labels, name = 'new') => ({
  type: 'data_visualization', title: 'Errors', chart: {
    type: 'line', axis_config: { categories: labels }, series: [{ name, data: labels.map((label) => ({ label, value: 1 })) }],
  },
});

// Each limit: what passes, what does not, and where Slack points.
const limits = {
  'blocks in a message': [times(50, () => ({ type: 'divider' })), times(51, () => ({ type: 'divider' })), '/blocks'],
  'section text': [[section(x(3000))], [section(x(3001))], '/blocks/0/text/text'],
  'section fields': [[{ type: 'section', fields: times(10, () => mrkdwn('x')) }], [{ type: 'section', fields: times(11, () => mrkdwn('x')) }], '/blocks/0/fields'],
  'a field': [[{ type: 'section', fields: [mrkdwn(x(2000))] }], [{ type: 'section', fields: [mrkdwn(x(2001))] }], '/blocks/0/fields/0/text'],
  header: [[{ type: 'header', text: plain(x(150)) }], [{ type: 'header', text: plain(x(151)) }], '/blocks/0/text/text'],
  'actions elements': [[actions(...times(25, (i) => button(`b${i}`)))], [actions(...times(26, (i) => button(`b${i}`)))], '/blocks/0/elements'],
  'context elements': [[{ type: 'context', elements: times(10, () => mrkdwn('x')) }], [{ type: 'context', elements: times(11, () => mrkdwn('x')) }], '/blocks/0/elements'],
  'button text': [[actions(button('b', x(75)))], [actions(button('b', x(76)))], '/blocks/0/elements/0/text/text'],
  'button value': [[actions(button('b', 'b', { value: x(2000) }))], [actions(button('b', 'b', { value: x(2001) }))], '/blocks/0/elements/0/value'],
  action_id: [[actions(button(x(255), 'b'))], [actions(button(x(256), 'b'))], '/blocks/0/elements/0/action_id'],
  block_id: [[section('x', { block_id: x(255) })], [section('x', { block_id: x(256) })], '/blocks/0/block_id'],
  'the same block_id': [[section('x', { block_id: 'a' })], [section('x', { block_id: 'a' }), section('x', { block_id: 'a' })], '/blocks/1/block_id'],
  'select options': [[actions(select(100))], [actions(select(101))], '/blocks/0/elements/0/options'],
  'overflow options': [[actions({ ...select(5), type: 'overflow' })], [actions({ ...select(6), type: 'overflow' })], '/blocks/0/elements/0/options'],
  'checkbox options': [[actions({ ...select(10), type: 'checkboxes' })], [actions({ ...select(11), type: 'checkboxes' })], '/blocks/0/elements/0/options'],
  'option value': [[actions(select(1, { options: [option(1, { value: x(150) })] }))], [actions(select(1, { options: [option(1, { value: x(151) })] }))], '/blocks/0/elements/0/options/0/value'],
  placeholder: [[actions(select(1, { placeholder: plain(x(150)) }))], [actions(select(1, { placeholder: plain(x(151)) }))], '/blocks/0/elements/0/placeholder/text'],
  'confirm text': [[actions(button('b', 'b', { confirm: { text: plain(x(300)) } }))], [actions(button('b', 'b', { confirm: { text: plain(x(301)) } }))], '/blocks/0/elements/0/confirm/text/text'],
  'alt text': [[{ type: 'image', image_url: 'https://example.com/a.png', alt_text: x(2000) }], [{ type: 'image', image_url: 'https://example.com/a.png', alt_text: x(2001) }], '/blocks/0/alt_text'],
  markdown: [[{ type: 'markdown', text: x(12000) }], [{ type: 'markdown', text: x(12001) }], '/blocks/0/text'],
  'table columns': [[{ type: 'table', rows: [cells(20)] }], [{ type: 'table', rows: [cells(21)] }], '/blocks/0/rows/0'],
  'data table rows of one length': [[{ type: 'data_table', caption: 'c', rows: [cells(2), cells(2)] }], [{ type: 'data_table', caption: 'c', rows: [cells(2), cells(1)] }], '/blocks/0/rows/1'],
  'task status': [[plan({ status: 'complete' })], [plan({ status: 'completed' })], '/blocks/0/tasks/0/status'],
  'chart points': [[chart(times(20, String))], [chart(times(21, String))], '/blocks/0/chart/axis_config/categories'],
  'series name': [[chart(['a'], x(20))], [chart(['a'], x(21))], '/blocks/0/chart/series/0/name'],
  'carousel cards': [[{ type: 'carousel', elements: times(10, () => ({ type: 'card', title: mrkdwn('x') })) }], [{ type: 'carousel', elements: times(11, () => ({ type: 'card', title: mrkdwn('x') })) }], '/blocks/0/elements'],
  'card body': [[{ type: 'card', body: mrkdwn(x(200)) }], [{ type: 'card', body: mrkdwn(x(201)) }], '/blocks/0/body/text'],
  'container children': [[{ type: 'container', title: plain('x'), child_blocks: times(10, () => ({ type: 'divider' })) }], [{ type: 'container', title: plain('x'), child_blocks: times(11, () => ({ type: 'divider' })) }], '/blocks/0/child_blocks'],
};

// What may stand in a message, in a modal and on the Home tab.
const surfaces = [
  [{ type: 'alert', text: mrkdwn('x') }, 'modal'],
  [{ type: 'markdown', text: 'x' }, 'message'],
  [plan(), 'message'],
  [chart(['a']), 'message'],
  [{ type: 'container', title: plain('x'), child_blocks: [{ type: 'divider' }] }, 'message'],
  [{ type: 'context_actions', elements: [{ type: 'icon_button', icon: 'trash', text: plain('x'), action_id: 'i' }] }, 'message'],
  [{ type: 'table', rows: [cells(1)] }, 'message home'],
  [{ type: 'card', title: mrkdwn('x') }, 'message modal home'],
  [input('a'), 'message modal home'],
  [input('a', { type: 'file_input', action_id: 'f' }), 'modal'],
  [input('a', { type: 'email_text_input', action_id: 'f' }), 'modal'],
  [actions({ type: 'datetimepicker', action_id: 'd' }), 'message modal'],
  [input('a', { type: 'rich_text_input', action_id: 'r' }), 'modal home'],
  [{ type: 'file', external_id: 'x', source: 'remote' }, ''],
  [actions({ type: 'plain_text_input', action_id: 'p' }), ''],
  [input('a', button('b')), ''],
];

// Fields that a kind does not have, and where Slack points.
const additional = [
  [{ type: 'divider', text: mrkdwn('x') }, 'text', '/blocks/0'],
  [section('x', { value: '1' }), 'value', '/blocks/0'],
  [actions(button('b', 'b', { block_id: 'x' })), 'block_id', '/blocks/0/elements/0'],
  [{ type: 'section', text: { ...mrkdwn('x'), emoji: true } }, 'emoji', '/blocks/0/text'],
  [actions(select(1, { options: [option(1, { url: 'https://example.com' })] })), 'url', '/blocks/0/elements/0/options/0'],
  [actions(button('b', 'b', { confirm: { text: plain('x'), cancel: plain('x') } })), 'cancel', '/blocks/0/elements/0/confirm'],
  [plan({ state: 'x' }), 'state', '/blocks/0/tasks/0'],
];

const pointers = (data) => data.response_metadata.messages.map((m) => m.match(/\[json-pointer:(.*)\]/)[1]);

export const cases = {
  'blocks: each limit, on both of its sides, with invalid_blocks and where': async (slack) => {
    const web = slack.web();
    for (const [name, [good, bad, where]] of Object.entries(limits)) {
      await web.chat.postMessage({ channel: deploys, text: name, blocks: good }).catch((e) => assert.fail(`${name}: ${e}`));
      const data = await refused('invalid_blocks', web.chat.postMessage({ channel: deploys, text: name, blocks: bad }));
      assert.ok(pointers(data).includes(where), `${name}: ${data.response_metadata.messages}`);
    }
  },

  'blocks: together no more than 13,200 characters, markdown no more than 12,000': async (slack) => {
    const web = slack.web();
    const post = (blocks) => web.chat.postMessage({ channel: deploys, text: 'x', blocks });
    await post(times(4, () => section(x(3000))));
    await refused('msg_blocks_too_long', post(times(5, () => section(x(3000)))));
    await post(times(2, () => ({ type: 'markdown', text: x(6000) })));
    await refused('invalid_blocks', post(times(2, () => ({ type: 'markdown', text: x(6001) }))));
    await refused('invalid_blocks_format', web.apiCall('chat.postMessage', { channel: deploys, text: 'x', blocks: '{}' }));
  },

  'blocks: each stands only where Slack takes it': async (slack) => {
    const web = slack.web();
    const triggers = [];
    await slack.bolt((app) => app.command('/deploy', async ({ ack, body }) => { await ack(); triggers.push(body.trigger_id); }));
    const put = {
      message: (block) => web.chat.postMessage({ channel: deploys, text: 'x', blocks: [block] }),
      home: (block) => web.views.publish({ user_id: 'U0DEPLOYER', view: { type: 'home', blocks: [block] } }),
      modal: async (block) => {
        await slack.command();
        return web.views.open({ trigger_id: triggers.pop(), view: modal([block]) });
      },
    };
    for (const [block, allowed] of surfaces) {
      for (const [surface, call] of Object.entries(put)) {
        const what = `${JSON.stringify(block)} in a ${surface}`;
        const error = await call(block).then(() => null, (e) => e.data ?? e);
        if (allowed.split(' ').includes(surface)) assert.equal(error, null, `${what}: ${JSON.stringify(error)}`);
        else assert.match(JSON.stringify(error?.response_metadata), /unsupported type/, what);
      }
    }
  },

  'blocks: unknown fields are refused': async (slack) => {
    for (const [block, field, where] of additional) {
      const data = await refused('invalid_blocks', slack.web().chat.postMessage({ channel: deploys, text: 'x', blocks: [block] }));
      assert.deepEqual(data.response_metadata.messages, [`[ERROR] invalid additional property: ${field} [json-pointer:${where}]`]);
    }
  },

  'views: limits and unknown fields, with invalid_arguments and where': async (slack) => {
    const web = slack.web();
    const wrong = [
      [modal(undefined, { title: plain(x(25)) }), '/view/title/text'],
      [modal(undefined, { private_metadata: x(3001) }), '/view/private_metadata'],
      [modal(undefined, { callback_id: x(256) }), '/view/callback_id'],
      [modal(undefined, { submit: undefined }), '/view'],
      [modal(times(101, () => ({ type: 'divider' }))), '/view/blocks'],
      [modal([section('')]), '/view/blocks/0/text/text'],
      [modal(undefined, { state: { values: {} } }), '/view'],
      [{ type: 'home', blocks: [section('x')] }, '/view/type'],
    ];
    for (const [view, where] of wrong) {
      const data = await refused('invalid_arguments', web.views.open({ trigger_id: '1.2.x', view }));
      assert.ok(pointers(data).includes(where), `${where}: ${data.response_metadata.messages}`);
    }
    const data = await refused('invalid_arguments', web.views.publish({ user_id: 'U0DEPLOYER', view: { type: 'home', title: plain('x'), blocks: [section('x')] } }));
    assert.deepEqual(pointers(data), ['/view']);
    await refused('view_too_large', web.views.publish({ user_id: 'U0DEPLOYER', view: { type: 'home', blocks: times(90, () => section(x(3000))) } }));
  },
};
