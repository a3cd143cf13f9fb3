// Forms, filters and links of the page without loading it again. Each works by itself too.
import { refresh, show } from './live.js';

const TYPING_MS = 200;
let typing = 0;

document.addEventListener('submit', (event) => {
  const form = event.target;
  if (form.matches('dialog [data-ask]')) {
    event.preventDefault();
    event.submitter.disabled = true;
    void ask(`${form.action}?${new URLSearchParams(new FormData(form))}`);
  } else if (form.matches('[data-action]')) {
    event.preventDefault();
    void act(form);
  } else if (form.matches('[data-live]')) {
    event.preventDefault();
    void filter(form);
  } else if (form.matches('[data-theme-switch]')) {
    event.preventDefault();
    void setTheme(form, event.submitter);
  }
});

document.addEventListener('input', (event) => {
  const { target } = event;
  if (target.dataset.expected !== undefined) {
    target.setCustomValidity(target.value.trim() === target.dataset.expected ? '' : `Type ${target.dataset.expected}`);
  }
  const form = target.form;
  if (!form?.matches('[data-live]')) return;
  clearTimeout(typing);
  typing = setTimeout(() => void filter(form), TYPING_MS);
});

document.addEventListener('click', (event) => {
  const plain = !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0;
  const copied = event.target.closest('[data-copy]');
  if (copied) return void copy(copied);
  const closing = event.target.closest('dialog [data-close]');
  if (closing) {
    event.preventDefault();
    closing.closest('dialog').close();
    return;
  }
  const link = event.target.closest('a[data-live], a[data-dialog]');
  if (!link || !plain || link.origin !== location.origin) return;
  clearTimeout(typing);
  if (link.hasAttribute('data-dialog')) {
    event.preventDefault();
    void ask(link.href);
  } else if (link.pathname === location.pathname) {
    event.preventDefault();
    void show(link.pathname + link.search);
  }
});

addEventListener('popstate', () => {
  const given = new URLSearchParams(location.search);
  for (const field of document.querySelectorAll('form[data-live] [data-keep]'))
    field.value = given.get(field.name) ?? defaultOf(field);
  void refresh();
});

function defaultOf(field) {
  return field.options ? field.options[0].value : '';
}

/** What was typed goes into the address, so that it can be passed on, and stays over a reload. */
function filter(form) {
  clearTimeout(typing);
  const wanted = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value.trim() !== '') wanted.set(name, value.trim());
  if (wanted.get('level') === 'info') wanted.delete('level');
  const search = wanted.toString();
  return show(location.pathname + (search ? `?${search}` : ''), { replace: true });
}

/** Sends a form as it stands; what could not be done is said beside its button. */
async function act(form) {
  const failure = await post(form);
  if (failure === '') {
    form.closest('dialog')?.close();
    const { back } = form.elements;
    // A page of its own, opened without a dialog, leads on.
    if (!form.closest('dialog') && form.closest('.confirm')) return location.assign(back.value);
  }
  await refresh();
  const note = form.querySelector('[data-error]');
  if (note) note.textContent = failure;
}

async function setTheme(form, button) {
  const failure = await post(form, button);
  if (failure !== '') return;
  const root = document.documentElement;
  if (button.value === 'auto') delete root.dataset.theme;
  else root.dataset.theme = button.value;
  for (const each of form.querySelectorAll('button')) each.setAttribute('aria-pressed', String(each === button));
}

/** Empty when it was done, else why it was not. */
async function post(form, submitter) {
  const button = submitter ?? form.querySelector('button');
  const body = new URLSearchParams(new FormData(form, submitter));
  button.disabled = true;
  try {
    const response = await fetch(form.action, { method: 'POST', body, headers: { accept: 'application/json' } });
    if (response.ok) return '';
    const { detail, remedy } = await response.json();
    return `${detail} ${remedy}`;
  } catch {
    return 'pgfollow does not answer.';
  } finally {
    button.disabled = false;
    if (document.activeElement === document.body) button.focus();
  }
}

/** A question that is a page of its own, asked in front of this one. */
async function ask(url) {
  let section = null;
  try {
    const response = await fetch(url, { headers: { accept: 'text/html', 'x-pgfollow-part': 'main' } });
    section = new DOMParser().parseFromString(await response.text(), 'text/html').querySelector('.confirm');
  } catch {
    // Away: the address itself will say so.
  }
  if (!section) return location.assign(url);
  document.querySelector('dialog')?.close();
  const dialog = document.createElement('dialog');
  dialog.setAttribute('aria-labelledby', 'confirm-title');
  dialog.append(document.importNode(section, true));
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

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
