// Keeps the page as the server says it is, and sends what people do.
'use strict';

(() => {
  const byId = id => document.getElementById(id);
  const address = () => location.pathname + location.search;

  // ---- What changed comes as HTML by id, and is morphed into what is there: elements stay the same
  // ones, so that focus, scroll positions, open <details> and half-typed text stay too.

  let dragged = null; // the slider under the pointer
  const held = el => el === document.activeElement || el === dragged;

  function morph(from, to) {
    if (from.nodeType !== to.nodeType || from.nodeName !== to.nodeName) {
      from.replaceWith(to);
      return;
    }
    if (from.nodeType !== Node.ELEMENT_NODE) {
      if (from.data !== to.data) from.data = to.data;
      return;
    }
    if (from.isEqualNode(to)) return;
    morphAttributes(from, to);
    morphChildren(from, to);
  }

  const ownState = { DETAILS: ['open'], DIALOG: ['open'], INPUT: ['aria-expanded', 'aria-activedescendant'] };

  function morphAttributes(from, to) {
    const own = ownState[from.nodeName] || [];
    for (const { name } of [...from.attributes]) {
      if (!to.hasAttribute(name) && !own.includes(name)) from.removeAttribute(name);
    }
    for (const { name, value } of [...to.attributes]) {
      if (own.includes(name) || from.getAttribute(name) === value) continue;
      from.setAttribute(name, value);
      if (name === 'value' && from.nodeName === 'INPUT' && !held(from)) from.value = value;
    }
  }

  function morphChildren(from, to) {
    if (from.nodeName === 'OUTPUT' && dragged && from.closest('label')?.contains(dragged)) return;
    const keyed = new Map([...from.children].filter(c => c.id).map(c => [c.id, c]));
    let at = from.firstChild;
    for (const next of [...to.childNodes]) {
      let same = next.id ? keyed.get(next.id) : null;
      if (!same && !next.id && at && !at.id && at.nodeName === next.nodeName) same = at;
      if (!same) {
        from.insertBefore(next, at);
        continue;
      }
      if (same === at) at = at.nextSibling;
      else from.insertBefore(same, at);
      morph(same, next);
    }
    while (at) {
      const after = at.nextSibling;
      at.remove();
      at = after;
    }
  }

  function parse(html) {
    const t = document.createElement('template');
    t.innerHTML = html;
    return t.content.firstElementChild;
  }

  function apply({ set = {}, lists = {} }) {
    const arrived = new Map();
    for (const [id, html] of Object.entries(set)) {
      const now = parse(html), was = byId(id);
      if (was) morph(was, now);
      else arrived.set(id, now);
    }
    for (const [id, ids] of Object.entries(lists)) arrange(byId(id), ids, arrived);
    settle();
  }

  // arrange gives a list exactly the elements named, in their order.
  function arrange(list, ids, arrived) {
    const wanted = new Set(ids);
    for (const child of [...list.children]) if (!wanted.has(child.id)) child.remove();
    let at = list.firstElementChild;
    for (const id of ids) {
      const el = arrived.get(id) || byId(id);
      if (!el) continue;
      if (el === at) {
        at = at.nextElementSibling;
        continue;
      }
      list.insertBefore(el, at);
      if (arrived.has(id) && el.dataset.say && !fresh) announce(el);
    }
  }

  // announce tells those who listen, and those who look elsewhere in the channel.
  function announce(el) {
    byId('announce').textContent = el.dataset.say;
    if (el.parentElement.id !== 'messages' || scrollers[0].stuck) return;
    byId('newer').textContent = '↓ ' + el.dataset.say;
    byId('newer').hidden = false;
  }

  // ---- After each change: what the address and the server's state mean for the frame.

  let fresh = true; // nothing was shown of this place yet
  let opener = null; // what opened the thread

  function settle() {
    const { view, channel, thread, user, title } = byId('place').dataset;
    const body = document.body.dataset;
    const moved = [view !== body.view || channel !== body.channel, thread !== body.thread];
    const opened = thread && thread !== body.thread;
    const closed = body.thread && !thread;
    Object.assign(body, { view, channel, thread, user });
    document.title = title + ' · ' + document.title.split(' · ').pop();
    showModals();
    markErrors();
    paintOutputs();
    if (fresh) land(moved);
    if (opened && opener) byId('thread-text').focus({ preventScroll: true });
    if (closed && opener && opener.isConnected) opener.focus({ preventScroll: true });
    if (closed || opened) opener = thread ? opener : null;
    follow();
  }

  // land scrolls to the message that a permalink names, else where the place is another one to the newest.
  function land(moved) {
    fresh = false;
    scrollers.forEach((s, i) => {
      if (!moved[i]) return;
      s.stuck = true;
      s.el.scrollTop = end(s.el);
    });
    byId('newer').hidden = true;
    const target = document.querySelector(document.body.dataset.thread ? '#thread .target' : '.target') || document.querySelector('.target');
    if (!target) return;
    const s = scrollers.find(s => s.el.contains(target));
    if (s) s.stuck = false;
    target.scrollIntoView({ block: 'start' });
  }

  // Scrollers that stand at their end follow what is added, to where the last message is seen whole,
  // or of one that is taller than the window its beginning, where its questions are.
  const scrollers = ['scroll', 'thread-scroll'].map(id => ({ el: byId(id), stuck: true }));
  const bottom = el => el.scrollHeight - el.clientHeight;
  function end(el) {
    const last = el.querySelector('.messages').lastElementChild;
    if (!last) return bottom(el);
    return Math.min(bottom(el), last.getBoundingClientRect().top - el.getBoundingClientRect().top + el.scrollTop);
  }
  for (const s of scrollers) {
    s.el.addEventListener('scroll', () => {
      s.stuck = s.el.scrollTop > bottom(s.el) - 60;
      if (s.stuck && s === scrollers[0]) byId('newer').hidden = true;
    }, { passive: true });
  }
  byId('newer').addEventListener('click', () => { scrollers[0].el.scrollTop = bottom(scrollers[0].el); });
  function follow() {
    if (document.body.dataset.view === 'home') return;
    for (const s of scrollers) if (s.stuck) s.el.scrollTop = Math.max(s.el.scrollTop, end(s.el));
  }
  const grown = new ResizeObserver(follow);
  for (const id of ['messages', 'thread-messages', 'scroll', 'thread-scroll']) grown.observe(byId(id));

  function showModals() {
    for (const d of document.querySelectorAll('#modals dialog')) {
      if (!d.open) d.showModal();
    }
  }

  // markErrors ties the message under an input to the input.
  function markErrors() {
    for (const block of document.querySelectorAll('.modal-block')) {
      const error = block.querySelector('.field-error');
      if (error) error.id = 'error-' + block.dataset.block;
      for (const input of block.querySelectorAll('input, select, textarea')) {
        input.toggleAttribute('aria-invalid', Boolean(error));
        if (error) input.setAttribute('aria-errormessage', error.id);
      }
    }
  }

  function paintOutputs() {
    for (const input of document.querySelectorAll('input[data-traffic]')) {
      if (held(input)) input.closest('label').querySelector('output').textContent = input.value + input.dataset.unit;
    }
  }

  // ---- The stream.

  let stream = null;
  let again = 0;

  function connect() {
    clearTimeout(again);
    if (stream) stream.close();
    const s = stream = new EventSource('/page/events?at=' + encodeURIComponent(address()));
    s.onmessage = e => {
      if (s !== stream) return;
      apply(JSON.parse(e.data));
      document.body.dataset.live = 'yes';
    };
    s.onerror = () => {
      if (s !== stream) return;
      document.body.dataset.live = 'no';
      if (s.readyState === EventSource.CLOSED) again = setTimeout(connect, 2000);
    };
  }

  function go(url) {
    history.pushState(null, '', url);
    fresh = true;
    connect();
    toggle('nav', false);
  }

  addEventListener('popstate', () => {
    fresh = true;
    connect();
  });

  // ---- What people do.

  async function post(what, fields) {
    const body = new URLSearchParams(fields);
    body.set('at', address());
    try {
      const answer = await fetch('/page/' + what, { method: 'POST', body });
      if (!answer.ok) toast(await answer.text());
      return answer.ok;
    } catch {
      toast('The sandbox does not answer. Is it still running?');
      return false;
    }
  }

  let toasted = 0;
  function toast(text) {
    const el = byId('toast');
    el.textContent = text;
    el.hidden = false;
    clearTimeout(toasted);
    toasted = setTimeout(() => { el.hidden = true; }, 8000);
  }

  const words = v => (v && typeof v === 'object' ? v.text : v) || '';

  // confirmed asks as Slack does, if the element has something to ask.
  function confirmed(el) {
    if (!el.dataset.confirm) return Promise.resolve(true);
    const ask = JSON.parse(el.dataset.confirm), dialog = byId('confirm'), yes = byId('confirm-yes'), no = byId('confirm-no');
    byId('confirm-title').textContent = words(ask.title) || 'Are you sure?';
    byId('confirm-text').textContent = words(ask.text);
    yes.textContent = words(ask.confirm) || 'Yes';
    no.textContent = words(ask.deny) || 'Cancel';
    yes.classList.toggle('danger', ask.style === 'danger');
    return new Promise(resolve => {
      let answer = false;
      yes.onclick = () => { answer = true; dialog.close(); };
      no.onclick = () => dialog.close();
      dialog.onclose = () => resolve(answer);
      dialog.showModal();
    });
  }

  async function act(el, value) {
    if (el.getAttribute('aria-busy') || !(await confirmed(el))) return;
    el.setAttribute('aria-busy', 'true');
    const message = el.closest('[data-ts]'), view = el.closest('[data-view-id]');
    await post('click', {
      action_id: el.dataset.actionId, block_id: el.dataset.blockId || '', value: value || '',
      ts: message ? message.dataset.ts : '', view_id: view ? view.dataset.viewId : '',
    });
    el.removeAttribute('aria-busy');
  }

  function toggle(what, open) {
    const now = document.body.classList.toggle(what + '-open', open);
    for (const b of document.querySelectorAll(`[data-toggle=${what}]`)) b.setAttribute('aria-expanded', String(now));
    return now;
  }

  document.addEventListener('click', e => {
    if (e.defaultPrevented) return;
    if (document.body.classList.contains('nav-open') && !e.target.closest('#channels, [data-toggle=nav]')) toggle('nav', false);
    const link = e.target.closest('a[href]');
    if (link && follows(link, e)) return;
    const button = e.target.closest('button, a[data-action-id]');
    if (!button) return;
    const d = button.dataset;
    if (d.actionId !== undefined) {
      button.closest('details.bk-overflow')?.removeAttribute('open');
      act(button, d.value);
    } else if (d.toggle) {
      if (toggle(d.toggle) && d.toggle === 'cloud') byId('cloud').focus();
    } else if (d.fault) post('fault', { fault: d.fault });
    else if ('dismiss' in d) post('dismiss', {});
    else if (d.closeView) closeView(button.closest('dialog'), d.closeView === 'all');
  });

  // follows goes to a place of this page without loading it anew.
  function follows(link, e) {
    const to = new URL(link.href, location.href);
    const ours = to.origin === location.origin && /^\/($|channel\/|archives\/|home$)/.test(to.pathname);
    if (!ours || to.hash || e.metaKey || e.ctrlKey || e.shiftKey || e.button !== 0) return false;
    e.preventDefault();
    if (!to.searchParams.has('as')) to.searchParams.set('as', document.body.dataset.user);
    if (link.matches('.replies, .reply-to a')) opener = link;
    go(to.pathname + to.search);
    return true;
  }

  document.addEventListener('change', e => {
    const el = e.target;
    if (el.matches('input[data-traffic]')) sendTraffic(el);
    // what an input block holds is sent with its modal
    else if (el.dataset.actionId !== undefined && !el.closest('.bk-input')) act(el, el.value);
  });

  // ---- Sliders.

  const sending = new Map();
  function sendTraffic(el) {
    clearTimeout(sending.get(el));
    sending.delete(el);
    post('traffic', { service: el.dataset.service, revision: el.dataset.revision || '', value: el.value });
  }
  document.addEventListener('input', e => {
    const el = e.target;
    if (!el.matches('input[data-traffic]')) return;
    el.closest('label').querySelector('output').textContent = el.value + el.dataset.unit;
    if (!sending.has(el)) sending.set(el, setTimeout(() => sendTraffic(el), 300));
  });
  document.addEventListener('pointerdown', e => { dragged = e.target.closest('input[type=range]'); });
  for (const end of ['pointerup', 'pointercancel']) document.addEventListener(end, () => { dragged = null; });

  // ---- Modals.

  document.addEventListener('submit', e => {
    const form = e.target;
    e.preventDefault();
    if ('submit' in form.dataset) {
      const fields = new FormData(form);
      fields.set('view_id', form.closest('dialog').dataset.viewId);
      post('submit', fields);
    } else if ('send' in form.dataset) send(form);
  });
  document.addEventListener('cancel', e => {
    if (!e.target.matches('#modals dialog')) return;
    e.preventDefault();
    closeView(e.target, false);
  }, true);
  const closeView = (dialog, all) => post('close', { view_id: dialog.dataset.viewId, cleared: all ? '1' : '' });

  // ---- The composers, with their completion.

  function send(form) {
    const input = form.elements.text, text = input.value.trim();
    if (!text) return;
    const thread = form.dataset.send === 'thread';
    input.value = '';
    offer(input, '');
    scrollers[thread ? 1 : 0].stuck = true; // to see the answer
    post('send', { text, thread: thread ? '1' : '' });
  }

  let asked = 0;
  async function complete(input) {
    const mine = ++asked, text = input.value;
    if (!/^\s*[/@]/.test(text)) return offer(input, '');
    const query = new URLSearchParams({ text, thread: input.id === 'thread-text' ? '1' : '' });
    const html = await fetch('/page/complete?' + query).then(answer => answer.ok ? answer.text() : '').catch(() => '');
    if (mine === asked && input === document.activeElement) offer(input, html); // else it was sent, or typed on, meanwhile
  }

  const listOf = input => byId(input.getAttribute('aria-controls'));

  function offer(input, html) {
    const list = listOf(input);
    list.innerHTML = html;
    list.hidden = !html;
    input.setAttribute('aria-expanded', String(Boolean(html)));
    input.removeAttribute('aria-activedescendant');
    if (!html) asked++;
  }

  function select(input, option) {
    for (const o of listOf(input).children) o.setAttribute('aria-selected', String(o === option));
    if (!option) return input.removeAttribute('aria-activedescendant');
    input.setAttribute('aria-activedescendant', option.id);
    option.scrollIntoView({ block: 'nearest' });
  }

  function take(input, option) {
    input.value = option.dataset.value;
    offer(input, '');
    input.focus();
  }

  function completionKey(input, e) {
    const options = [...listOf(input).children];
    const current = options.findIndex(o => o.id === input.getAttribute('aria-activedescendant'));
    switch (e.key) {
      case 'ArrowDown':
      case 'ArrowUp': {
        if (!options.length) return complete(input);
        const step = e.key === 'ArrowDown' ? 1 : current < 0 ? 0 : -1;
        select(input, options[(current + step + options.length) % options.length]);
        return e.preventDefault();
      }
      case 'Enter':
        if (current < 0) return;
        take(input, options[current]);
        return e.preventDefault();
      case 'Tab':
        if (!options.length || e.shiftKey) return;
        take(input, options[Math.max(current, 0)]);
        return e.preventDefault();
      case 'Escape':
        if (!options.length) return;
        offer(input, '');
        e.preventDefault();
    }
  }

  for (const id of ['composer', 'thread-composer']) {
    const form = byId(id), input = form.elements.text;
    input.addEventListener('input', () => complete(input));
    input.addEventListener('keydown', e => completionKey(input, e));
    input.addEventListener('blur', () => offer(input, ''));
    listOf(input).addEventListener('mousedown', e => {
      const option = e.target.closest('[role=option]');
      e.preventDefault();
      if (option) take(input, option);
    });
  }

  document.addEventListener('keydown', e => {
    if (e.key !== 'Escape' || e.defaultPrevented || document.querySelector('dialog[open]')) return;
    if (document.body.classList.contains('nav-open')) toggle('nav', false);
    else if (document.body.classList.contains('cloud-open')) toggle('cloud', false);
    else if (document.body.dataset.thread) byId('thread-close').click();
  });

  // ---- Light and dark.

  byId('theme').addEventListener('click', () => {
    const root = document.documentElement, dark = matchMedia('(prefers-color-scheme: dark)').matches;
    const shown = root.dataset.theme || (dark ? 'dark' : 'light');
    const next = shown === 'dark' ? 'light' : 'dark';
    if ((next === 'dark') === dark) { // as the system is
      delete root.dataset.theme;
      document.cookie = 'theme=; path=/; max-age=0; samesite=strict';
    } else {
      root.dataset.theme = next;
      document.cookie = `theme=${next}; path=/; max-age=31536000; samesite=strict`;
    }
  });

  settle();
  byId('composer-text').focus({ preventScroll: true });
  connect();
})();
