/** A message with what to do next, spoken by screen readers when it appears. */
import type { Message, NextStep } from '../messages.ts';
import { waitText } from '../time.ts';
import { h, setText } from './dom.ts';

export type Notice = {
  element: HTMLElement;
  show(message: Message, mood: 'bad' | 'waiting'): void;
  clear(): void;
  /** Brings a countdown inside the message up to date. */
  tick(now_ms: number): void;
};

const STEPS: Record<NextStep, string> = {
  try_again: 'Try again',
  new_session: 'Start a new session',
  reload: 'Reload the page',
  see_orders: 'See my orders',
  check_address: 'Check the address',
};

/** `onNext` is told which step was pressed; `onStop` ends a wait. */
export function createNotice(onNext: (step: NextStep) => void, onStop?: () => void): Notice {
  const element = h('div', { className: 'notice', hidden: true });
  // The text stands in the live region alone: a countdown in it must not be read out every second.
  const spoken = h('div', { attrs: { role: 'alert' } });
  const counting = h('p', { className: 'notice-text' });
  const actions = h('p', { className: 'notice-actions' });
  element.append(spoken, counting, actions);
  let message: Message | undefined;

  function tick(now_ms: number): void {
    if (!message?.until) return;
    const left_ms = Date.parse(message.until) - now_ms;
    setText(counting, message.text.replace('{left}', left_ms > 0 ? waitText(left_ms) : 'a moment'));
  }

  return {
    element,
    show(next, mood) {
      message = next;
      element.hidden = false;
      element.className = `notice ${mood}`;
      spoken.replaceChildren(
        h('strong', { className: 'notice-title' }, next.title),
        ...(next.until ? [] : [h('span', { className: 'notice-text' }, next.text)]),
      );
      counting.hidden = !next.until;
      const step = next.next;
      const buttons = [];
      if (step && mood === 'bad') {
        buttons.push(
          h('button', { type: 'button', className: 'quiet', onclick: () => onNext(step) }, STEPS[step]),
        );
      }
      if (mood === 'waiting' && onStop) {
        buttons.push(h('button', { type: 'button', className: 'quiet', onclick: onStop }, 'Stop trying'));
      }
      actions.replaceChildren(...buttons);
      actions.hidden = buttons.length === 0;
    },
    clear() {
      message = undefined;
      element.hidden = true;
      spoken.replaceChildren();
      actions.replaceChildren();
    },
    tick,
  };
}
