/** Where merchants may have webhooks sent: by the API, when an endpoint is made and when it is changed. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestEngine, type TestEngine } from '../support/engine.ts';

let t: TestEngine;
let made: string;
beforeAll(async () => {
  t = await startTestEngine({ env: { WEBHOOK_SIGNING_KEY: 'a-signing-key-for-tests-that-nobody-guesses' } });
  const { body } = await t.call('POST', '/v1/merchant/webhooks', { token: t.admin, body: { url: FINE } });
  made = body.id;
});
afterAll(() => t.stop());

const FINE = 'https://hooks.shop.example/stampede';

const INSIDE: readonly string[] = [
  ...[
    'http://hooks.shop.example/',
    'ftp://hooks.shop.example/',
    'file:///etc/passwd',
    'gopher://127.0.0.1:6379/_x',
  ],
  ...[
    'https://127.0.0.1/',
    'https://127.1/',
    'https://2130706433/',
    'https://0x7f.1/',
    'https://0177.0.0.1/',
    'https://0/',
  ],
  ...['https://localhost/', 'https://LOCALHOST./', 'https://a.localhost/', 'https://[::1]/', 'https://[::]/'],
  ...[
    'https://[::ffff:127.0.0.1]/',
    'https://[::ffff:7f00:1]/',
    'https://[64:ff9b::7f00:1]/',
    'https://[2002:7f00:1::]/',
  ],
  ...[
    'https://10.0.0.1/',
    'https://172.16.0.1/',
    'https://172.31.255.255/',
    'https://192.168.0.1/',
    'https://100.64.0.1/',
  ],
  ...[
    'https://169.254.169.254/latest/meta-data',
    'https://[fd00:ec2::254]/',
    'https://metadata.google.internal/',
    'https://metadata/',
  ],
  ...[
    'https://[fe80::1]/',
    'https://[fc00::1]/',
    'https://224.0.0.1/',
    'https://255.255.255.255/',
    'https://[ff02::1]/',
  ],
  ...[
    'https://user:pass@hooks.shop.example/',
    'https://hooks.shop.example:22/',
    'https://hooks.shop.example:25/',
  ],
  ...[
    'https://hooks.shop.example#@127.0.0.1/',
    'https://hooks.shop.example\\@127.0.0.1/',
    'https://①②⑦.⓪.⓪.①/',
  ],
  ...[
    `https://hooks.shop.example/\r\nHost: 127.0.0.1`,
    'https://hooks.shop.example/ x',
    '//hooks.shop.example/',
    'x',
    ' ',
  ],
];

describe('a target that is inside, or read otherwise by others', () => {
  it.each(INSIDE)('%j is 400, and nothing is stored', async (url) => {
    for (const [method, path] of [
      ['POST', '/v1/merchant/webhooks'],
      ['PATCH', `/v1/merchant/webhooks/${made}`],
    ] as const) {
      const { status, body } = await t.call(method, path, { token: t.admin, body: { url } });
      expect([method, status, body.errors?.[0].path]).toEqual([method, 400, '/url']);
    }
    const { rows } = await t.db.query('SELECT url FROM webhook_endpoints WHERE tenant = $1', [t.tenant]);
    expect(rows).toEqual([{ url: FINE }]);
  });
});
