import type { Status } from '../../observe/status.ts';
import type { Activity } from '../../observe/work.ts';
import { bytesText, count, rate } from './format.ts';
import { html } from './html.ts';
import type { Html } from './html.ts';
import { factList, type Fact } from './pieces.ts';
import { icon } from './tone.ts';
import type { Tone } from './tone.ts';
import type { PageView } from './view.ts';

interface Node {
  readonly role: string;
  readonly name: string;
  readonly tone: Tone;
  readonly word: string;
  readonly facts: readonly Fact[];
}

const NOTHING = '–';

/** Which station is the one that an activity is held up at. */
const STATIONS: Readonly<Record<Activity, number | null>> = {
  source: 0,
  decode: 2,
  apply: 3,
  commit: 3,
  tables: 3,
  lock: 4,
  paused: null,
};

/** How a change travels, station by station, each with whether it works and how far it is; the slowest is named. */
export function renderFlow(view: PageView): Html {
  const nodes = [sourceNode(view), slotNode(view), decodeNode(view), applyNode(view), targetNode(view)];
  const { bottleneck } = view.status.work;
  const slowest = bottleneck === null ? null : STATIONS[bottleneck];
  return html`<section id="flow" aria-labelledby="flow-title">
    <h2 id="flow-title" class="sr-only">Flow</h2>
    <ol class="card flow">
      ${nodes.map((node, i) => renderNode(node, i === slowest))}
    </ol>
  </section>`;
}

function renderNode({ role, name, tone, word, facts }: Node, slowest: boolean): Html {
  return html`<li class="node tone-${tone}${slowest ? ' slowest' : ''}">
    <p class="node-role">${role}${slowest && html` <strong>slowest part</strong>`}</p>
    <p class="node-name" title="${name}">${name}</p>
    <p class="node-state">${icon(tone)}${word}</p>
    ${factList(facts)}
  </li>`;
}

function sourceNode({ status: { source, state } }: PageView): Node {
  return {
    role: 'Source',
    name: source.database ?? 'source',
    ...upOrDown(source, state),
    facts: [
      ['PostgreSQL', source.serverVersion ?? NOTHING],
      ['WAL end', source.walEnd ?? NOTHING],
    ],
  };
}

function slotNode({ status: { slot, position } }: PageView): Node {
  const lost = slot?.walStatus === 'lost';
  const tone = slot === null ? 'wait' : lost ? 'bad' : slot.active ? 'good' : 'warn';
  const word = slot === null ? 'not known yet' : lost ? 'lost' : slot.active ? 'active' : 'nobody reads it';
  return {
    role: 'Slot',
    name: slot?.name ?? NOTHING,
    tone,
    word,
    facts: [
      ['Acknowledged', position.acknowledged ?? NOTHING],
      ['WAL', slot?.walStatus ?? NOTHING],
    ],
  };
}

function decodeNode({ status, queue }: PageView): Node {
  const reading =
    status.source.connected && status.slot?.active !== false && status.state !== 'starting' && status.state !== 'failed';
  return {
    role: 'Stream',
    name: 'Decode',
    tone: reading ? 'good' : 'wait',
    word: reading ? 'reading' : 'waiting',
    facts: [
      ['Received', status.position.received ?? NOTHING],
      ['Queue', bytesText(queue.bytes)],
    ],
  };
}

function applyNode({ status, queue }: PageView): Node {
  const works =
    status.target.connected && (status.state === 'streaming' || status.state === 'catching_up' || status.state === 'copying');
  const full = queue.limitBytes > 0 && queue.bytes >= queue.limitBytes * 0.8;
  const word = status.state === 'paused' ? 'paused' : !works ? 'waiting' : full ? 'queue is full' : 'applying';
  return {
    role: 'Batches',
    name: 'Apply',
    tone: status.state === 'paused' ? 'idle' : !works ? 'wait' : full ? 'warn' : 'good',
    word,
    facts: [
      ['Applied', status.position.applied ?? NOTHING],
      ['Rows/s', rate(status.rates.rowsPerSecond)],
    ],
  };
}

function targetNode({ status: { target, tables, state } }: PageView): Node {
  return {
    role: 'Target',
    name: target.database ?? 'target',
    ...upOrDown(target, state),
    facts: [
      ['PostgreSQL', target.serverVersion ?? NOTHING],
      ['Tables', count(tables.total)],
    ],
  };
}

function upOrDown({ connected, serverVersion }: Status['target'], state: Status['state']): { tone: Tone; word: string } {
  if (connected) return { tone: 'good', word: 'connected' };
  if (state === 'starting' && serverVersion === null) return { tone: 'wait', word: 'connecting' };
  return { tone: 'bad', word: 'does not answer' };
}
