/**
 * Who buys, and in which sale: `/?sale=ID#token=JWT`, or, where the engine offers a demo, a session of its own.
 * `/?order=ID` is where a bank's page leads back to. A token in the fragment never reaches a server's log; it is taken
 * out of the address bar at once, and so is whatever a payment provider has added to our address.
 */

export type Session = {
  sale_id: string | undefined;
  /** The order that the page was opened for. */
  order_id: string | undefined;
  token: string | undefined;
  /** `sub` of the token: whose orders these are. */
  buyer: string | undefined;
  /** `email` of the token. */
  email: string | undefined;
  /** A WebSocket carries no token, so only what everybody's shop sells is pushed. */
  may_watch: boolean;
  demo: boolean;
};

type Place = {
  location: Pick<Location, 'search' | 'hash' | 'pathname'>;
  history: Pick<History, 'replaceState'>;
};
type Stores = { tab: Storage; browser: Storage };

const TOKEN = 'stampede.token';
const DEMO_TOKEN = 'stampede.demo-token';
/** A token that ends within this is not begun with. */
const SPARE_SECONDS = 600;

export async function openSession(place: Place, stores: Stores, send: typeof fetch): Promise<Session> {
  const asked = new URLSearchParams(place.location.search);
  const [sale_id, order_id] = ['sale', 'order'].map((name) => asked.get(name) || undefined);
  const given = new URLSearchParams(place.location.hash.slice(1)).get('token');
  if (given) stores.tab.setItem(TOKEN, given);
  cleanAddress(place, { sale: sale_id, order: order_id });
  const token = stores.tab.getItem(TOKEN) ?? undefined;
  if (token) return { sale_id, order_id, ...sessionOf(token), demo: false };
  const demo = await openDemo(stores.browser, send);
  return { ...demo, order_id, sale_id: sale_id ?? demo.sale_id };
}

function cleanAddress({ location, history }: Place, ours: Record<string, string | undefined>): void {
  const kept = Object.entries(ours).filter((pair): pair is [string, string] => pair[1] !== undefined);
  const search = kept.length > 0 ? `?${new URLSearchParams(kept)}` : '';
  if (search !== location.search || location.hash.includes('token=')) {
    history.replaceState(null, '', location.pathname + search);
  }
}

/** The demo's sale may be another one than last time; the buyer stays the same as long as the token holds. */
async function openDemo(store: Storage, send: typeof fetch): Promise<Omit<Session, 'order_id'>> {
  const nobody = { token: undefined, buyer: undefined, email: undefined };
  const none = { ...nobody, sale_id: undefined, may_watch: true, demo: false };
  const response = await send('/demo/session', { method: 'POST' }).catch(() => undefined);
  if (!response?.ok) return none;
  const offered = (await response.json()) as { token: string; sale_id: string };
  const kept = store.getItem(DEMO_TOKEN);
  const token = kept && outlasts(kept, offered.token) ? kept : offered.token;
  store.setItem(DEMO_TOKEN, token);
  return { sale_id: offered.sale_id, ...sessionOf(token), demo: true };
}

/** A token that the engine refuses (its secret is another one now) is not used again. */
export function forgetToken(stores: Stores): void {
  stores.tab.removeItem(TOKEN);
  stores.browser.removeItem(DEMO_TOKEN);
}

/** Held against the time at which the new one was issued: the browser's clock may be wrong. */
function outlasts(kept: string, offered: string): boolean {
  const exp = claimsOf(kept)?.exp ?? 0;
  const now = claimsOf(offered)?.iat ?? Date.now() / 1000;
  return exp > now + SPARE_SECONDS;
}

function sessionOf(token: string): Pick<Session, 'token' | 'buyer' | 'email' | 'may_watch'> {
  const { sub, email, tenant = 'default' } = claimsOf(token) ?? {};
  return { token, buyer: sub, email, may_watch: tenant === 'default' };
}

function claimsOf(
  token: string,
): { sub?: string; email?: string; tenant?: string; exp?: number; iat?: number } | undefined {
  try {
    const payload = (token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/');
    const bytes = Uint8Array.from(atob(payload), (letter) => letter.codePointAt(0) ?? 0);
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}
