// The page comes complete from the server. This keeps it live: each status of the event stream brings the
// new markup of <main>, and only what differs is touched, so that focus, selection and scrolling stay.

const STALE_MS = 5000;
const root = document.documentElement;
const freshness = document.getElementById('freshness');

let source = null;
let fetching = false;
let lastMs = Date.now();

root.classList.add('js');

/** Makes `from` equal to `to`, keeping every node that need not change. */
function morph(from, to) {
  if (from.nodeType === Node.TEXT_NODE) {
    if (from.data !== to.data) from.data = to.data;
    return;
  }
  if (from.nodeType !== Node.ELEMENT_NODE || from.isEqualNode(to)) return;
  if (from.hasAttribute('data-keep')) return;
  for (const name of from.getAttributeNames()) if (!to.hasAttribute(name)) from.removeAttribute(name);
  for (const { name, value } of to.attributes) if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  morphChildren(from, to);
}

function morphChildren(from, to) {
  const keyed = new Map([...from.children].flatMap((child) => (keyOf(child) ? [[keyOf(child), child]] : [])));
  let current = from.firstChild;
  for (const wanted of to.childNodes) {
    const key = keyOf(wanted);
    const match = key ? keyed.get(key) : current && !keyOf(current) && sameKind(current, wanted) ? current : null;
    if (!match) {
      from.insertBefore(document.importNode(wanted, true), current);
      continue;
    }
    if (match === current) current = current.nextSibling;
    else from.insertBefore(match, current);
    keyed.delete(key);
    morph(match, wanted);
  }
  while (current) {
    const next = current.nextSibling;
    current.remove();
    current = next;
  }
}

function keyOf(node) {
  if (node.nodeType !== Node.ELEMENT_NODE) return null;
  return node.getAttribute('data-key') || node.id || null;
}

function sameKind(a, b) {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName;
}

async function refresh() {
  if (fetching) return;
  fetching = true;
  try {
    const response = await fetch('/fragments/main', { headers: { accept: 'text/html' } });
    if (response.status === 401) {
      location.reload();
      return;
    }
    if (!response.ok) return;
    const main = new DOMParser().parseFromString(await response.text(), 'text/html').getElementById('main');
    if (!main) return;
    morph(document.getElementById('main'), main);
    document.title = main.dataset.title;
    lastMs = Date.now();
    applyFilter();
    showFreshness();
  } catch {
    // Away; the stream tries again and the page says how old it is.
  } finally {
    fetching = false;
  }
}

function showFreshness() {
  const age = Date.now() - lastMs;
  const stale = age > STALE_MS;
  root.classList.toggle('stale', stale);
  root.classList.toggle('live', !stale);
  const text = stale ? `no data for ${Math.round(age / 1000)} s` : 'live';
  if (freshness && freshness.textContent !== text) freshness.textContent = text;
}

function connect() {
  if (source || document.hidden) return;
  source = new EventSource('/api/v1/stream');
  source.addEventListener('status', () => void refresh());
  source.addEventListener('error', () => {
    // The browser gives up on an answer other than 200, for one after a restart with another token.
    if (source?.readyState !== EventSource.CLOSED) return;
    disconnect();
    setTimeout(() => {
      connect();
      void refresh();
    }, 2000);
  });
}

function disconnect() {
  source?.close();
  source = null;
}

document.addEventListener('visibilitychange', () => {
  if (document.hidden) {
    disconnect();
    return;
  }
  connect();
  void refresh();
});

document.addEventListener('submit', (event) => {
  if (event.target.id !== 'control') return;
  event.preventDefault();
  void control(event.target);
});

async function control(form) {
  const button = form.querySelector('button');
  const action = form.getAttribute('action').endsWith('/resume') ? 'resume' : 'pause';
  button.disabled = true;
  let failure = '';
  try {
    const response = await fetch(`/api/v1/pipeline/${action}`, { method: 'PUT' });
    if (!response.ok) failure = (await response.json()).detail;
  } catch {
    failure = 'pgfollow does not answer.';
  }
  button.disabled = false;
  await refresh();
  const note = document.querySelector('[data-error]');
  if (note) note.textContent = failure;
}

document.addEventListener('click', (event) => {
  const button = event.target.closest('[data-copy]');
  if (button) void copy(button);
});

async function copy(button) {
  const code = button.previousElementSibling;
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = 'Copied';
  } catch {
    // Not allowed on plain http from another machine: select it, the rest is Ctrl+C.
    getSelection().selectAllChildren(code);
    button.textContent = 'Selected';
  }
}

document.addEventListener('input', (event) => {
  if (event.target.id === 'filter') applyFilter();
});

function applyFilter() {
  const wanted = document.getElementById('filter')?.value.trim().toLowerCase() ?? '';
  for (const row of document.querySelectorAll('tr[data-name]')) {
    const hide = !row.dataset.name.toLowerCase().includes(wanted);
    if (row.hidden !== hide) row.hidden = hide;
  }
}

setInterval(showFreshness, 1000);
showFreshness();
connect();
