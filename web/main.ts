/** Starts the page: who buys in which sale, then the shop. */
import { createApi } from './api.ts';
import { keepIn } from './purchase.ts';
import { createServerClock } from './server-clock.ts';
import { forgetToken, openSession } from './session.ts';
import { openShop } from './shop.ts';
import { byId, h } from './view/dom.ts';

const stores = { tab: sessionStorage, browser: localStorage };
/** A refused token is renewed once a page; twice would go on for ever. */
const RENEWED = 'stampede.renewed';

async function start(): Promise<void> {
  const session = await openSession({ location, history }, stores, fetch.bind(globalThis));
  if (!session.sale_id) {
    sayWhatIsNeeded();
    return;
  }
  const clock = createServerClock();
  await openShop({
    session: { ...session, sale_id: session.sale_id },
    api: createApi({ clock, token: () => session.token }),
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
