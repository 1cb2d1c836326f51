/** What a way to reach people offers the sender, and what can become of one try. */
import type { ClaimedNotice } from '../../ledger/notices/claim-notices.ts';
import type { Channel } from '../../ledger/notices/insert-notices.ts';
import type { NoticeFacts } from './view.ts';

export type Delivery =
  /** The server has taken it. `id`: its own name for it, where it has one. */
  | { kind: 'sent'; id: string | null }
  /** Not now. `away`: it was not about this notice; the server takes none at the moment. */
  | { kind: 'later'; error: string; away: boolean }
  /** Never. */
  | { kind: 'refused'; error: string }
  /** Whoever it is for does not want it. */
  | { kind: 'unwanted'; error: string };

export type NoticeChannel = {
  name: Channel;
  /** Domain of Message-IDs; null where there are none. */
  domain: string | null;
  /** At once, and a second, at most. */
  concurrency: number;
  rate: number;
  /** Ends within SEND_MS_MAX, and never rejects for what a server does. */
  send(notice: ClaimedNotice, facts: NoticeFacts): Promise<Delivery>;
  close(): void;
};

/** One try takes no longer. */
export const SEND_MS_MAX = 60_000;

/** For how long a sender has what it claimed: sending ends well before somebody else may claim it. */
export const LEASE_MS = 2 * SEND_MS_MAX;

/** What a server said, fit for a log and a list: addresses and numbers are not. */
export function spoken(text: string): string {
  return text
    .replace(/\s+/g, ' ')
    .replace(/[^\s<>"'(),;:]+@[^\s<>"'(),;:]+/g, '(address)')
    .replace(/\+?\d[\d -]{6,}\d/g, '(number)')
    .slice(0, 300);
}
