import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import type { Role } from '../postgres/connect.ts';
import { Problem } from '../problem.ts';
import { isAtWork } from './at-work.ts';

const LOOK_MS = 5000;
/** Whoever has waited so long for an answer is looked at. */
const SILENT_MS = 15_000;
/** What was on its way in the moment of the look is there by then. */
const LAST_CHANCE_MS = 1000;

/** A connection of this session. */
export interface Line {
  readonly client: Client;
  readonly role: Role;
}

/**
 * Rejects when one of the connections waits for an answer that its server has given, or never will: a firewall or a proxy has lost the connection,
 * and nobody was told. Statements that take long, or wait for a lock, are left to it. Resolves when the signal aborts.
 */
export async function watchLines(
  lines: readonly Line[],
  look: { readonly urls: Readonly<Record<Role, string>>; readonly purpose: string },
  signal: AbortSignal,
): Promise<void> {
  const heard = new WeakMap<Client, { readonly bytes: number; readonly at: number }>();
  while (!signal.aborted) {
    await sleep(LOOK_MS, null, { signal }).catch(() => {});
    for (const { client, role } of lines) {
      const socket = client.connection.stream as Socket;
      const last = heard.get(client);
      const isSilent = (): boolean => !signal.aborted && !client.readyForQuery && socket.bytesRead === last?.bytes;
      if (!last || !isSilent()) {
        heard.set(client, { bytes: socket.bytesRead, at: performance.now() });
        continue;
      }
      const silentMs = performance.now() - last.at;
      if (silentMs < SILENT_MS || client.processID === null) continue;
      if (await isAtWork({ role, url: look.urls[role], purpose: look.purpose }, client.processID, signal)) continue;
      await sleep(LAST_CHANCE_MS, null, { signal }).catch(() => {});
      if (isSilent()) throw lostLine(role, silentMs);
    }
  }
}

function lostLine(role: Role, silentMs: number): Problem {
  return new Problem(
    role === 'source' ? 'SOURCE_UNREACHABLE' : 'TARGET_UNREACHABLE',
    `A statement has had no answer from the ${role} for ${Math.round(silentMs / 1000)} s, and nothing works at it there: the connection is lost, and nobody has told.`,
    {
      retry: 'transient',
      remedy: `It is made anew by itself. If that happens often, look for a firewall or a proxy between here and the ${role} that forgets connections.`,
    },
  );
}
