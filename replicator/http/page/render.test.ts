import { beforeEach, describe, expect, it } from 'vitest';
import { EventLog } from '../../observe/events.ts';
import { StatusModel } from '../../observe/model.ts';
import { waiting } from '../../observe/validation.ts';
import { listing } from '../../testing/http-harness.ts';
import { slotReading } from '../../testing/slot-reading.ts';
import { html } from './html.ts';
import { renderMessage } from './message.ts';
import { eventsPage } from './events-section.ts';
import { removePage, resyncPage } from './confirm-page.ts';
import { renderDocument, renderPart } from './layout.ts';
import { parseQuery } from './page-query.ts';
import { overviewPage } from './render.ts';
import { tablePage } from './table-page.ts';
import type { PageView } from './view.ts';

const EVIL = `"><script>alert(1)</script><img src=x onerror='alert(2)'>&amp;`;

let nowMs = Date.parse('2026-01-02T03:04:05Z');
let model: StatusModel;
let events: EventLog;
beforeEach(() => {
  nowMs = Date.parse('2026-01-02T03:04:05Z');
  model = new StatusModel({ name: 'shop', version: '1.0.0', now: () => nowMs });
  events = new EventLog({ now: () => nowMs });
});

function view(search = ''): PageView {
  return {
    status: model.status(),
    tables: model.tables(),
    findings: model.findings.read(),
    validations: model.validations.read(),
    events: events.after(),
    curves: model.history(parseQuery(search).range),
    queue: model.stream.queueReading,
    slot: model.stream.slotReading,
    lagAtLeast: model.stream.lag().atLeast,
    nowMs,
    canLogOut: false,
    formToken: 'of this page',
    factsOf: (source) => model.followed.facts(source),
    query: parseQuery(search),
    path: '/',
    theme: 'auto',
  };
}

const renderPage = (of: PageView): string => renderDocument(of, overviewPage(of));
const renderMain = (of: PageView): string => renderPart(of, overviewPage(of));

describe('the template tag', () => {
  it('escapes what is put in, unless it is HTML already', () => {
    expect(html`<a title="${'"<&\''}">${html`<b>${'<'}</b>`}${['<', 1]}${null}${undefined}${false}</a>`.text).toBe(
      '<a title="&quot;&lt;&amp;&#39;"><b>&lt;</b>&lt;1</a>',
    );
  });

  it('keeps what is put in as it is, and drops indentation around it', () => {
    const text = 'a\n      b';
    const list = html`<ul>
      <li>${text}</li>
    </ul>`;
    expect(list.text).toBe('<ul>\n<li>a\n      b</li>\n</ul>');
  });
});

describe('hostile names', () => {
  it('cannot get out of the text they stand in', () => {
    const error = { code: 'APPLY_FAILED', message: EVIL, remedy: EVIL } as const;
    model.database('source', { connected: true, serverVersion: EVIL, database: EVIL });
    model.stream.slot(slotReading({ name: EVIL, walStatus: EVIL, limitBytes: 1, safeBytes: 1 }));
    model.followed.list([
      listing(`a.${EVIL}`, { target: `b.${EVIL}`, state: 'error', error }),
      listing(`c.${EVIL}`, { state: 'copying' }),
    ]);
    model.problem({ ...error, table: EVIL });
    model.findings.replace([{ ...error, level: 'warning', where: 'source', table: EVIL }]);
    model.setState('failed', EVIL);
    events.append({ level: 'warn', code: EVIL, message: EVIL, table: EVIL, remedy: EVIL });
    const name = new StatusModel({ name: EVIL, version: EVIL, now: () => nowMs }).status();
    for (const page of [
      renderPage(view()),
      renderMain(view()),
      renderPage({ ...view(), status: name }),
      renderPage(view(`q=${encodeURIComponent(EVIL)}&state=copying`)),
      renderDocument(view(`find=${encodeURIComponent(EVIL)}`), eventsPage(view(`find=${encodeURIComponent(EVIL)}`))),
      renderDocument(view(), tablePage(view(), model.tables()[0]!)),
      renderDocument(view(), resyncPage(view(), model.tables()[0]!)),
      renderDocument(view(), removePage(view(), model.tables()[0]!)),
      renderMessage({ ...error, title: EVIL, detail: EVIL }),
    ]) {
      expect(page).not.toMatch(/<script>|<img src=x|onerror='/);
      expect(page).toContain('&lt;script&gt;');
    }
  });
});

describe('the page', () => {
  it('stands by itself: nothing inline, nothing from elsewhere', () => {
    model.followed.list([listing('public.a')]);
    const page = renderPage(view());
    expect(page).not.toMatch(/ style=| on[a-z]+=|<style|https?:\/\//);
    expect(page).toContain('<noscript><meta http-equiv="refresh" content="5" /></noscript>');
  });

  it('says that nothing is known yet rather than zero', () => {
    const page = renderMain(view());
    expect(page).toContain('Starting.');
    expect(page).toContain('connecting');
    expect(page).toContain('No table is followed yet.');
    expect(page).toContain('Nothing has happened yet.');
    expect(page).not.toMatch(/NaN|Infinity|undefined|null/);
  });

  it.each([
    ['streaming', 'action="/actions/pause"', 'tone-good'],
    ['paused', 'action="/actions/resume"', 'tone-idle'],
    ['retrying', 'action="/actions/pause"', 'tone-warn'],
    ['failed', null, 'tone-bad'],
  ] as const)('offers what can be done when %s', (state, action, tone) => {
    model.setState(state);
    const page = renderMain(view());
    expect(page).toContain(`class="verdict ${tone}"`);
    if (action) expect(page).toContain(action);
    else expect(page).not.toContain('/actions/');
  });

  it('is not green while something needs attention', () => {
    model.setState('streaming');
    model.problem({ code: 'ROW_MISSING', message: 'A row was missing', remedy: 'Compare.' });
    expect(renderMain(view())).toContain('class="verdict tone-warn"');
  });

  it('shows tables in error first, each with what to do once', () => {
    const error = { code: 'APPLY_FAILED', message: 'Refused', remedy: 'ALTER TABLE z' } as const;
    model.followed.list([listing('public.a'), listing('public.z', { state: 'error', error })]);
    const alone = renderMain(view());
    expect(alone.indexOf('public.z')).toBeLessThan(alone.indexOf('public.a'));
    expect(alone.split('ALTER TABLE z')).toHaveLength(2);
    model.problem({ ...error, table: 'public.z' });
    expect(renderMain(view()).split('ALTER TABLE z')).toHaveLength(2);
  });

  it('shows the copy with a share only where the estimate holds', () => {
    model.setState('copying');
    model.followed.list([
      listing('public.a', { state: 'copying', rowsEstimated: 100, rowsCopied: 25, copyStartedAt: nowMs - 60_000 }),
      listing('public.b', { state: 'pending', rowsEstimated: 100, rowsCopied: 0 }),
    ]);
    expect(renderMain(view())).toContain('<strong>about 12 %</strong>');
    nowMs += 60_000;
    model.followed.copyProgress('public.a', 55, 55);
    expect(renderMain(view())).toContain('<strong>about 27 %, 5 min to go</strong>');
    model.followed.copyProgress('public.a', 500, 1);
    const beyond = renderMain(view());
    expect(beyond).not.toMatch(/about \d+ %/);
    expect(beyond).toContain('<strong>500 rows</strong>');
  });

  it('draws when each table was copied, those under way first to be shown, and no more than fit', () => {
    const done = (i: number) =>
      listing(`public.done${i}`, { rowsCopied: i, copyStartedAt: nowMs + i * 1000, copyFinishedAt: nowMs + i * 1000 + 500 });
    const running = (i: number) =>
      listing(`public.run${i}`, { state: 'copying', rowsEstimated: 100, rowsCopied: 25, copyStartedAt: nowMs + 50_000 });
    model.followed.list([listing('public.a', { state: 'pending', rowsEstimated: 100, rowsCopied: 0 })]);
    renderMain(view());
    model.followed.list([...Array.from({ length: 40 }, (_, i) => done(i)), ...Array.from({ length: 3 }, (_, i) => running(i))]);
    nowMs += 100_000;
    const section = renderMain(view()).split('id="snapshot"')[1]!.split('</section>')[0]!;
    const rows = section.match(/<li data-key="[^"]*"/g);
    expect(rows).toHaveLength(12);
    expect(rows?.slice(-3)).toEqual(['0', '1', '2'].map((i) => `<li data-key="public.run${i}"`));
    expect(rows?.[0]).toContain('public.done31');
    // Begun at half of the time, a quarter of it done.
    expect(section).toContain('<rect class="rest" x="500" width="500"');
    expect(section).toContain('<rect class="copied" x="500" width="125"');
    model.followed.list(Array.from({ length: 5000 }, (_, i) => running(i)));
    const many = renderMain(view());
    expect(many).toContain('And 4,992 more tables at the same time.');
    model.followed.state('public.run0', 'indexing');
    expect(renderMain(view())).toContain('class="indexed"');
  });

  it('stays bounded at five thousand tables, those in error first', () => {
    const error = { code: 'APPLY_FAILED', message: 'Refused', remedy: 'ALTER TABLE z' } as const;
    model.followed.list([
      ...Array.from({ length: 4999 }, (_, i) => listing(`public.t${i}`)),
      listing('public.zz', { state: 'error', error }),
    ]);
    const page = renderMain(view());
    expect(page.match(/<tr role="row" (class="[^"]*" )?data-key/g)).toHaveLength(51);
    expect(page.indexOf('public.zz')).toBeLessThan(page.indexOf('public.t0'));
    expect(page).toContain('Page 1 of 100, 5,000 tables');
    expect(page.length).toBeLessThan(120_000);
    const filtered = renderMain(view('q=t49&sort=name&desc=1&page=2'));
    expect(filtered).toContain('aria-sort="descending"');
    expect(filtered).toContain('Page 2 of 3, 110 tables');
    expect(filtered).not.toContain('public.zz');
  });

  it('shows the last day where that is asked for, and keeps to it', () => {
    model.followed.list(Array.from({ length: 12 }, (_, i) => listing(`public.t${i}`)));
    model.sample();
    const page = renderMain(view('range=24h&state=streaming'));
    expect(page).toContain('Now, and in the last 24 hours');
    expect(page).toContain('data-step="480"');
    expect(page).toContain('<input type="hidden" name="range" value="24h" />');
    expect(page).toContain('<input type="hidden" name="state" value="streaming" />');
    expect(page).not.toContain('15 minutes');
  });

  it('offers a retry and a remedy once for each table in error, also where there are many', () => {
    const error = { code: 'APPLY_FAILED', message: 'Refused' } as const;
    const names = Array.from({ length: 14 }, (_, i) => `public.t${String(i).padStart(2, '0')}`);
    model.followed.list(names.map((name) => listing(name, { state: 'error', error: { ...error, remedy: `mend ${name};` } })));
    for (const name of names) model.problem({ ...error, remedy: `mend ${name};`, table: name });
    const page = renderMain(view());
    for (const name of names) expect(page.split(`mend ${name};`)).toHaveLength(2);
    expect(page.split('/actions/retry')).toHaveLength(15);
    expect(page).toContain('And 4 more problems');
  });

  it('says when a problem is tried again', () => {
    const of = { ...view(), status: { ...view().status } };
    of.status.problems = [
      {
        code: 'TARGET_UNREACHABLE',
        message: 'Away',
        remedy: 'Wait',
        table: null,
        since: '2026-01-02T03:04:00.000Z',
        retryAt: '2026-01-02T03:04:17.000Z',
        occurrences: 4,
      },
    ];
    expect(renderMain(of)).toContain('tried again in 12 s');
  });

  it('names the slowest part, and why', () => {
    model.setState('streaming');
    model.stream.heartbeatEmitted('a', nowMs);
    model.stream.heartbeatApplied('a');
    model.stream.heartbeatEmitted('b', nowMs);
    nowMs += 60_000;
    for (let second = 0; second < 60; second++) model.stream.spent('apply', 1000);
    const page = renderMain(view());
    expect(page).toContain('Why it is behind');
    expect(page).toMatch(/Batches\s*<strong>slowest part<\/strong>/);
  });

  it('says what a table waits for, in the list and on its own page, and offers to try a refused foreign key again', () => {
    model.followed.list([listing('public.orders')]);
    const own = (): string => renderPart(view(), tablePage(view(), model.tables()[0]!));
    model.followed.waits('public.orders', { message: `Waits for ${EVIL}`, remedy: 'GRANT it;' });
    for (const page of [own(), renderMain(view())]) expect(page).toContain('Waits for &quot;&gt;&lt;script&gt;');
    expect(own()).toContain('GRANT it;');
    model.followed.waits('public.orders', null);
    for (const page of [own(), renderMain(view())]) expect(page).not.toContain('Waits for');
    expect(own()).not.toContain('Retry');
    model.problem({ code: 'FOREIGN_KEY_NOT_CREATED', message: 'Goes without', remedy: 'Mend it.', table: 'public.orders' });
    for (const page of [own(), renderMain(view())]) expect(page).toMatch(/Goes without[^]*Retry|Retry[^]*Goes without/);
  });

  it('shows what a comparison of both sides finds, while it runs and when it is over', () => {
    model.followed.list([listing('public.orders')]);
    const at = '2026-01-02T03:04:00.000Z';
    const card = (): string => {
      const page = renderPart(view(), tablePage(view(), model.tables()[0]!));
      return page
        .slice(page.indexOf('Both sides compared'))
        .replaceAll(/<[^>]+>|\s+/g, ' ')
        .replaceAll(/ +/g, ' ');
    };
    const button = (): string | undefined =>
      /<button type="submit" class="plain">([^<]*alid[^<]*)</.exec(
        renderPart(view(), tablePage(view(), model.tables()[0]!)),
      )?.[1];
    expect(card()).toMatch(/Last never Rows compared – Missing on the target –/);
    expect(button()).toBe('Validate');

    model.validations.begin(['public.orders'], 'somebody', at);
    model.validations.table('public.orders', { ...waiting(), state: 'running', startedAt: at, rows: 1200 });
    expect(card()).toMatch(/Last never Now is under way Rows compared 1,200/);
    expect(button()).toBe('Cancel validation');

    const examples = [{ kind: 'missing', key: `id=${EVIL}` }] as const;
    const found = { ...waiting(), state: 'different', finishedAt: at, rows: 5000, missing: 1, examples } as const;
    model.validations.table('public.orders', found);
    model.validations.end(at);
    model.followed.validated('public.orders', found);
    model.problem({
      code: 'ROWS_DIFFER',
      message: '1 row differs',
      remedy: 'pgfollow resync public.orders',
      table: 'public.orders',
    });
    expect(card()).toMatch(/Last 5 s ago , rows differ Rows compared 5,000 Missing on the target 1 .* Found equal –/);
    expect(card()).toContain('id=&quot;&gt;&lt;script&gt;');
    expect(renderPart(view(), tablePage(view(), model.tables()[0]!))).toContain('pgfollow resync public.orders');
    expect(renderMain(view())).toContain('1 row differs on the target');
    expect(button()).toBe('Validate');
  });

  it('is loaded again without JavaScript, unless it is to be held, or something is typed there', () => {
    const refresh = '<meta http-equiv="refresh" content="5" />';
    expect(renderPage(view())).toContain(refresh);
    expect(renderPage(view('still=1'))).not.toContain(refresh);
    model.followed.list([listing('public.a')]);
    expect(renderDocument(view(), resyncPage(view(), model.tables()[0]!))).not.toContain(refresh);
  });

  it('carries the form token in every form that changes something', () => {
    model.followed.list([listing('public.a', { state: 'error', error: { code: 'COPY_FAILED', message: 'No', remedy: 'x' } })]);
    const [table] = model.tables();
    for (const page of [
      renderPage(view()),
      ...[tablePage, resyncPage, removePage].map((of) => renderDocument(view(), of(view(), table!))),
    ]) {
      const forms = page
        .split('<form')
        .slice(1)
        .filter((form) => form.includes('method="post"'));
      expect(forms.length).toBeGreaterThan(1);
      for (const form of forms) expect(form.split('</form>')[0]).toContain('name="form_token" value="of this page"');
    }
  });
});
