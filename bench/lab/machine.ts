/** Where and of what a result was measured: without it a figure says nothing. */
import { execFileSync } from 'node:child_process';
import { cpus, release, totalmem } from 'node:os';
import { projectFolder } from '../../platform/local/project.ts';

export type Machine = {
  cpu: string;
  cores: number;
  memory_gib: number;
  kernel: string;
  node: string;
  commit: string;
  /** The tree had changes that no commit has. */
  dirty: boolean;
};

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memory_gib: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    commit: git('rev-parse', '--short', 'HEAD') || 'unknown',
    // What the bench itself writes is no change of what it measures.
    dirty: git('status', '--porcelain', '--', '.', ':(exclude)bench/results') !== '',
  };
}

/** Empty where there is no git or no repository. */
function git(...args: string[]): string {
  try {
    return execFileSync('git', args, { cwd: projectFolder(), stdio: ['ignore', 'pipe', 'ignore'] })
      .toString()
      .trim();
  } catch {
    return '';
  }
}
