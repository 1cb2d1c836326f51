/** The most that one Redis answers: one command again and again, in pipelines, from a client that does next to nothing. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { cpuSeconds } from '../lab/cpu.ts';

export type Answered = { per_s: number; redis_us: number };

/** Commands on their way at once: far more than Redis needs to be busy. */
const PIPELINE = 1_000;
const WARM_UP_S = 0.5;
const NEWLINE = 0x0a;

/** `parts`: the command's words. Its answer must be one line. */
export async function pipelined(
  server: { port: number; pid: number },
  parts: readonly string[],
  seconds: number,
): Promise<Answered> {
  const socket = connect(server.port, '127.0.0.1').setNoDelay();
  await once(socket, 'connect');
  const command = parts.map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`).join('');
  const pipeline = Buffer.from(`*${parts.length}\r\n${command}`.repeat(PIPELINE));
  let answered = 0;
  let failure: Error | undefined;
  socket.on('data', (bytes: Buffer) => {
    if (bytes[0] === '-'.charCodeAt(0)) failure ??= new Error(bytes.toString('latin1', 0, 200));
    const before = answered;
    for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) answered += 1;
    // As many new ones as were answered, by whole pipelines; one is always on its way besides.
    for (let i = Math.floor(before / PIPELINE); i < Math.floor(answered / PIPELINE); i++)
      socket.write(pipeline);
  });
  const watch = async (for_s: number): Promise<Answered> => {
    const [begun, used, had] = [performance.now(), cpuSeconds(server.pid), answered];
    await new Promise((resolve) => setTimeout(resolve, for_s * 1_000));
    const [took_s, count] = [(performance.now() - begun) / 1_000, answered - had];
    return { per_s: count / took_s, redis_us: ((cpuSeconds(server.pid) - used) * 1e6) / count };
  };
  try {
    socket.write(pipeline);
    socket.write(pipeline);
    await watch(WARM_UP_S);
    const result = await watch(seconds);
    if (failure) throw failure;
    return result;
  } finally {
    socket.destroy();
  }
}
