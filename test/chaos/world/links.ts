/** Every connection between two parts leads through a proxy of its own, so that each can be broken alone. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { ProxyTrouble, Target } from '../../support/tcp-proxy.ts';

export type LinkCall =
  | { what: 'open'; name: string; target: Target }
  | { what: 'reset'; name: string }
  | { what: 'retarget'; name: string; target: Target }
  | { what: 'trouble'; name: string; trouble: ProxyTrouble }
  | { what: 'heal'; id: number };
export type Asked = { id: number; call: LinkCall };

export type Links = {
  names(): string[];
  /** Makes the link `name`, and returns the port at which it is reached. */
  open(name: string, target: Target): Promise<number>;
  /** Resets every connection of it. */
  reset(name: string): Promise<void>;
  /** Connections made from now on lead there. */
  retarget(name: string, target: Target): Promise<void>;
  /** Returns what heals it. */
  trouble(name: string, trouble: ProxyTrouble): Promise<() => Promise<void>>;
  portOf(name: string): number;
  close(): Promise<void>;
};

const PROCESS = fileURLToPath(new URL('./links-process.ts', import.meta.url));

export function createLinks(): Links {
  const child = fork(PROCESS, [], { execArgv: ['--import', 'tsx'] });
  const ports = new Map<string, number>();
  const waiting = new Map<number, (port: number | undefined) => void>();
  let asked = 0;
  child.on('message', ({ id, port }: { id: number; port?: number }) => {
    waiting.get(id)?.(port);
    waiting.delete(id);
  });
  const ask = (call: LinkCall): { id: number; done: Promise<number | undefined> } => {
    const id = asked++;
    const done = new Promise<number | undefined>((resolve) => waiting.set(id, resolve));
    child.send({ id, call } satisfies Asked);
    return { id, done };
  };
  const tell = async (call: LinkCall): Promise<void> => {
    await ask(call).done;
  };
  return {
    names: () => [...ports.keys()],
    async open(name, target) {
      const port = (await ask({ what: 'open', name, target }).done) as number;
      ports.set(name, port);
      return port;
    },
    reset: (name) => tell({ what: 'reset', name }),
    retarget: (name, target) => tell({ what: 'retarget', name, target }),
    async trouble(name, trouble) {
      const { id, done } = ask({ what: 'trouble', name, trouble });
      await done;
      return () => tell({ what: 'heal', id });
    },
    portOf(name) {
      const port = ports.get(name);
      if (port === undefined) throw new Error(`no link ${name}`);
      return port;
    },
    async close() {
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
  };
}

export const local = (port: number): Target => ({ host: '127.0.0.1', port });
