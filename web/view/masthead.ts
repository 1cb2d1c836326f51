/** The head of the page: what the sale is doing, until when, and how fresh what you see is. */
import type { Sale, SaleState } from '../api-types.ts';
import type { Link } from '../live.ts';
import { clockText, dayAndTime } from '../time.ts';
import { byId, setText } from './dom.ts';

const STATE_WORDS: Record<SaleState, string> = {
  scheduled: 'Opens soon',
  open: 'Open now',
  paused: 'Paused',
  closed: 'Closed',
  recovering: 'Being checked',
};

export type Masthead = {
  show(sale: Sale): void;
  showLink(link: Link): void;
  tick(now_ms: number): void;
};

export function createMasthead(): Masthead {
  const name = byId('sale-name');
  const word = byId('sale-state');
  const label = byId('countdown-label');
  const countdown = byId('countdown');
  const link_text = byId('link');
  let sale: Sale | undefined;

  function tick(now_ms: number): void {
    if (!sale) return;
    const target =
      sale.state === 'scheduled' ? sale.opens_at : sale.state === 'closed' ? null : sale.closes_at;
    setText(label, target ? (sale.state === 'scheduled' ? 'Opens in' : 'Closes in') : '');
    setText(countdown, target ? clockText(Date.parse(target) - now_ms) : '');
    countdown.title = target ? dayAndTime(target) : '';
  }

  return {
    show(next) {
      sale = next;
      setText(name, next.id);
      setText(word, STATE_WORDS[next.state]);
      word.className = `sale-state ${next.state}`;
    },
    showLink(link) {
      setText(link_text, link === 'live' ? 'Stock is live' : 'Stock every 2 seconds');
      link_text.className = `link ${link}`;
    },
    tick,
  };
}
