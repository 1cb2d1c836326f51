/** Takes mail for everybody, from this machine alone, and hands it on nowhere. */
import { SMTPServer } from 'smtp-server';
import type { MailStore } from './store.ts';

/** One mail, bytes. */
export const MAIL_BYTES_MAX = 10 * 1024 * 1024;
const CLIENTS_MAX = 100;

/** Resolves when it listens. */
export function startSmtp(store: MailStore, port: number): Promise<{ port: number; close(): void }> {
  const server = new SMTPServer({
    banner: 'Stampede mailbox, keeps everything and sends nothing on',
    size: MAIL_BYTES_MAX,
    maxClients: CLIENTS_MAX,
    authOptional: true,
    // Nothing leaves the machine, so there is nobody to hide it from.
    disabledCommands: ['STARTTLS'],
    disableReverseLookup: true,
    logger: false,
    onAuth: ({ username }, _session, done) => done(null, { user: username ?? 'anybody' }),
    onData(stream, _session, done) {
      const chunks: Buffer[] = [];
      let size = 0;
      stream.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size <= MAIL_BYTES_MAX) chunks.push(chunk);
      });
      stream.on('end', () => {
        if (size > MAIL_BYTES_MAX) {
          done(Object.assign(new Error('the mail is too large'), { responseCode: 552 }));
          return;
        }
        store.add(Buffer.concat(chunks)).then(
          () => done(),
          () => done(Object.assign(new Error('the mail could not be kept'), { responseCode: 451 })),
        );
      });
    },
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject);
      // A client that goes away in mid-sentence is its own affair.
      server.on('error', () => {});
      const address = server.server.address();
      const listening = typeof address === 'object' && address ? address.port : port;
      resolve({ port: listening, close: () => server.close() });
    });
  });
}
