import { setTimeout as sleep } from 'node:timers/promises';
import { sql, type Session, type TestDatabase } from './databases.ts';

/** Writers that go on over crashes of their server, until they are stopped. */
export interface Load extends AsyncDisposable {
  /** Transactions whose commit was answered. */
  readonly committed: number;
  stop(): Promise<void>;
}

/** Runs `clients` of `work` side by side, each on a connection of its own that is made anew when it breaks. */
export function startLoad(
  database: TestDatabase,
  clients: number,
  work: (session: Session, client: number, n: number) => Promise<void>,
): Load {
  const end = new AbortController();
  let committed = 0;
  const run = async (client: number): Promise<void> => {
    for (let n = 0; !end.signal.aborted;) {
      try {
        await using session = await database.session();
        for (; !end.signal.aborted; n++) {
          await work(session, client, n);
          committed++;
        }
      } catch {
        // The server is down, or took this transaction with it. Whether it was committed will show.
        n++;
        await sleep(30);
      }
    }
  };
  const running = Array.from({ length: clients }, (_, client) => run(client));
  const stop = async (): Promise<void> => {
    end.abort();
    await Promise.all(running);
  };
  return {
    stop,
    [Symbol.asyncDispose]: stop,
    get committed() {
      return committed;
    },
  };
}

export const TICK = 'CREATE TABLE tick (n int)';

/** Small transactions beside whatever else happens, so that the position moves. */
export function startTicks(database: TestDatabase): Load {
  return startLoad(database, 1, async (session, _, n) => {
    await session.query(`INSERT INTO tick VALUES (${n})`);
    await sleep(10);
  });
}

const ACCOUNTS = 50;
const BALANCE = 1000;

/** Accounts, and a journal without a key: every transfer moves an amount between two accounts and notes it. */
export const BANK = `
  CREATE TABLE account (id int PRIMARY KEY, balance bigint NOT NULL, moves bigint NOT NULL DEFAULT 0);
  CREATE TABLE journal (debit int, credit int, amount bigint NOT NULL)`;

export const OPEN_ACCOUNTS = `INSERT INTO account SELECT n, ${BALANCE} FROM generate_series(1, ${ACCOUNTS}) n`;

/** Between two transfers of a client: crashes are to be met in the middle of work, not behind a backlog. */
const PAUSE_MS = 4;

/** `clients` that move money; `settings` are SET at the start of each transaction. */
export function startTransfers(source: TestDatabase, clients: number, settings = ''): Load {
  return startLoad(source, clients, async (session) => {
    const [a, b] = twoOf(ACCOUNTS);
    const amount = 1 + Math.floor(Math.random() * 90);
    // In the order of ids, so that nobody deadlocks. Now and then the whole is undone.
    const end = Math.random() < 0.05 ? 'ROLLBACK' : 'COMMIT';
    const [first, second] = a < b ? [`${a}, -${amount}`, `${b}, ${amount}`] : [`${b}, ${amount}`, `${a}, -${amount}`];
    const move = (pair: string): string =>
      `UPDATE account SET balance = balance + v.amount, moves = moves + 1 FROM (VALUES (${pair})) AS v (id, amount) WHERE account.id = v.id`;
    await sleep(PAUSE_MS);
    await session.query(
      `BEGIN; ${settings} ${move(first)}; INSERT INTO journal VALUES (${a}, ${b}, ${amount}); ${move(second)}; ${end}`,
    );
  });
}

/** What a look at the bank shows that cannot be at any commit of the source; null when all is well. */
async function bankFault(on: Pick<Session, 'query'>): Promise<string | null> {
  const [row] = await sql(
    on,
    `WITH moved AS (SELECT id, sum(amount) AS amount FROM
        (SELECT credit AS id, amount FROM journal UNION ALL SELECT debit, -amount FROM journal) j GROUP BY id)
     SELECT count(*) AS accounts, sum(balance) AS total, sum(moves) AS moves, (SELECT 2 * count(*) FROM journal) AS noted,
            count(*) FILTER (WHERE balance <> ${BALANCE} + coalesce(moved.amount, 0)) AS wrong
       FROM account LEFT JOIN moved USING (id)`,
  );
  const { accounts, total, moves, noted, wrong } = row ?? {};
  const right = accounts === String(ACCOUNTS) && total === String(ACCOUNTS * BALANCE) && moves === noted && wrong === '0';
  return right ? null : JSON.stringify(row);
}

/** Looks at the bank again and again, over crashes of the server, until it is stopped. */
export function watchBank(database: TestDatabase): { stop(): Promise<{ looks: number; faults: string[] }> } {
  const end = new AbortController();
  let looks = 0;
  const faults: string[] = [];
  const watch = async (): Promise<void> => {
    while (!end.signal.aborted) {
      try {
        await using session = await database.session();
        while (!end.signal.aborted) {
          const fault = await bankFault(session);
          looks++;
          if (fault !== null && faults.length < 5) faults.push(fault);
          await sleep(20);
        }
      } catch {
        await sleep(30);
      }
    }
  };
  const watching = watch();
  return {
    async stop() {
      end.abort();
      await watching;
      return { looks, faults };
    },
  };
}

function twoOf(count: number): [number, number] {
  const a = 1 + Math.floor(Math.random() * count);
  const b = 1 + Math.floor(Math.random() * (count - 1));
  return [a, b >= a ? b + 1 : b];
}
