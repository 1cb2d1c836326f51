/** The shop: a sale kept up to date, and around it the shelf, the till and the orders. */
import type { Api } from './api.ts';
import type { Problem, Sale } from './api-types.ts';
import { followLive, type StockUpdate } from './live.ts';
import { messageFor, type NextStep } from './messages.ts';
import { myOrders } from './my-orders.ts';
import { openOrders } from './orders.ts';
import type { PurchaseKeeper } from './purchase.ts';
import type { ServerClock } from './server-clock.ts';
import type { Session } from './session.ts';
import { createShelf } from './shelf.ts';
import { createStockMemory } from './stock-memory.ts';
import { createTill, type Lines } from './till.ts';
import { byId, setText } from './view/dom.ts';
import { createMasthead } from './view/masthead.ts';
import { createPayForm, DEMO_ADDRESS } from './view/pay-form.ts';

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

const TICK_MS = 250;

export async function openShop(options: ShopOptions): Promise<void> {
  const { session, api, clock, keeper, store } = options;
  const { sale_id } = session;
  const masthead = createMasthead();
  const pay = createPayForm(store, session.email);
  const shelf = createShelf({
    place: byId('lanes'),
    memory: createStockMemory(sessionStorage, sale_id),
    may_buy: session.token !== undefined,
    onBuy: (sku, qty) => void till.buy(sku, qty),
    onNext: takeStep,
    onStop: () => till.stop(),
  });
  const till = createTill({
    ...{ sale_id, keeper, shelf },
    send: api.checkout,
    fill: pay.read,
    onBought(accepted) {
      orders.add(accepted);
      void readSale();
    },
    onRefused,
  });
  let sale: Sale | undefined;

  function show(next: Sale): void {
    sale = next;
    masthead.show(next);
    shelf.show(next);
  }

  async function readSale(): Promise<void> {
    const answer = await api.sale(sale_id);
    if (answer.kind === 'ok') {
      options.onServing();
      showPageProblem(undefined);
      show(answer.body);
    } else if (answer.kind === 'refused' && answer.problem.code === 'unauthorized') {
      options.renew();
      showPageProblem(answer.problem);
    } else if (!sale) {
      showPageProblem(answer.kind === 'refused' ? answer.problem : { code: 'unavailable', status: 503 });
    }
  }

  function applyUpdate({ state, items: changed }: StockUpdate): void {
    if (!sale) return;
    const told = new Map(changed.map((item) => [item.sku, item]));
    const items = sale.items.map((item) => ({ ...item, ...told.get(item.sku) }));
    // With a change of state its times may have changed, too.
    if (state && state !== sale.state) void readSale();
    show({ ...sale, state: state ?? sale.state, items });
  }

  function onRefused(lines: Lines, problem: Problem): void {
    // Sold out, said by the script that decides: none left and none held.
    const gone = problem.code === 'sold_out' ? (problem.short ?? []) : [];
    const empty = gone.filter(({ available }) => available === 0 && lines.length === 1);
    if (empty.length > 0) applyUpdate({ items: empty.map(({ sku }) => ({ sku, available: 0, held: 0 })) });
    // What was refused may be news: a sale that closed, stock that fell.
    void readSale();
  }

  function takeStep(sku: string, step: NextStep): void {
    if (step === 'try_again') void till.buy(sku, shelf.qtyOf(sku));
    else takeStepAtOrder(step);
  }

  function takeStepAtOrder(step: NextStep): void {
    if (step === 'new_session') options.renew();
    else if (step === 'reload') location.reload();
    else if (step === 'see_orders') byId('orders-title').focus();
    else pay.focus();
  }

  if (session.demo) pay.fill(DEMO_ADDRESS);
  byId('look-only').hidden = session.token !== undefined;
  await readSale();
  // After the sale, which knows the names of what was bought.
  const orders = openOrders({
    api,
    mine: myOrders(store, sale_id, session.buyer ?? ''),
    nameOf: (sku) => sale?.items.find((item) => item.sku === sku)?.name ?? sku,
    speak: (text) => setText(byId('spoken'), text),
    onBuyAgain: (lines, payment_method, desk) => void till.buyAgain(lines, payment_method, desk),
    onNext: takeStepAtOrder,
    onStop: () => till.stop(),
  });
  if (session.order_id) orders.bring(session.order_id);
  followLive({
    url: session.may_watch ? liveUrl(sale_id) : undefined,
    onUpdate: applyUpdate,
    onLink: masthead.showLink,
    poll: readSale,
  });
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) return;
    void readSale();
    orders.look();
  });
  // Back from a bank's page by the browser's own way: the page was asleep.
  addEventListener('pageshow', ({ persisted }) => persisted && orders.look());
  setInterval(() => {
    const now_ms = clock.now();
    if (now_ms === undefined) return;
    for (const part of [masthead, shelf, orders]) part.tick(now_ms);
  }, TICK_MS);
  await till.resume();
}

function liveUrl(sale_id: string): string {
  const url = new URL(`/v1/sales/${encodeURIComponent(sale_id)}/live`, location.href);
  url.protocol = url.protocol.replace('http', 'ws');
  return url.href;
}

function showPageProblem(problem: Problem | undefined): void {
  const notice = byId('page-notice');
  notice.hidden = !problem;
  if (!problem) return;
  const { title, text } = messageFor(problem);
  setText(notice, `${title}. ${text}`);
}
