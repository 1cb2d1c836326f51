/** Troubles of one connection between two parts. */
import type { ProxyTrouble } from '../../support/tcp-proxy.ts';
import { between, type Fault, type FaultClass, type FaultContext } from './fault.ts';

const DELAY_MS = 5_000;

/** How often each comes in a round; the link is drawn. */
const ROUND = 3;

export function networkFaults(): Fault[] {
  const troubled = (
    kind: FaultClass,
    draw: (random: () => number) => { trouble: ProxyTrouble; text: string; lasts_ms: number },
  ) =>
    rounds(kind, async ({ world, random, sleep }, link) => {
      const { trouble, text, lasts_ms } = draw(random);
      const heal = await world.links.trouble(link, trouble);
      await sleep(lasts_ms);
      await heal();
      return `${text} for ${lasts_ms} ms`;
    });
  return [
    ...rounds('reset', async ({ world, random, sleep }, link) => {
      const times = between(random, 1, 5);
      for (let no = 0; no < times; no++) {
        await world.links.reset(link);
        await sleep(between(random, 20, 400));
      }
      return `reset ${times} times`;
    }),
    ...troubled('half_open', (random) => ({
      ...{ trouble: { kind: 'half_open' }, text: 'half open', lasts_ms: between(random, 1_000, 5_000) },
    })),
    ...troubled('delay', (random) => ({
      trouble: { kind: 'delay', delay_ms: DELAY_MS },
      ...{ text: `${DELAY_MS} ms late`, lasts_ms: between(random, 3_000, 7_000) },
    })),
    ...troubled('one_way', (random) => {
      const direction = random() < 0.5 ? 'up' : 'down';
      const trouble = { kind: 'cut', direction } as const;
      return { trouble, text: `cut ${direction}`, lasts_ms: between(random, 1_000, 5_000) };
    }),
  ];
}

function rounds(kind: FaultClass, strike: (context: FaultContext, link: string) => Promise<string>): Fault[] {
  return Array.from({ length: ROUND }, (_, no) => ({
    ...{ class: kind, name: `${kind} ${no}`, target: `link ${kind} ${no}` },
    async strike(context) {
      const names = context.world.links.names();
      const link = names[between(context.random, 0, names.length - 1)] as string;
      return { detail: `${link}: ${await strike(context, link)}` };
    },
  }));
}
