/** A real SMTP server for tests, which keeps what it took, and does on demand what real ones do. */
import type { Socket } from 'node:net';
import PostalMime, { type Email } from 'postal-mime';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';

export type Received = { from: string; to: string[]; raw: string; mail: Email };

/** What becomes of one mail; undefined: it is taken. */
export type Fault =
  /** Refused with this reply, where the recipient or the content is told. */
  | { at: 'RCPT' | 'MAIL' | 'DATA'; status: number; text: string }
  /** The connection is cut after the first bytes of the content. */
  | { at: 'DATA'; cut: true }
  /** The mail is taken, and the connection cut before its yes. */
  | { at: 'YES'; cut: true }
  /** The yes comes only when this resolves. */
  | { at: 'YES'; after: Promise<void> };

export type TestSmtp = {
  url: string;
  /** In the order taken. */
  mails: Received[];
  /** Asked for each mail, by its recipient. */
  fault: (to: string, no: number) => Fault | undefined;
  /** Tries, by recipient: how often RCPT came. */
  tries: Map<string, number>;
  stop(): Promise<void>;
};

export async function startTestSmtp(
  options: SMTPServerOptions & { host?: string; port?: number; scheme?: string; login?: string } = {},
): Promise<TestSmtp> {
  const { host = '127.0.0.1', port = 0, scheme = 'smtp', login, ...more } = options;
  const smtp: TestSmtp = { url: '', mails: [], fault: () => undefined, tries: new Map(), stop };
  const faults = new WeakMap<object, Fault>();
  const sockets = new Set<Socket>();
  const server = new SMTPServer({
    authOptional: true,
    closeTimeout: 1_000,
    disabledCommands: ['STARTTLS'],
    disableReverseLookup: true,
    logger: false,
    ...more,
    onMailFrom(_address, _session, done) {
      const fault = smtp.fault('', 0);
      done(fault?.at === 'MAIL' && 'status' in fault ? refusal(fault) : null);
    },
    onRcptTo({ address }, session, done) {
      const no = (smtp.tries.get(address) ?? 0) + 1;
      smtp.tries.set(address, no);
      const fault = smtp.fault(address, no);
      if (fault) faults.set(session, fault);
      else faults.delete(session);
      done(fault?.at === 'RCPT' ? refusal(fault) : null);
    },
    onData(stream, session, done) {
      const fault = faults.get(session);
      const cut = () => {
        for (const socket of sockets) if (socket.remotePort === session.remotePort) socket.destroy();
      };
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        if (fault?.at === 'DATA' && 'cut' in fault) cut();
      });
      stream.on('end', () => void taken());
      async function taken(): Promise<void> {
        if (fault?.at === 'DATA') return 'status' in fault ? done(refusal(fault)) : undefined;
        const raw = Buffer.concat(chunks).toString('utf8');
        const { mailFrom, rcptTo } = session.envelope;
        const from = mailFrom ? mailFrom.address : '';
        const to = rcptTo.map(({ address }) => address);
        smtp.mails.push({ from, to, raw, mail: await PostalMime.parse(Buffer.concat(chunks)) });
        if (fault?.at === 'YES') {
          if ('cut' in fault) return cut();
          await fault.after;
        }
        done();
      }
    },
  });
  server.on('error', () => {});
  server.server.on('connection', (socket: Socket) => {
    // Under TLS this is the socket beneath: to destroy it in the midst of a handshake ends the whole process.
    if (more.secure) return;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(port, host, () => resolve()));
  const { port: listening } = server.server.address() as { port: number };
  smtp.url = `${scheme}://${login ? `${login}@` : ''}${host}:${listening}`;
  return smtp;

  function stop(): Promise<void> {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(() => resolve()));
  }
}

function refusal(fault: { status: number; text: string }): Error {
  return Object.assign(new Error(fault.text), { responseCode: fault.status });
}
