import { expect, test } from 'vitest';
import { createTurns } from './turns.ts';

/** Work that ends when it is told to. */
function held(name: string, began: string[]) {
  let end: () => void = () => {};
  const over = new Promise<void>((resolve) => {
    end = resolve;
  });
  const work = async () => {
    began.push(name);
    await over;
    return name;
  };
  return { work, end };
}

test('so many at once, then urgent ones, then the others in their order; a failure gives its turn back, too', async () => {
  const turns = createTurns(2);
  const began: string[] = [];
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => held(name, began));
  const running = [a, b, c].map((one) => turns(one!.work));
  const failing = turns(
    () => {
      began.push('fails');
      return Promise.reject(new Error('no'));
    },
    { urgent: true },
  ).catch((error: Error) => error.message);
  running.push(turns(d!.work, { urgent: true }));
  await Promise.resolve();
  expect(began).toEqual(['a', 'b']);

  a!.end();
  expect(await running[0]).toBe('a');
  expect(await failing).toBe('no');
  await new Promise((resolve) => setImmediate(resolve));
  expect(began).toEqual(['a', 'b', 'fails', 'd']);
  d!.end();
  b!.end();
  await new Promise((resolve) => setImmediate(resolve));
  expect(began).toEqual(['a', 'b', 'fails', 'd', 'c']);
  c!.end();
  expect(await Promise.all(running)).toEqual(['a', 'b', 'c', 'd']);
});
