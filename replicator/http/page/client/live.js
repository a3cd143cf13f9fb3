// Each status of the event stream, at most one a second, brings the new markup of <main>. One stream a tab, none while
// the tab is hidden: browsers open no more than six connections to a server.
import { morph } from './morph.js';

const STALE_MS = 5000;
const root = document.documentElement;
const freshness = document.getElementById('freshness');
const main = document.getElementById('main');
const isLive = main.hasAttribute('data-live-page');

let source = null;
let fetching = null;
let again = false;
let lastMs = Date.now();

export function begin() {
  if (!isLive) return;
  setInterval(showFreshness, 1000);
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) {
      disconnect();
      return;
    }
    connect();
    void refresh();
  });
  showFreshness();
  connect();
}

/** The page at another address of its own: another filter, another page of tables. */
export function show(url, { replace = false } = {}) {
  if (replace) history.replaceState(null, '', url);
  else history.pushState(null, '', url);
  return refresh();
}

/** Brings <main> up to date; resolves when that is done. */
export async function refresh() {
  if (!isLive) return;
  again = Boolean(fetching);
  fetching ??= fetchAll().finally(() => (fetching = null));
  await fetching;
}

async function fetchAll() {
  do {
    again = false;
    await fetchOnce();
  } while (again);
}

async function fetchOnce() {
  const url = location.pathname + location.search;
  try {
    const response = await fetch(url, { headers: { accept: 'text/html', 'x-pgfollow-part': 'main' } });
    if (response.status === 401) return location.reload();
    if (response.status === 404) return location.assign('/');
    if (!response.ok) return;
    const text = await response.text();
    // Somebody has filtered on meanwhile.
    if (url !== location.pathname + location.search) return;
    const wanted = new DOMParser().parseFromString(text, 'text/html').getElementById('main');
    if (!wanted) return;
    morph(main, wanted);
    document.title = main.dataset.title;
    lastMs = Date.now();
    showFreshness();
  } catch {
    // Away; the stream tries again and the page says how old it is.
  }
}

function showFreshness() {
  const age = Date.now() - lastMs;
  const stale = age > STALE_MS;
  root.classList.toggle('stale', stale);
  root.classList.toggle('live', !stale);
  const text = stale ? `stale ${Math.round(age / 1000)} s` : 'live';
  if (freshness.textContent !== text) freshness.textContent = text;
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
