/** Whether an address is one of the page's own, so that whoever opens it with a browser gets a page, whatever happens. */
export function isPagePath(path: string): boolean {
  return PAGES.has(path) || path.startsWith('/tables/') || path.startsWith('/actions/');
}

const PAGES: ReadonlySet<string> = new Set(['/', '/events', '/add', '/config', '/login', '/logout']);
