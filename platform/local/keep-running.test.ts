import { expect, test } from 'vitest';
import { type Exit, keepRunning, type Running } from './keep-running.ts';

/** A process in name only: ends when told to. */
function fakeProcess(): Running & { crash(): void; stopped: boolean } {
  let leave: (exit: Exit) => void = () => {};
  const exited = new Promise<Exit>((resolve) => {
    leave = resolve;
  });
  const fake = {
    exited,
    stopped: false,
    crash: () => leave({ code: null, signal: 'SIGKILL' }),
    async stop() {
      fake.stopped = true;
      leave({ code: 0, signal: null });
    },
  };
  return fake;
}

/** Collects lines; `heard` resolves when a line matches. */
function listener() {
  const lines: string[] = [];
  let waiting: { pattern: RegExp; resolve: () => void }[] = [];
  return {
    lines,
    say(line: string) {
      lines.push(line);
      for (const { pattern, resolve } of waiting) if (pattern.test(line)) resolve();
      waiting = waiting.filter(({ pattern }) => !pattern.test(line));
    },
    heard: (pattern: RegExp) => new Promise<void>((resolve) => waiting.push({ pattern, resolve })),
  };
}

test('a crashed process is started again, also when the next start fails at first', async () => {
  const { say, heard, lines } = listener();
  const processes = [fakeProcess(), fakeProcess()];
  let starts = 0;
  const kept = await keepRunning(
    'Redis',
    async () => {
      starts += 1;
      if (starts === 2) throw new Error('port is taken');
      return processes[starts === 1 ? 0 : 1]!;
    },
    say,
  );
  const back = heard(/runs again/);
  processes[0]!.crash();
  await back;
  expect(lines).toEqual([
    'Redis ended (SIGKILL); starting it again',
    'Redis did not start: port is taken',
    'Redis runs again',
  ]);
  await kept.stop();
  expect(processes[1]!.stopped).toBe(true);
  expect(starts).toBe(3);
});

test('a process that is stopped is not started again', async () => {
  const { say, lines } = listener();
  let starts = 0;
  const kept = await keepRunning(
    'engine',
    async () => {
      starts += 1;
      return fakeProcess();
    },
    say,
  );
  await kept.stop();
  expect({ starts, lines }).toEqual({ starts: 1, lines: [] });
});

test('one that is just starting again when the end comes is stopped as well', async () => {
  const { say } = listener();
  const [first, second] = [fakeProcess(), fakeProcess()];
  let startSecond: () => void = () => {};
  const begun = new Promise<void>((resolve) => {
    startSecond = resolve;
  });
  let release: (running: Running) => void = () => {};
  let starts = 0;
  const kept = await keepRunning(
    'engine',
    () => {
      starts += 1;
      if (starts === 1) return Promise.resolve(first);
      startSecond();
      return new Promise<Running>((resolve) => {
        release = resolve;
      });
    },
    say,
  );
  first.crash();
  await begun;
  const stopped = kept.stop();
  release(second);
  await stopped;
  expect(second.stopped).toBe(true);
});

test('a first start that fails is an error of the caller', async () => {
  const failing = keepRunning(
    'engine',
    () => Promise.reject(new Error('no')),
    () => {},
  );
  await expect(failing).rejects.toThrow('no');
});
