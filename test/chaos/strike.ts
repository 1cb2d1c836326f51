/** Faults, one after another or two at a time, until the time is over; each with a moment to recover. */
import { setTimeout as sleep } from 'node:timers/promises';
import { seeded } from '../../payments/sandbox/seeded.ts';
import type { FaultLine } from './checker/lines.ts';
import type { Fault, FaultContext, Struck } from './faults/fault.ts';
import { schedule } from './faults/schedule.ts';
import type { History } from './history.ts';
import type { World } from './world/world.ts';

export type StrikeOptions = {
  world: World;
  history: History;
  seed: number;
  faults: readonly Fault[];
  /** Stops when it says so: after so many faults, or when the time is over. */
  over: (struck: number) => boolean;
  /** Resolves when every sale gives final answers again to what was sent after `since` (of the history); false: not in time. */
  recovered: (since_ms: number) => Promise<boolean>;
  pause_ms: number;
  progress: (line: FaultLine) => void;
};

/** Two of a pair begin at most so long after each other. */
const APART_MS = 1_500;

/** Returns how many faults there were. */
export async function strike(options: StrikeOptions): Promise<FaultLine[]> {
  const { world, history, seed } = options;
  const struck: FaultLine[] = [];
  const random = seeded(seed);
  let count = 0;
  for (const round of schedule(options.faults, random)) {
    if (options.over(struck.length)) return struck;
    const first = count;
    const lines = await Promise.all(
      round.map(async (fault, place): Promise<FaultLine> => {
        const no = count++;
        // Each has draws of its own: what one does with them moves nothing for those after it.
        const draws = seeded(seed * 7_919 + no);
        await sleep(place * APART_MS * draws());
        const from = history.now_ms();
        const { detail, loss, failed } = await struckBy(fault, {
          ...{ world, random: draws, now_ms: history.now_ms, sleep },
        });
        return {
          ...{ t: 'fault', no, class: fault.class, name: fault.name, detail, from, to: history.now_ms() },
          ...(round.length > 1 && { pair: place === 0 ? first + 1 : first }),
          promise: loss ? 'unsaved' : 'all',
          ...(loss && { lost_from: loss.from, lost_until: loss.until }),
          ...(failed && { failed }),
        };
      }),
    );
    const healed = history.now_ms();
    const recovered = await options.recovered(healed);
    for (const line of lines) {
      if (recovered) line.recovered_ms = Math.round(history.now_ms() - healed);
      history.write(line);
      options.progress(line);
      struck.push(line);
    }
    await sleep(options.pause_ms);
  }
  return struck;
}

/** One that could not be carried out does not count; what it may have cost until then does. */
async function struckBy(fault: Fault, context: FaultContext): Promise<Struck & { failed?: true }> {
  const from = context.now_ms();
  try {
    return await fault.strike(context);
  } catch (error) {
    const { redis, postgres, sandbox, engines, reconcilers } = context.world;
    const parts = [redis.primary().process, postgres, sandbox, ...engines, ...reconcilers];
    await Promise.all(parts.map((part) => part.start()));
    return { detail: `failed: ${error}`, loss: { from, until: context.now_ms() }, failed: true };
  }
}
