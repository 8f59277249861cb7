// The script of Roots: live updates, keys, dragging and small comforts. All pages work without it.
'use strict';
(() => {
  const byId = (id) => document.getElementById(id);
  const one = (it) => document.querySelector(it);
  const focused = () => document.activeElement;
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  let main = byId('main');
  const live = byId('live');
  // A page that says itself that it is not live is never asked for again.
  const still = live && 'still' in live.dataset;
  const on = (type, act) => document.addEventListener(type, act);
  const tell = (text) => { const told = byId('told'); if (told) told.textContent = text; };

  // The viewer's time zone.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone && !document.cookie.split('; ').includes('roots-zone=' + zone)) {
    const secure = location.protocol === 'https:' ? '; Secure' : '';
    document.cookie = `roots-zone=${zone}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
    if (live) setTimeout(() => refresh(), 0);
  }

  // Copying what is shown once.
  for (const button of all('[data-copy]')) {
    button.hidden = false;
    button.addEventListener('click', async () => {
      await navigator.clipboard.writeText(byId(button.dataset.copy).textContent.trim());
      button.textContent = 'Copied';
    });
  }

  // Filters apply as they are chosen. By keyboard each arrow chooses: there a button shows.
  on('change', ({ target }) => {
    if (!target.matches('select:focus-visible')) target.closest('[data-filter]')?.requestSubmit?.();
  });

  // Menus close by a click beside them, and charts lead on.
  on('click', (event) => {
    for (const menu of all('.menu[open]')) menu.open = menu.contains(event.target);
    const mark = event.target.closest('svg [data-href]');
    if (mark) location.href = mark.dataset.href;
    const year = event.target.closest('svg[data-year]');
    if (!year || mark) return;
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(year.getScreenCTM().inverse());
    const [column, row] = [Math.floor(at.x / 13), Math.floor((at.y - 18) / 13)];
    if (column < 0 || row < 0 || row > 6) return;
    const day = new Date(year.dataset.year + 'T00:00:00Z');
    day.setUTCDate(day.getUTCDate() + column * 7 + row);
    const name = day.toISOString().slice(0, 10);
    location.href = `/activity?since=${name}&until=${name}`;
  });

  // A double click sends a form once.
  on('submit', (event) => {
    const form = event.target;
    if (form.method !== 'post') return;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = '1';
    setTimeout(() => delete form.dataset.sent, 3000);
  });

  function toast(text) {
    byId('toast')?.remove();
    const box = make('p', text, { id: 'toast' });
    document.body.append(box);
    setTimeout(() => box.remove(), 8000);
    tell(text);
  }

  // Live updates. The stream only says that something has changed; the page asks for itself again
  // and swaps the marked parts that differ, or all of it where it has other parts than before.
  const RUSH = 3000, POLL = 15000, SLOWEST = 60000;
  let shown = new Map();
  let stream, timer, streamTimer, running, isGone, lastRefresh = 0, lastAnswer = Date.now(), wanted = 0;

  function plain(part) {
    const copy = part.cloneNode(true);
    for (const key of all('input[name=idempotency_key]', copy)) key.removeAttribute('value');
    return copy.outerHTML;
  }
  const parts = (root) => all('[data-live][id]', root).map((it) => [it.id, plain(it), it]);
  function badge(state, text) {
    live.hidden = false;
    live.dataset.state = state;
    live.querySelector('span').textContent = text;
  }
  const age = () => {
    const minutes = Math.round((Date.now() - lastAnswer) / 60000);
    return minutes < 1 ? 'Not live' : `${minutes} min old`;
  };
  const version = () => Number(main.dataset.version || 0);
  // What has no version shows other accounts, of which no stream tells.
  const fresh = () => version() ? badge('live', 'Live')
    : badge('old', `As of ${new Date(Number(main.dataset.now)).toLocaleTimeString('sv')}, asks each minute`);

  function schedule(soon) {
    clearTimeout(timer);
    if (document.hidden || isGone) return;
    const flips = Number(main.dataset.nextChange || 0) - Number(main.dataset.now);
    let wait = flips > 0 ? Math.min(flips + 50, SLOWEST) : SLOWEST;
    if (soon || (version() && wanted > version())) wait = Math.max(0, lastRefresh + RUSH - Date.now());
    if (!stream) wait = Math.min(wait, POLL);
    timer = setTimeout(refresh, wait);
  }

  // Asks once at a time. Whoever comes meanwhile waits for the same answer.
  const refresh = () => live && !still && !isGone && (running ||= ask().finally(() => { running = undefined; schedule(); }));
  async function ask() {
    lastRefresh = Date.now();
    try {
      const answer = await fetch(location.href, { headers: { 'x-roots-refresh': '1' }, redirect: 'manual' });
      const next = answer.ok && await pageOf(answer);
      // Somebody else may have signed in in another tab.
      if (answer.type === 'opaqueredirect' || (next && next.getElementById('main').dataset.viewer !== main.dataset.viewer)) {
        if (all('form').some(isDirty)) badge('old', 'Signed out');
        else location.reload();
      } else if (next) {
        swap(next);
        lastAnswer = Date.now();
        if (stream?.readyState === 1) fresh();
      } else if (answer.status === 404) {
        isGone = true;
        disconnect();
        badge('old', 'Gone');
        main.querySelector('.top').after(make('p',
          'This is gone: it was deleted, or is not yours to see any more. Below is how it was.', { class: 'note', role: 'alert' }));
      } else badge('old', age());
    } catch { badge('old', age()); }
  }
  const pageOf = async (answer) => new DOMParser().parseFromString(await answer.text(), 'text/html');

  const isDirty = (form) => all('input, textarea, select', form).some((it) => {
    if (it.type === 'hidden') return false;
    if (it.tagName === 'SELECT') return [...it.options].some((o) => o.selected !== o.defaultSelected) && it.selectedIndex > 0;
    return it.type === 'checkbox' ? it.checked !== it.defaultChecked : it.value !== it.defaultValue;
  });
  const FOCUSABLE = 'a, button, summary, input, select, textarea, [tabindex]';
  const SCROLLED = '.scroll, .board', ROWS = '[id^="todo-"], [id^="row-"]';
  const href = (it) => it?.getAttribute('href');
  // Finds an element again: by the nearest id, its place in there, and where it leads.
  function place(element, selector) {
    const { id } = element.closest('[id]'), leads = href(element);
    const index = element.id ? -1 : all(selector, byId(id)).indexOf(element);
    return () => {
      const root = byId(id);
      if (!root || index < 0) return root;
      const found = all(selector, root);
      return href(found[index]) === leads ? found[index] : found.find((it) => href(it) === leads) || found[index];
    };
  }

  function swap(next) {
    // While a card is dragged, all stays. So does the version: the page asks again soon.
    if (main.querySelector('.dragged')) return delete main.dataset.nextChange;
    const needs = () => all('[data-told]', main).map((it) => it.dataset.told);
    const ids = (list) => list.map(([id]) => id).join();
    const theirs = next.getElementById('main'), told = needs(), news = parts(theirs);
    if (ids(news) === ids(parts(main))) {
      for (const [id, html, part] of news) if (shown.get(id) !== html) replace(byId(id), part);
      for (const name in main.dataset) delete main.dataset[name];
      Object.assign(main.dataset, theirs.dataset);
    } else {
      theirs.querySelector('#live').replaceWith(live);
      replace(main, theirs);
      main = theirs;
    }
    shown = new Map(news);
    const newNeeds = needs().filter((it) => !told.includes(it));
    if (newNeeds.length) tell(`Needs you. ${newNeeds.join('; ')}`);
  }

  function replace(old, part) {
    const active = old.contains(focused()) ? focused() : null;
    const isTyped = (form) => isDirty(form) || (form.contains(active) && active.matches('input, textarea'));
    // Half-typed forms move over as they are. A step begins at what shows now: only its note moves.
    const pairs = [], lost = [];
    for (const form of all('form', old).filter(isTyped)) {
      const there = all('form', part).find((it) => it.getAttribute('action') === form.getAttribute('action'));
      if (!there) lost.push(...all('textarea, input:not([type=hidden], [type=password], [type=checkbox])', form).map((it) => it.value));
      else pairs.push(form.matches('.step') ? [form.elements.note, there.elements.note] : [form, there]);
    }
    const open = all('details[open]', old).map((it) => place(it, 'details'));
    const scrolled = [old, ...all(SCROLLED, old)].map((it) => it.scrollLeft);
    const focus = active && (pairs.some(([it]) => it.contains(active)) ? () => active : place(active, FOCUSABLE));
    const before = new Map(all(ROWS, old).map((it) => [it.id, plain(it)]));
    for (const [it, there] of pairs) there.replaceWith(it);
    old.replaceWith(part);
    for (const find of open) (find() || {}).open = true;
    [part, ...all(SCROLLED, part)].forEach((it, index) => { it.scrollLeft = scrolled[index] || 0; });
    for (const it of all(ROWS, part)) if (before.get(it.id) !== plain(it)) it.classList.add('changed');
    focus?.()?.focus({ preventScroll: true });
    const typed = lost.join('\n').trim();
    if (typed) dialog('Gone', make('h2', 'What you were typing for is gone'), make('p', 'You had typed:'), make('pre', typed));
  }

  function connect() {
    clearTimeout(streamTimer);
    if (stream || document.hidden || isGone) return;
    stream = new EventSource('/events');
    stream.onopen = fresh;
    stream.onmessage = (event) => {
      const before = wanted;
      wanted = Number(event.data);
      // A page without a version only knows that it has changed since.
      if (version() ? wanted > version() : before && wanted !== before) schedule(true);
    };
    stream.onerror = () => {
      if (stream && stream.readyState !== EventSource.CLOSED) return badge('waiting', 'Reconnecting');
      stream = undefined;
      badge('old', 'Updated every 15 s');
      streamTimer = setTimeout(connect, POLL);
      // Refused for good: the sign-in may have ended, which the page then says.
      schedule(true);
    };
  }
  function disconnect() {
    if (stream) stream.close();
    stream = undefined;
    clearTimeout(timer);
    clearTimeout(streamTimer);
  }
  if (live && !still) {
    shown = new Map(parts(main));
    on('visibilitychange', () => {
      if (document.hidden) return disconnect();
      connect();
      refresh();
    });
    addEventListener('pagehide', disconnect);
    addEventListener('pageshow', (event) => { if (event.persisted) location.reload(); });
    connect();
    schedule();
  }

  // Moving cards. Nothing is moved before the server has said so.
  const statuses = ['open', 'in_progress', 'done', 'cancelled'];
  const word = (status) => status.replace('_', ' ');
  const allowed = (card) => card.dataset.next.split(' ');
  const titleOf = (card) => card.querySelector('a').textContent;

  // Moves wait for each other, because each begins at what the one before has left.
  let moves, moved = 0;
  function move({ id }, status) { moves = Promise.resolve(moves).then(() => takeStep(byId(id), status)); }
  async function takeStep(card, status) {
    if (!card) return toast('The card is not on this page any more.');
    if (!allowed(card).includes(status)) {
      return toast(`${titleOf(card)}: there is no step from ${word(card.dataset.status)} to ${word(status)}.`);
    }
    const form = card.querySelector('form.step');
    const body = new URLSearchParams(new FormData(form));
    body.set('status', status);
    body.set('idempotency_key', `${form.elements.idempotency_key.value}-${moved += 1}`);
    try {
      const answer = await fetch(form.getAttribute('action'), { method: 'POST', body, redirect: 'manual' });
      if (answer.type === 'opaqueredirect') {
        tell(`${titleOf(card)}: ${word(card.dataset.status)} to ${word(status)}`);
      } else {
        const page = await pageOf(answer);
        const why = page.querySelector('[role=alert], main p:not(.brand)');
        if (answer.status === 412) dialog('Changed meanwhile', ...all('#main h1, #main > :not(.top)', page));
        else toast(why ? why.textContent : 'That was refused.');
      }
    } catch { toast('The server did not answer. Nothing was moved here; look again in a moment.'); }
    await running;
    await refresh();
  }

  let drag;
  function mark(card, target) {
    for (const column of all('.col')) {
      const status = column.dataset.column;
      const may = !card || status === card.dataset.status || allowed(card).includes(status);
      column.classList.toggle('closed', !may);
      column.classList.toggle('target', !!card && status === target && may);
    }
  }
  function drop() {
    if (!drag) return;
    drag.card.classList.remove('dragged');
    drag.card.style.transform = '';
    mark();
    drag = undefined;
  }
  on('dragstart', (event) => { if (event.target.closest('.todo')) event.preventDefault(); });
  on('pointerdown', (event) => {
    const card = event.target.closest('.board .todo');
    if (!card || event.button || event.pointerType === 'touch' || event.target.closest('details')) return;
    drag = { card, x: event.clientX, y: event.clientY, moved: false };
  });
  on('pointermove', (event) => {
    if (!drag) return;
    const [x, y] = [event.clientX - drag.x, event.clientY - drag.y];
    if (!drag.moved && Math.hypot(x, y) < 6) return;
    drag.moved = true;
    drag.card.classList.add('dragged');
    drag.card.style.transform = `translate(${x}px, ${y}px)`;
    const column = document.elementFromPoint(event.clientX, event.clientY)?.closest('.col');
    drag.over = column?.dataset.column;
    mark(drag.card, drag.over);
    event.preventDefault();
  });
  on('pointerup', () => {
    const { card, moved, over } = drag || {};
    drop();
    if (!moved) return;
    addEventListener('click', (event) => { event.preventDefault(); event.stopPropagation(); }, { capture: true, once: true });
    setTimeout(() => dispatchEvent(new Event('click', { cancelable: true })), 0);
    if (over && over !== card.dataset.status) move(card, over);
  });
  on('pointercancel', drop);

  // Keys.
  let moving, going = -Infinity;
  const keysOff = () => localStorage.getItem('roots-keys') === 'off';
  function stopMoving() { moving = undefined; mark(); }
  function step(by) {
    const rows = all('main [data-row], main .rows > li').filter((it) => it.offsetParent && it.querySelector('a'));
    const here = rows.findIndex((it) => it.contains(focused()));
    const row = rows[Math.min(Math.max(here + by, 0), rows.length - 1)];
    (row?.querySelector('.what a') || row?.querySelector('a'))?.focus();
  }
  function keyInMove(event) {
    const { card, target } = moving;
    const letter = statuses.find((it) => it[0] === event.key);
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (letter || event.key === 'Enter') { stopMoving(); move(card, letter || target); }
    else if (event.key === 'Escape') { stopMoving(); tell('Not moved'); }
    else if (by) {
      const may = statuses.filter((it) => allowed(card).includes(it));
      moving.target = may[(may.indexOf(target) + by + may.length) % may.length];
      mark(card, moving.target);
      tell(word(moving.target));
    } else return;
    event.preventDefault();
  }
  on('keydown', (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k' && live) {
      event.preventDefault();
      return palette();
    }
    if (event.key === 'Escape') {
      if (drag) return drop();
      const menu = one('.menu[open]');
      if (menu) { menu.open = false; return menu.firstChild.focus(); }
    }
    const typing = event.target.closest('input, textarea, select, dialog[open]');
    if (event.ctrlKey || event.metaKey || event.altKey || typing || !live || keysOff()) return;
    if (moving) return keyInMove(event);
    if (event.timeStamp - going < 1500) {
      going = -Infinity;
      const link = one(`[data-go="${CSS.escape(event.key)}"]`);
      if (link) { event.preventDefault(); location.href = href(link); return; }
    }
    const card = focused()?.closest('.todo[data-next]');
    const act = {
      '?': help,
      g: () => { going = event.timeStamp; },
      j: () => step(1), k: () => step(-1), ArrowDown: () => step(1), ArrowUp: () => step(-1),
      n: () => { location.href = '/todos/new'; },
      '/': () => one('input[data-filter], [data-filter] select')?.focus(),
      '[': () => one('[data-earlier], .earlier')?.click(),
      ']': () => one('[data-later]')?.click(),
      m: card && (() => {
        moving = { card, target: allowed(card)[0] };
        mark(card, moving.target);
        tell(`Moving ${titleOf(card)} to ${word(moving.target)}. Arrows choose, Enter moves, Escape leaves it.`);
      }),
    }[event.key];
    const plainArrow = event.key.startsWith('Arrow') && !focused()?.closest('[data-row], .rows');
    if (!act || plainArrow) return;
    event.preventDefault();
    act();
  });

  function dialog(title, ...content) {
    const box = make('dialog', '', { 'aria-label': title });
    box.append(...content);
    box.addEventListener('close', () => box.remove());
    box.addEventListener('click', (event) => { if (event.target === box) box.close(); });
    document.body.append(box);
    box.showModal();
    return box;
  }
  function make(tag, text = '', attributes = {}) {
    const element = document.createElement(tag);
    element.textContent = text;
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  }
  function help() {
    const list = make('dl');
    for (const [key, what] of [
      ['g, then n s t a g c k', 'Now, Sessions, Todos, Activity, aGents, Credits, Access (keys)'],
      ['j k', 'Next and previous row; Enter opens it'], ['n', 'New todo'], ['/', 'To the filters'],
      ['m', 'Move the focused card: arrows or first letter, Enter, Escape'],
      ['[ ]', 'Earlier, later'], ['Ctrl K, ⌘ K', 'Go to anything'], ['?', 'This'],
    ]) list.append(make('dt', key), make('dd', what));
    const off = make('input', '', { type: 'checkbox', id: 'keys-off' }), label = make('label', '', { class: 'check' });
    off.checked = keysOff();
    off.addEventListener('change', () => localStorage.setItem('roots-keys', off.checked ? 'off' : 'on'));
    label.append(off, 'Turn single letters off');
    const box = dialog('Keys', make('h2', 'Keys'), list, label);
    off.addEventListener('keydown', (event) => { if (event.key === '?') box.close(); });
  }
  for (const button of all('.keys')) button.addEventListener('click', help);
  async function palette() {
    const search = make('input', '', {
      type: 'search', role: 'combobox', 'aria-label': 'Go to', 'aria-controls': 'found', 'aria-expanded': 'true', autocomplete: 'off',
    });
    const list = make('ul', '', { id: 'found', role: 'listbox', 'aria-label': 'Found' });
    const box = dialog('Go to', search, list);
    // What each leads to: a path, or what is clicked.
    const found = all('nav.side a.item, .top a').map((it) => [it.textContent, href(it)]);
    found.push(['New todo', '/todos/new'], ...all('nav.side button').map((it) => [(it.name ? 'Theme: ' : '') + it.textContent, it]));
    const links = [...new Map(found)];
    let chosen = 0;
    const show = () => {
      const words = search.value.toLowerCase().split(/\s+/);
      const shown = links.filter(([text]) => words.every((it) => text.toLowerCase().includes(it))).slice(0, 12);
      chosen = Math.min(chosen, Math.max(shown.length - 1, 0));
      list.replaceChildren(...shown.map(([text, to], index) => {
        const item = make('li', text, { role: 'option', id: 'found-' + index, 'aria-selected': String(index === chosen) });
        item.addEventListener('click', () => { box.close(); if (to.click) to.click(); else location.href = to; });
        return item;
      }));
      search.setAttribute('aria-activedescendant', 'found-' + chosen);
    };
    search.addEventListener('input', () => { chosen = 0; show(); });
    search.addEventListener('keydown', (event) => {
      if (event.key === 'Enter') byId('found-' + chosen)?.click();
      else if (event.key === 'ArrowDown') chosen += 1;
      else if (event.key === 'ArrowUp') chosen = Math.max(0, chosen - 1);
      else return;
      event.preventDefault();
      show();
    });
    show();
    const answer = await fetch('/todos', { headers: { 'x-roots-refresh': '1' }, redirect: 'manual' }).catch(() => null);
    if (!answer?.ok || !box.open) return;
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    for (const it of all('#agent option[value]:not([value=""])', page)) links.push([`Agent ${it.textContent}`, `/agents/${it.value}`]);
    for (const it of all('#column-open .todo > a, #column-in_progress .todo > a', page)) links.push([it.textContent, href(it)]);
    show();
  }
})();
