/** What the local stack takes from the environment. */
import { resolve } from 'node:path';
import { type Config, loadConfig } from '../config.ts';

export type LocalSettings = Omit<Config, 'reconciler_port' | 'sandbox_port'> & {
  /** Undefined: any free one, remembered. */
  reconciler_port?: number;
  sandbox_port?: number;
};

/** Throws ConfigError: one line that names the variable. Checks all of them, also those only the parts read. */
export function localSettings(env: NodeJS.ProcessEnv): LocalSettings {
  const config = loadConfig({ ...env, LOCAL_STACK: '1' });
  return {
    ...config,
    data_dir: resolve(config.data_dir),
    reconciler_port: env.RECONCILER_PORT ? config.reconciler_port : undefined,
    sandbox_port: env.SANDBOX_PORT ? config.sandbox_port : undefined,
  };
}
