import { describe, expect, it } from 'vitest';
import { openSession } from './session.ts';

function storage(): Storage {
  const stored = new Map<string, string>();
  return {
    getItem: (key: string) => stored.get(key) ?? null,
    setItem: (key: string, value: string) => void stored.set(key, value),
    removeItem: (key: string) => void stored.delete(key),
  } as Storage;
}

/** Opens the page at this address, in a tab that may have been there before. */
async function open(search: string, hash = '', stores = { tab: storage(), browser: storage() }) {
  let address: string | undefined;
  const place = {
    location: { pathname: '/', search, hash },
    history: {
      replaceState(_: unknown, __: string, url?: string | URL | null) {
        address = String(url);
      },
    },
  };
  const noDemo = (async () => new Response(null, { status: 404 })) as typeof fetch;
  return { session: await openSession(place, stores, noDemo), address, stores };
}

const TOKEN = `e30.${btoa(JSON.stringify({ sub: 'ada' }))}.x`;

describe('opening the page', () => {
  it('takes the token out of the address bar', async () => {
    const { session, address } = await open('?sale=lamps', `#token=${TOKEN}`);
    expect(session).toMatchObject({ sale_id: 'lamps', buyer: 'ada', order_id: undefined });
    expect(address).toBe('/?sale=lamps');
  });

  it('comes back from a bank’s page to the order, as the same buyer, without what the provider added', async () => {
    const { stores } = await open('?sale=lamps', `#token=${TOKEN}`);
    const added = '&payment_intent=pi_1&payment_intent_client_secret=pi_1_secret_2&redirect_status=succeeded';
    const { session, address } = await open(`?order=abc${added}`, '', stores);
    expect(session).toMatchObject({ order_id: 'abc', sale_id: undefined, buyer: 'ada' });
    expect(address).toBe('/?order=abc');
  });

  it('leaves an address alone that is as it should be', async () => {
    expect((await open('?order=abc')).address).toBeUndefined();
    expect((await open('')).address).toBeUndefined();
  });
});
