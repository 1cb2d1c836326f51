/**
 * Sequences with a thread through them: commands that lead somewhere only one right after the other, which chance alone
 * brings together too seldom. A story is a few plain commands among the others; what is between two stories, and within
 * each where it breaks off, is drawn.
 */
import fc from 'fast-check';
import { type Command, command, type Role, reservation, wishes } from './commands.ts';
import type { Interruption } from './interrupt.ts';

type Story = fc.Arbitrary<Command[]>;

const pick = fc.nat({ max: 999 });
const engine = fc.constantFrom(0 as const, 1 as const);
const work = (worker: 0 | 1, role: Role, interruption: Interruption | null = null): Command => ({
  ...{ do: 'work', worker, role, interruption },
});
const ingest = (worker: 0 | 1): Command => work(worker, 'ingest');
const memory = (what: 'copy' | 'restore' | 'lose' | 'promote'): Command => ({
  ...{ do: 'memory', what, process: false },
});
const retry = fc
  .record({ engine, pick }, { noNullPrototype: true })
  .map((asked): Command => ({ do: 'retry', ...asked, altered: false, lost: false }));
const ended = fc
  .record({ deed: fc.constantFrom('cancel' as const, 'expire' as const), pick }, { noNullPrototype: true })
  .map((order): Command => ({ do: 'order', ...order }));

/** At a call within a step: short ones have ten calls or twenty, a rebuild has some seventy. */
function broken(
  kinds: readonly Interruption['kind'][],
  from: number,
  to: number,
): fc.Arbitrary<Interruption> {
  return fc.record(
    {
      kind: fc.constantFrom(...kinds),
      after_calls: fc.integer({ min: from, max: to }),
      when: fc.constantFrom('before' as const, 'after' as const),
    },
    { noNullPrototype: true },
  );
}

/** What was bought and read is forgotten, and asked for again before and after anybody has looked at the memory. */
const forgotten: Story = fc
  .tuple(reservation, reservation, retry, retry, fc.constantFrom('restore' as const, 'lose' as const))
  .map(([first, second, again, later, how]) => [
    ...[memory('copy'), first, second, ingest(0), ingest(0), memory(how)],
    ...[again, ingest(1), ingest(1), later],
  ]);

/** A batch of movements is applied by one who dies or stands still with it, and taken up by another. */
const takenUp: Story = fc
  .tuple(reservation, ended, broken(['crash', 'pause'], 6, 18), ended, fc.boolean())
  .map(([first, end, interruption, other, promoted]) => [
    ...[first, ingest(0), end, work(0, 'release', interruption)],
    ...(promoted ? [memory('promote'), ingest(1), ingest(1)] : [other]),
    ...[work(1, 'release'), { do: 'wake', worker: 0 } as const, work(1, 'release'), ingest(1)],
  ]);

/** A gate is shut, and forgotten before anybody has read of it. */
const gateForgotten: Story = fc
  .tuple(fc.constantFrom('pause' as const, 'close' as const, 'pause' as const), reservation)
  .map(([action, asked]) => [
    ...[ingest(0), ingest(0), memory('copy'), { do: 'gate', action, taken: true } as const],
    ...[memory('restore'), ingest(0), asked, work(0, 'release'), ingest(0)],
    { do: 'gate', action: 'resume', taken: true } as const,
  ]);

/** Two read the same entries. */
const readTwice: Story = fc
  .tuple(reservation, broken(['pause'], 1, 9), reservation)
  .map(([first, interruption, second]) => [
    ...[first, work(0, 'ingest', interruption), ingest(1), second, ingest(1)],
    { do: 'wake', worker: 0 },
    ingest(0),
  ]);

/** A rebuild stands still in its middle; buyers come, and another one may finish it meanwhile. */
const lateRebuild: Story = fc
  .tuple(reservation, ended, broken(['pause', 'pause', 'crash'], 3, 60), wishes, retry, fc.boolean())
  .map(([first, end, interruption, asked, again, finished]) => [
    ...[first, ingest(0), end, work(0, 'seal'), { do: 'rebuild' } as const],
    ...[work(0, 'discover'), work(0, 'ingest', interruption)],
    { do: 'reserve', engine: 0, wishes: asked, lost: false } as const,
    ...(finished ? [work(1, 'discover'), ingest(1), ingest(1), ingest(1)] : []),
    ...[again, { do: 'wake', worker: 0 } as const, ingest(0), ingest(0), again],
  ]);

/** A batch is applied to a memory that is replaced before the batch is acknowledged. */
const replaced: Story = fc
  .tuple(reservation, ended, broken(['pause'], 6, 18), fc.constantFrom('restore' as const, 'lose' as const))
  .map(([first, end, interruption, how]) => [
    ...[first, ingest(0), memory('copy'), end, work(0, 'release', interruption), memory(how)],
    ...[ingest(1), ingest(1), { do: 'wake', worker: 0 } as const, work(1, 'release'), ingest(1)],
  ]);

/** Commands one by one, and now and then a story. */
export function histories(commands_max: number): fc.Arbitrary<Command[]> {
  const one = command().map((only) => [only]);
  const story = fc.oneof(forgotten, takenUp, gateForgotten, readTwice, lateRebuild, replaced);
  const chapter = fc.oneof({ weight: 14, arbitrary: one }, { weight: 1, arbitrary: story });
  return fc
    .array(chapter, { minLength: 8, maxLength: commands_max, size: 'max' })
    .map((chapters) => chapters.flat());
}
