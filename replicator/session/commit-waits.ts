import type { UnseenCommit } from '../spool/old-commits.ts';
import { quoteIdent } from '../postgres/quote.ts';

/** What a table waits for, for people. */
export interface CommitWait {
  readonly message: string;
  readonly remedy: string;
}

/** Why tables are not copied, or compared, for now. `role`: that of source.url. */
export function commitWait(why: UnseenCommit, what: 'copied' | 'compared', role: string): CommitWait {
  if (why === 'cannot be told')
    return {
      message: `Waits to be ${what} until all transactions are over that were open on the source when pgfollow was started: commits may wait for a synchronous standby there, and the role does not see which.`,
      remedy: `GRANT pg_read_all_stats TO ${quoteIdent(role)};`,
    };
  return {
    message: `Waits to be ${what} until commits of the source are over that wait for a synchronous standby: the target has their rows, other sessions of the source do not see them yet.`,
    remedy: `Let the standby confirm them, or look at synchronous_standby_names on the source. Who waits: SELECT pid, query FROM pg_stat_activity WHERE wait_event = 'SyncRep';`,
  };
}
