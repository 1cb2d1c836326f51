/** Answers of the engine, held against a raw echo of the same requests. */
import { bodiesFile, newKeys, run } from './load.ts';
import type { Contest, Lab, Scenario } from './scenario.ts';

const PLENTY = 100_000_000;

const B = 'raw uWebSockets.js echo of the same headers and body';

export const checkout: Scenario = {
  name: 'checkout',
  what: 'Unique checkouts that succeed: token, limit, idempotency, appendfsync always, the ledger following.',
  ...{ a: 'checkouts', b: B, bar: { at_least: 0.5 } },
  async prepare(lab) {
    const sale = await lab.world.sale({ skus: 1, qty: PLENTY, limit: 1_000 });
    const bodies = bodiesFile(lab, sale);
    return contest(lab, [sale], bodies, () => run(lab, lab.world.spot, bodies));
  },
};

export const sellOut: Scenario = {
  name: 'sell-out',
  what: 'One hot SKU to its last unit and beyond: each run is a sale of its own that is sold out in the middle.',
  ...{ a: 'a sale to its end', b: B },
  async prepare(lab) {
    const first = await lab.world.sale({ skus: 1, qty: PLENTY, limit: 1_000 });
    const bodies = bodiesFile(lab, first);
    await run(lab, lab.world.spot, bodies, { seconds: 1 });
    const { requests } = await run(lab, lab.world.spot, bodies);
    const qty = Math.ceil(requests / 2);
    const sales = [first];
    const wrong: string[] = [];
    return {
      ...contest(lab, sales, bodies, async () => {
        const sale = await lab.world.sale({ skus: 1, qty, limit: 1_000 });
        sales.push(sale);
        const measured = await run(lab, lab.world.spot, bodiesFile(lab, sale));
        const { accepted = 0, refused = 0 } = measured.counts ?? {};
        if (refused === 0) wrong.push(`${sale} was not sold out`);
        else if (accepted !== qty) wrong.push(`${sale}: ${accepted} of ${qty} units were sold`);
        return measured;
      }),
      audit: async () => [...(await lab.world.audit(sales)), ...wrong],
    };
  },
};

export const soldOut: Scenario = {
  name: 'sold-out',
  what: 'The storm after the last unit: every answer is "sold out", decided by the script.',
  ...{ a: 'sold-out answers', b: B, bar: { at_least: 0.8 } },
  async prepare(lab) {
    const sale = await lab.world.sale({ skus: 1, qty: 1 });
    const bodies = bodiesFile(lab, sale);
    await run(lab, lab.world.spot, bodies, { seconds: 1 });
    return contest(lab, [sale], bodies, () => run(lab, lab.world.spot, bodies));
  },
};

export const replay: Scenario = {
  name: 'replay',
  what: 'Every buyer sends the same request again and again, under the same key: every answer is the first one.',
  ...{ a: 'replays', b: B },
  async prepare(lab) {
    const sale = await lab.world.sale({ skus: 1, qty: PLENTY, limit: 1 });
    const bodies = bodiesFile(lab, sale);
    const key_prefix = newKeys();
    const again = () => run(lab, lab.world.spot, bodies, { key_prefix, mode: 'replay' });
    // Until every buyer has had its first answer.
    for (let done = 0; done < lab.buyers; ) done += (await again()).requests;
    return contest(lab, [sale], bodies, again);
  },
};

function contest(lab: Lab, sales: string[], bodies: string, a: Contest['a']): Contest {
  return { a, b: () => run(lab, lab.echo.spot, bodies), audit: () => lab.world.audit(sales) };
}
