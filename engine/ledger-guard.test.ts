import { describe, expect, it } from 'vitest';
import { createLedgerGuard, LedgerUnavailable } from './ledger-guard.ts';

const away = () =>
  Promise.reject(
    Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED', syscall: 'connect' }),
  );
const never = () => new Promise<never>(() => {});

function guarded() {
  const clock = { ms: 0 };
  return { clock, guard: createLedgerGuard({ now_ms: () => clock.ms }) };
}

describe('the guard of the ledger', () => {
  it('gives the answer, and what is no fault of the ledger as it is', async () => {
    const { guard } = guarded();
    expect(await guard.ask(async () => 7)).toBe(7);
    const bug = new Error('column does not exist');
    for (let i = 0; i < 5; i++) await expect(guard.ask(() => Promise.reject(bug))).rejects.toBe(bug);
    expect(guard.available()).toBe(true);
  });

  it('waits no longer than asked', async () => {
    await expect(guarded().guard.ask(never, 20)).rejects.toBeInstanceOf(LedgerUnavailable);
  });

  it('after three failures in a row it holds questions back, then lets one try', async () => {
    const { clock, guard } = guarded();
    let asked = 0;
    const counted = <T>(work: () => Promise<T>) =>
      guard.ask(() => {
        asked += 1;
        return work();
      });
    for (let i = 0; i < 3; i++) await expect(counted(away)).rejects.toBeInstanceOf(LedgerUnavailable);
    expect([asked, guard.available()]).toEqual([3, false]);
    await expect(counted(away)).rejects.toThrow('held back');
    expect(asked).toBe(3);

    clock.ms += 1_000;
    let answer: (value: string) => void = () => {};
    const probe = counted(
      () =>
        new Promise<string>((resolve) => {
          answer = resolve;
        }),
    );
    await expect(counted(away)).rejects.toThrow('held back');
    answer('here again');
    expect(await probe).toBe('here again');
    expect([asked, guard.available()]).toEqual([4, true]);
  });

  it('a try that fails holds them back again', async () => {
    const { clock, guard } = guarded();
    for (let i = 0; i < 3; i++) await guard.ask(away).catch(() => {});
    clock.ms += 1_000;
    await expect(guard.ask(away)).rejects.toThrow('cannot be reached');
    await expect(guard.ask(away)).rejects.toThrow('held back');
  });

  it('is bounded: a thousand wait, the next is told', async () => {
    const { guard } = guarded();
    for (let i = 0; i < 1_000; i++) guard.ask(never, 50).catch(() => {});
    await expect(guard.ask(never)).rejects.toThrow('too many');
  });
});
