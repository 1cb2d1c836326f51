/** Providers that are the sandbox's with something changed, and latches to hold a call with. */
import type { Psp } from '../../../payments/port.ts';
import type { Providers } from '../../../payments/providers.ts';

/** These providers with methods or capabilities replaced. */
export function changed(providers: Providers, changes: (psp: Psp) => Partial<Psp>): Providers {
  const psp = { ...providers.chosen, ...changes(providers.chosen) };
  return { ...providers, chosen: psp, byName: () => psp, close: () => {} };
}

export type Latch = { wait: Promise<void>; open: () => void };

export function latch(): Latch {
  let open = () => {};
  const wait = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { wait, open };
}
