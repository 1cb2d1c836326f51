/** What the engine is compared with runs as the engine does, from dist/: a translation at run time would make it slower. */
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { projectFolder } from '../../platform/local/project.ts';

/** `program`: in dist/, which `npm run bench` has brought up to date. */
export function forkBuilt(
  program: string,
  options: { env?: NodeJS.ProcessEnv; node_options?: readonly string[] } = {},
): ChildProcess {
  const { env = process.env, node_options = [] } = options;
  return fork(join(projectFolder(), 'dist', program), { execArgv: [...node_options], env });
}
