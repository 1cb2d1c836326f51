import { afterAll, beforeAll, expect, it } from 'vitest';
import { startTestEngine, type TestEngine } from '../test/support/engine.ts';

let t: TestEngine;
beforeAll(async () => {
  t = await startTestEngine();
});
afterAll(() => t.stop());

const posted = (path: string) =>
  fetch(`${t.url}${path}`, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: 'razorpay_payment_id=pay_1&razorpay_signature=forged',
  });

it('a buyer whom a provider leads back with a form is led to the page, with the order and nothing else', async () => {
  const answer = await posted('/?order=ord_1&next=https://evil.example');
  expect([answer.status, answer.headers.get('location')]).toEqual([303, '/?order=ord_1']);
  expect((await posted('/')).headers.get('location')).toBe('/');
  expect((await posted('/?order=%0d%0aSet-Cookie:x=1//evil')).headers.get('location')).toBe(
    '/?order=%0D%0ASet-Cookie%3Ax%3D1%2F%2Fevil',
  );
});

it('a form for any other page is none of ours', async () => {
  for (const path of ['/main.js', '//evil.example', '/pay']) expect((await posted(path)).status).toBe(404);
});
