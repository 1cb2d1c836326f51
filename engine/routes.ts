/** Every way in: the table. What each route is for is said in docs/operations.ts. */

import type { Signer } from '../ledger/certificate/sign.ts';
import { auditHandler } from './handlers/admin-audit.ts';
import { certificateHandler } from './handlers/admin-certificate.ts';
import { adminOrderHandlers } from './handlers/admin-orders.ts';
import { adminRebuildHandlers } from './handlers/admin-rebuild.ts';
import { adminSaleHandlers } from './handlers/admin-sales.ts';
import { adminStockHandlers } from './handlers/admin-stock.ts';
import type { CheckoutObserver } from './handlers/checkout.ts';
import { checkoutHandlers } from './handlers/checkout.ts';
import { demoHandler } from './handlers/demo.ts';
import { docsHandlers } from './handlers/docs.ts';
import { merchantWebhookHandlers, type WebhookSettings } from './handlers/merchant-webhooks.ts';
import { type OperationsServices, operationsHandlers } from './handlers/operations.ts';
import { orderHandlers } from './handlers/orders.ts';
import { paymentHandlers } from './handlers/payment.ts';
import { saleHandlers } from './handlers/sales.ts';
import type { Services } from './handlers/services.ts';
import { webhookHandler } from './handlers/webhooks.ts';
import { LIVE_PATH } from './live/live-endpoint.ts';
import { refuse } from './reply.ts';
import { del, get, patch, post, postRaw, type Route } from './route.ts';
import { refundBody, returnBody, shipmentBody } from './schemas/order-requests.ts';
import {
  checkoutBody,
  confirmBody,
  initiateBody,
  lockBody,
  noBody,
  saleBody,
  stockChangeBody,
} from './schemas/requests.ts';
import { webhookChangeBody, webhookEndpointBody, webhookReplayBody } from './schemas/webhook-requests.ts';
import type { StaticFiles } from './static-files.ts';

export type RouteOptions = {
  services: Services;
  operations: OperationsServices;
  observe: CheckoutObserver;
  /** Told of each checkout of somebody who has to pause. */
  pausedRefused: () => void;
  webhooks: WebhookSettings;
  /** Vouches for certificates of sales. */
  signer?: Signer;
  /** Where there is a demo sale and a secret to sign with. */
  demo?: { jwt_secret: string; sale_id: string };
};

export function createRoutes(options: RouteOptions): { routes: Route[]; docs_files: StaticFiles } {
  const { services } = options;
  const take = checkoutHandlers(services, options);
  const orders = orderHandlers(services);
  const payment = paymentHandlers(services);
  const sales = saleHandlers(services);
  const adminSales = adminSaleHandlers(services);
  const adminStock = adminStockHandlers(services);
  const adminRebuild = adminRebuildHandlers(services);
  const adminOrders = adminOrderHandlers(services);
  const webhooks = merchantWebhookHandlers(services, options.webhooks);
  const operations = operationsHandlers(options.operations);
  const docs = docsHandlers(() => routes);
  const notUpgraded = () =>
    refuse('invalid_request', { detail: 'Connect with a WebSocket.', members: { errors: [] } });

  // biome-ignore format: a table reads better with a row a line
  const routes: Route[] = [
    post({ id: 'checkout', path: '/v1/checkout', access: 'buyer', keyed: true, limited: 'buyer', body: checkoutBody, handler: take.checkout }),
    post({ id: 'lock', path: '/v1/inventory/lock', access: 'buyer', keyed: true, limited: 'buyer', body: lockBody, handler: take.lock }),
    post({ id: 'initiate', path: '/v1/payment/initiate', access: 'buyer', keyed: true, body: initiateBody, handler: payment.initiate }),
    post({ id: 'confirm', path: '/v1/checkout/confirm', access: 'buyer', body: confirmBody, handler: orders.confirm }),
    get({ id: 'order', path: '/v1/orders/{id}', access: 'buyer', handler: orders.order }),
    post({ id: 'cancel', path: '/v1/orders/{id}/cancel', access: 'buyer', body: noBody, handler: orders.cancel }),

    get({ id: 'sale', path: '/v1/sales/{id}', access: 'all', handler: sales.sale }),
    get({ id: 'live', path: LIVE_PATH, access: 'all', handler: notUpgraded }),
    get({ id: 'inventory', path: '/v1/inventory/{sku}', access: 'all', handler: sales.inventory }),

    postRaw({ id: 'webhook', path: '/v1/webhooks/{psp}', access: 'all', limited: 'not', handler: webhookHandler(services) }),

    post({ id: 'create_webhook', path: '/v1/merchant/webhooks', access: 'merchant', body: webhookEndpointBody, handler: webhooks.create }),
    get({ id: 'list_webhooks', path: '/v1/merchant/webhooks', access: 'merchant', handler: webhooks.list }),
    get({ id: 'webhook_endpoint', path: '/v1/merchant/webhooks/{id}', access: 'merchant', handler: webhooks.one }),
    patch({ id: 'change_webhook', path: '/v1/merchant/webhooks/{id}', access: 'merchant', body: webhookChangeBody, handler: webhooks.change }),
    del({ id: 'delete_webhook', path: '/v1/merchant/webhooks/{id}', access: 'merchant', handler: webhooks.remove }),
    post({ id: 'rotate_webhook', path: '/v1/merchant/webhooks/{id}/rotate', access: 'merchant', body: noBody, handler: webhooks.rotate }),
    post({ id: 'test_webhook', path: '/v1/merchant/webhooks/{id}/test', access: 'merchant', body: noBody, handler: webhooks.test }),
    post({ id: 'replay_webhook', path: '/v1/merchant/webhooks/{id}/replay', access: 'merchant', body: webhookReplayBody, handler: webhooks.replay }),

    post({ id: 'create_sale', path: '/v1/admin/sales', access: 'admin', body: saleBody, handler: adminSales.create }),
    post({ id: 'open', path: '/v1/admin/sales/{id}/open', access: 'admin', body: noBody, handler: adminSales.gate('open') }),
    post({ id: 'pause', path: '/v1/admin/sales/{id}/pause', access: 'admin', body: noBody, handler: adminSales.gate('pause') }),
    post({ id: 'resume', path: '/v1/admin/sales/{id}/resume', access: 'admin', body: noBody, handler: adminSales.gate('resume') }),
    post({ id: 'close', path: '/v1/admin/sales/{id}/close', access: 'admin', body: noBody, handler: adminSales.gate('close') }),
    post({ id: 'topup', path: '/v1/admin/sales/{id}/topup', access: 'admin', keyed: true, body: stockChangeBody, handler: adminStock.topup }),
    post({ id: 'reduce', path: '/v1/admin/sales/{id}/reduce', access: 'admin', keyed: true, body: stockChangeBody, handler: adminStock.reduce }),
    get({ id: 'audit', path: '/v1/admin/sales/{id}/audit', access: 'admin', handler: auditHandler(services) }),
    get({ id: 'certificate', path: '/v1/admin/sales/{id}/certificate', access: 'admin', handler: certificateHandler(services, options.signer) }),
    post({ id: 'rebuild', path: '/v1/admin/sales/{id}/rebuild', access: 'admin', body: noBody, handler: adminRebuild.request }),
    get({ id: 'rebuild_progress', path: '/v1/admin/sales/{id}/rebuild', access: 'admin', handler: adminRebuild.progress }),

    get({ id: 'admin_orders', path: '/v1/admin/orders', access: 'admin', handler: adminOrders.list }),
    get({ id: 'admin_order', path: '/v1/admin/orders/{id}', access: 'admin', handler: adminOrders.order }),
    post({ id: 'refund', path: '/v1/admin/orders/{id}/refund', access: 'admin', keyed: true, body: refundBody, handler: adminOrders.refund }),
    post({ id: 'ship', path: '/v1/admin/orders/{id}/ship', access: 'admin', body: shipmentBody, handler: adminOrders.ship }),
    post({ id: 'deliver', path: '/v1/admin/orders/{id}/deliver', access: 'admin', body: noBody, handler: adminOrders.deliver }),
    post({ id: 'return', path: '/v1/admin/orders/{id}/return', access: 'admin', keyed: true, body: returnBody, handler: adminOrders.giveBack }),

    get({ id: 'livez', path: '/livez', access: 'all', limited: 'not', handler: operations.live }),
    get({ id: 'readyz', path: '/readyz', access: 'all', limited: 'not', handler: operations.ready }),
    get({ id: 'metrics', path: '/metrics', access: 'all', limited: 'not', handler: operations.metrics }),
    get({ id: 'openapi', path: '/openapi.json', access: 'all', handler: docs.openapi }),
    get({ id: 'docs', path: '/docs', access: 'all', handler: docs.docs }),
    get({ id: 'problems', path: '/docs/problems', access: 'all', handler: docs.problems }),
  ];
  if (options.demo) {
    routes.push(
      post({
        id: 'demo_session',
        path: '/demo/session',
        access: 'all',
        body: noBody,
        handler: demoHandler(options.demo),
      }),
    );
  }
  return { routes, docs_files: docs.files };
}
