/** Starts the page: who buys in which sale, then the shop. */
import { type Api, createApi } from './api.ts';
import { keepIn } from './purchase.ts';
import { createServerClock } from './server-clock.ts';
import { forgetToken, openSession } from './session.ts';
import { openShop } from './shop.ts';
import { byId, h } from './view/dom.ts';

const stores = { tab: sessionStorage, browser: localStorage };
/** A refused token is renewed once a page; twice would go on for ever. */
const RENEWED = 'stampede.renewed';
/** For a way back that names an order alone. */
const LAST_SALE = 'stampede.sale';

async function start(): Promise<void> {
  const session = await openSession({ location, history }, stores, fetch.bind(globalThis));
  const clock = createServerClock();
  const api = createApi({ clock, token: () => session.token });
  const sale_id =
    (session.order_id && (await saleOfOrder(api, session.order_id))) ?? session.sale_id ?? lastSale();
  if (!sale_id) {
    sayWhatIsNeeded();
    return;
  }
  sessionStorage.setItem(LAST_SALE, sale_id);
  await openShop({
    session: { ...session, sale_id },
    api,
    clock,
    keeper: keepIn(sessionStorage),
    store: localStorage,
    renew() {
      if (sessionStorage.getItem(RENEWED)) return;
      sessionStorage.setItem(RENEWED, 'yes');
      forgetToken(stores);
      location.reload();
    },
    onServing: () => sessionStorage.removeItem(RENEWED),
  });
}

function lastSale(): string | undefined {
  return sessionStorage.getItem(LAST_SALE) ?? undefined;
}

/** Undefined where the order is not this buyer's, or nobody answers: its receipt then says so. */
async function saleOfOrder(api: Api, order_id: string): Promise<string | undefined> {
  const answer = await api.order(order_id);
  return answer.kind === 'ok' ? answer.body.sale_id : undefined;
}

function sayWhatIsNeeded(): void {
  const notice = byId('page-notice');
  notice.hidden = false;
  notice.replaceChildren(
    h('strong', {}, 'Which sale?'),
    ' Open this page as ',
    h('code', {}, '/?sale=ID#token=JWT'),
    ' with the id of a sale and a buyer’s token. Without a token you can look, but not buy.',
  );
}

await start();
