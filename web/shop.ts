/** The shop: a sale kept up to date, its lanes, purchases under way, and the orders they became. */
import type { Api } from './api.ts';
import type { CheckoutBody, Problem, Sale } from './api-types.ts';
import { followLive, type StockUpdate } from './live.ts';
import { type Message, messageFor, type NextStep } from './messages.ts';
import { myOrders } from './my-orders.ts';
import { openOrders } from './orders.ts';
import { newPurchase, type Purchase, type PurchaseKeeper, settle } from './purchase.ts';
import type { ServerClock } from './server-clock.ts';
import type { Session } from './session.ts';
import { createStockMemory } from './stock-memory.ts';
import { byId, setText } from './view/dom.ts';
import { createLane, type Lane } from './view/lane.ts';
import { createMasthead } from './view/masthead.ts';
import { createPayForm } from './view/pay-form.ts';

export type ShopOptions = {
  session: Session & { sale_id: string };
  api: Api;
  clock: ServerClock;
  keeper: PurchaseKeeper;
  store: Storage;
  /** Drops the session and begins another. */
  renew: () => void;
  /** The engine has shown the sale. */
  onServing: () => void;
};

const DEMO_ADDRESS = {
  name: 'Ada Lovelace',
  line1: '12 St James Square',
  city: 'London',
  postal_code: 'SW1Y 4JH',
  country: 'GB',
};

const TICK_MS = 250;

export async function openShop(options: ShopOptions): Promise<void> {
  const { session, api, clock, keeper } = options;
  const lanes = new Map<string, Lane>();
  const memory = createStockMemory(sessionStorage, session.sale_id);
  const masthead = createMasthead();
  const pay = createPayForm(options.store);
  const buyer = session.buyer ?? '';
  const nameOf = (sku: string) => sale?.items.find((item) => item.sku === sku)?.name ?? sku;
  const speak = (text: string) => setText(byId('spoken'), text);
  let sale: Sale | undefined;
  let buying: AbortController | undefined;
  if (session.demo) pay.fill(DEMO_ADDRESS);

  async function readSale(): Promise<void> {
    const answer = await api.sale(session.sale_id);
    if (answer.kind === 'ok') {
      options.onServing();
      sale = answer.body;
      showPageProblem(undefined);
      show();
    } else if (answer.kind === 'refused' && answer.problem.code === 'unauthorized') {
      options.renew();
      showPageProblem(answer.problem);
    } else if (!sale) {
      showPageProblem(answer.kind === 'refused' ? answer.problem : { code: 'unavailable', status: 503 });
    }
  }

  function applyUpdate(update: StockUpdate): void {
    if (!sale) return;
    const told = new Map(update.items.map((item) => [item.sku, item]));
    const items = sale.items.map((item) => ({ ...item, ...told.get(item.sku) }));
    // The closing time may have come: what is told with it is read again.
    if (update.state && update.state !== sale.state) void readSale();
    sale = { ...sale, state: update.state ?? sale.state, items };
    show();
  }

  function show(): void {
    if (!sale) return;
    masthead.show(sale);
    for (const item of sale.items) {
      const lane = lanes.get(item.sku) ?? addLane(sale, item.sku);
      lane.show({
        item,
        total: memory.totalOf(item.sku, item.available),
        sale_state: session.token ? sale.state : 'closed',
      });
    }
  }

  function addLane({ currency, limit_per_buyer }: Sale, sku: string): Lane {
    const lane = createLane({
      ...{ sku, currency, limit: limit_per_buyer },
      onBuy: (qty) => void buy(sku, qty),
      onNext: (step) => takeStep(step, sku),
      onStop: () => buying?.abort(),
    });
    lanes.set(sku, lane);
    byId('lanes').append(lane.element);
    return lane;
  }

  function buy(sku: string, qty: number): Promise<void> | undefined {
    // One at a time: the key of the one under way is kept, and settled first.
    if (buying) return;
    const filled = pay.read();
    if (!filled) return;
    const body: CheckoutBody = { sale_id: session.sale_id, items: [{ sku, qty }], ...filled };
    return follow(newPurchase(body), sku);
  }

  async function follow(purchase: Purchase, sku: string): Promise<void> {
    const lane = lanes.get(sku);
    buying = new AbortController();
    for (const each of lanes.values()) each.setBusy(each === lane ? 'asking' : 'waiting');
    lane?.notice.clear();
    const settled = await settle(purchase, {
      send: api.checkout,
      keeper,
      signal: buying.signal,
      onWaiting: ({ problem }) => lane?.notice.show(waitingMessage(problem), 'waiting'),
    });
    buying = undefined;
    for (const each of lanes.values()) each.setBusy('no');
    if (settled.kind === 'bought') {
      lane?.notice.clear();
      orders.add(settled.accepted);
      void readSale();
    } else if (settled.kind === 'refused') {
      refuse(settled.problem, sku);
    } else {
      lane?.notice.show(unsettledMessage(settled.problem), 'bad');
    }
  }

  function refuse(problem: Problem, sku: string): void {
    // Sold out, said by the script that decides: none left and none held.
    const left = problem.short?.find((line) => line.sku === sku)?.available;
    if (problem.code === 'sold_out' && left === 0) applyUpdate({ items: [{ sku, available: 0, held: 0 }] });
    lanes.get(sku)?.notice.show(messageFor(problem, sku), 'bad');
    // What was refused may be news: a sale that closed, a price list that changed.
    void readSale();
  }

  function takeStep(step: NextStep, sku: string): void {
    const kept = keeper.read();
    if (step === 'try_again' && kept) void follow(kept, kept.body.items[0]?.sku ?? sku);
    else if (step === 'try_again') void buy(sku, lanes.get(sku)?.qty() ?? 1);
    else if (step === 'new_session') options.renew();
    else if (step === 'reload') location.reload();
    else if (step === 'see_orders') byId('orders-title').focus();
    else pay.focus();
  }

  await readSale();
  // After the sale, which knows the names of what was bought.
  const orders = openOrders({ api, mine: myOrders(options.store, session.sale_id, buyer), nameOf, speak });
  followLive({
    url: liveUrl(session.sale_id),
    onUpdate: applyUpdate,
    onLink: masthead.showLink,
    poll: readSale,
  });
  setInterval(() => {
    const now_ms = clock.now();
    if (now_ms === undefined) return;
    masthead.tick(now_ms);
    orders.tick(now_ms);
    for (const lane of lanes.values()) lane.notice.tick(now_ms);
  }, TICK_MS);
  const kept = keeper.read();
  // A reload came before the answer did.
  if (kept && kept.body.sale_id === session.sale_id) void follow(kept, kept.body.items[0]?.sku ?? '');
}

function liveUrl(sale_id: string): string {
  const url = new URL(`/v1/sales/${encodeURIComponent(sale_id)}/live`, location.href);
  url.protocol = url.protocol.replace('http', 'ws');
  return url.href;
}

function waitingMessage(problem: Problem | undefined): Message {
  const { title } = problem ? messageFor(problem) : { title: 'No answer yet' };
  return { title, text: 'We keep asking with the same key, so you cannot buy twice. Leave this page open.' };
}

function unsettledMessage(problem: Problem | undefined): Message {
  const { title } = problem ? messageFor(problem) : { title: 'No answer came' };
  return {
    title,
    text: 'Whether you bought it is not known yet. Try again finds out: it uses the same key, so you cannot buy twice.',
    next: 'try_again',
  };
}

function showPageProblem(problem: Problem | undefined): void {
  const notice = byId('page-notice');
  notice.hidden = !problem;
  if (!problem) return;
  const { title, text } = messageFor(problem);
  setText(notice, `${title}. ${text}`);
}
