import type { Logger } from 'pino';
import type { Client } from 'pg';
import { readEvents, storeEvents } from '../metadata/event-sink.ts';
import type { EventInput, EventLog } from '../observe/events.ts';

const EVENTS_LOADED = 200;

/** Tells what happened, once: as an event, which is kept on the target as long as there is one, and as a line in the log. */
export class Teller {
  readonly #events: EventLog;
  readonly #log: Logger;
  #loaded = false;

  constructor(options: { events: EventLog; log: Logger }) {
    this.#events = options.events;
    this.#log = options.log;
  }

  tell(event: EventInput): void {
    this.#events.append(event);
    const { level, message, ...fields } = event;
    this.#log[level](fields, message);
  }

  /** The target is there: what an earlier process has told is read, once, and what comes is stored. */
  async connected(target: Client, pipeline: string): Promise<void> {
    if (!this.#loaded) this.#events.load(await readEvents(target, pipeline, EVENTS_LOADED));
    this.#loaded = true;
    this.#events.persistTo((events) => storeEvents(target, pipeline, events));
  }

  disconnected(): void {
    this.#events.persistTo(async () => {
      throw new Error('not connected');
    });
  }
}
