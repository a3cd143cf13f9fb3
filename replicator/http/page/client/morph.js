/** Makes `from` equal to `to`, keeping every node that need not change: focus, selection and scrolling stay. */
export function morph(from, to) {
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
