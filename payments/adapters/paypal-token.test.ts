import { expect, test } from 'vitest';
import type { JsonAnswer } from '../http-json.ts';
import { createAccessToken } from './paypal-token.ts';

function provider(...answers: JsonAnswer[]) {
  let asked = 0;
  const client = {
    call: async (): Promise<JsonAnswer> => {
      const answer = answers[Math.min(asked, answers.length - 1)];
      asked += 1;
      return answer;
    },
    close: () => {},
  };
  return { client, asked: () => asked };
}

const granted = (access_token: string, expires_in: unknown = 3_600): JsonAnswer => ({
  kind: 'answer',
  http_status: 200,
  body: { access_token, expires_in },
});
const credentials = { client_id: 'id', client_secret: 'secret' };

test('whoever needs it at the same time asks once, and until a minute before its end nobody asks again', async () => {
  let now_ms = 0;
  const { client, asked } = provider(granted('a'), granted('b'));
  const token = createAccessToken(client, credentials, () => now_ms);
  const both = await Promise.all([token.get(), token.get()]);
  expect(both).toEqual(Array(2).fill({ kind: 'granted', access_token: 'a' }));
  now_ms = 3_539_999;
  expect(await token.get()).toMatchObject({ access_token: 'a' });
  expect(asked()).toBe(1);
  now_ms = 3_540_000;
  expect(await token.get()).toMatchObject({ access_token: 'b' });
});

test('one that was refused is forgotten, not one that came meanwhile', async () => {
  const { client } = provider(granted('a'), granted('b'), granted('c'));
  const token = createAccessToken(client, credentials, () => 0);
  await token.get();
  token.forget('a');
  expect(await token.get()).toMatchObject({ access_token: 'b' });
  token.forget('a');
  expect(await token.get()).toMatchObject({ access_token: 'b' });
});

test('one without an end is used once; what is no token is none', async () => {
  const { client, asked } = provider(granted('a', 'soon'));
  const token = createAccessToken(client, credentials, () => 0);
  await token.get();
  await token.get();
  expect(asked()).toBe(2);
  for (const bad of [
    granted(''),
    granted('a\r\nx: y'),
    { ...granted('a'), http_status: 500 } as JsonAnswer,
  ]) {
    const none = createAccessToken(provider(bad).client, credentials);
    expect((await none.get()).kind).toBe('none');
  }
});
