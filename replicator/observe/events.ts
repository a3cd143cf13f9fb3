import type { PipelineEvent } from './status.ts';
import { iso } from './table-book.ts';

export type EventInput = Omit<PipelineEvent, 'id' | 'at'>;

/** Writes events where they outlive the process; an event whose count rose comes again under its id. */
export type EventSink = (events: readonly PipelineEvent[]) => Promise<void>;

interface Entry {
  event: PipelineEvent;
  readonly atMs: number;
  readonly count: number;
  readonly toldMs: number;
}

const CAPACITY = 1000;
const FOLD_MS = 60_000;
const TELL_EVERY_MS = 1000;
/** Told once each: what has the same code there is not the same thing. */
const APART: ReadonlySet<string> = new Set(['TABLE_FINDING']);

/**
 * What happened, newest last: the last thousand in memory. Ids are ms since 1970, raised by one where two
 * would be equal, so that they go on rising over restarts without asking anybody.
 *
 * A warning or error with the code and table of one less than a minute old is counted on that one, which keeps
 * its id and takes the newer text, so that a retry loop does not flood; an info, or a finding, only when it repeats the last line.
 */
export class EventLog {
  readonly #now: () => number;
  #entries: Entry[] = [];
  #lastId = 0;
  readonly #listeners = new Set<(event: PipelineEvent) => void>();
  #sink: EventSink | null = null;
  readonly #unsaved = new Map<number, PipelineEvent>();
  #saving: Promise<void> | null = null;
  #saveAgain = false;

  constructor(options: { now: () => number; persist?: EventSink }) {
    this.#now = options.now;
    this.#sink = options.persist ?? null;
  }

  append(input: EventInput): PipelineEvent {
    const nowMs = this.#now();
    const known = this.#repeated(input, nowMs);
    if (known) return this.#fold(known, input, nowMs);
    this.#lastId = Math.max(this.#lastId + 1, nowMs);
    const event = eventOf(this.#lastId, iso(nowMs), input);
    this.#entries.push({ event, atMs: nowMs, count: 1, toldMs: nowMs });
    if (this.#entries.length > CAPACITY) this.#entries.shift();
    this.#tell(event);
    return event;
  }

  /** Events with a greater id, newest last; all of them without one. */
  after(id = 0): PipelineEvent[] {
    return this.#entries.filter((entry) => entry.event.id > id).map((entry) => entry.event);
  }

  /** Calls back for each new event, and at most once a second for one whose count rose. Returns what ends it. */
  subscribe(listener: (event: PipelineEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Takes in what earlier runs have saved; in any order, what is known already is left. */
  load(events: Iterable<PipelineEvent>): void {
    const known = new Set(this.#entries.map((entry) => entry.event.id));
    for (const event of events) {
      if (known.has(event.id)) continue;
      const atMs = Date.parse(event.at);
      // An event of an earlier run is never folded into: its count is not known here.
      this.#entries.push({ event, atMs: Number.NEGATIVE_INFINITY, count: 1, toldMs: atMs });
      this.#lastId = Math.max(this.#lastId, event.id);
    }
    this.#entries = this.#entries.sort((a, b) => a.event.id - b.event.id).slice(-CAPACITY);
  }

  /** From now on events are saved here, also those that wait already. One write at a time; failures are tried with the next event. */
  persistTo(sink: EventSink): void {
    this.#sink = sink;
    this.#save();
  }

  /** Resolves when what can be saved is saved. Never rejects. */
  async flush(): Promise<void> {
    await this.#saving;
    this.#save();
    await this.#saving;
  }

  #repeated(input: EventInput, nowMs: number): Entry | undefined {
    const same = (entry: Entry): boolean =>
      entry.event.code === input.code && entry.event.table === input.table && nowMs - entry.atMs < FOLD_MS;
    if (input.level !== 'info' && !APART.has(input.code)) {
      return this.#entries.findLast((entry) => entry.event.level === input.level && same(entry));
    }
    const last = this.#entries.at(-1);
    return last && last.event.level === input.level && same(last) && plain(last) === input.message ? last : undefined;
  }

  #fold(known: Entry, input: EventInput, nowMs: number): PipelineEvent {
    const count = known.count + 1;
    const counted = { ...input, message: `${input.message} (${count} times, last at ${iso(nowMs).slice(11, 19)} UTC)` };
    const event = eventOf(known.event.id, known.event.at, counted);
    const tell = nowMs - known.toldMs >= TELL_EVERY_MS;
    const next = { event, atMs: known.atMs, count, toldMs: tell ? nowMs : known.toldMs };
    this.#entries[this.#entries.indexOf(known)] = next;
    if (tell) this.#tell(event);
    else this.#remember(event);
    return event;
  }

  #tell(event: PipelineEvent): void {
    this.#remember(event);
    for (const listener of this.#listeners) listener(event);
    this.#save();
  }

  #remember(event: PipelineEvent): void {
    this.#unsaved.set(event.id, event);
    if (this.#unsaved.size > CAPACITY) this.#unsaved.delete(this.#unsaved.keys().next().value!);
  }

  #save(): void {
    const sink = this.#sink;
    if (this.#saving) this.#saveAgain = true;
    if (!sink || this.#saving || this.#unsaved.size === 0) return;
    this.#saveAgain = false;
    this.#saving = this.#attempt(sink, [...this.#unsaved.values()]).then((saved) => {
      this.#saving = null;
      if (saved && this.#saveAgain) this.#save();
    });
  }

  /** False when the target is away: the events stay in #unsaved for the next append or flush. */
  async #attempt(sink: EventSink, events: readonly PipelineEvent[]): Promise<boolean> {
    try {
      await sink(events);
    } catch {
      return false;
    }
    for (const event of events) if (this.#unsaved.get(event.id) === event) this.#unsaved.delete(event.id);
    return true;
  }
}

function eventOf(id: number, at: string, input: EventInput): PipelineEvent {
  return {
    id,
    at,
    level: input.level,
    ...(input.table === undefined ? {} : { table: input.table }),
    code: input.code,
    message: input.message,
    ...(input.remedy === undefined ? {} : { remedy: input.remedy }),
  };
}

/** The message as it came, without the count. */
function plain(entry: Entry): string {
  return entry.count === 1 ? entry.event.message : entry.event.message.replace(/ \(\d+ times, last at [\d:]+ UTC\)$/, '');
}
