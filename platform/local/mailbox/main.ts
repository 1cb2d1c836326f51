/** The local stack's mailbox as a process: MAILBOX_PORT, MAILBOX_SMTP_PORT, MAILBOX_DIR. Loopback only. */
import { ConfigError, loadConfig } from '../../config.ts';
import { createLog } from '../../log.ts';
import { startSmtp } from './smtp.ts';
import { openMailStore } from './store.ts';
import { createMailboxServer } from './web.ts';

try {
  const config = loadConfig(process.env);
  const log = createLog({ level: config.log_level, service: 'mailbox' });
  const store = await openMailStore(config.mailbox_dir);
  const smtp = await startSmtp(store, config.mailbox_smtp_port);
  const server = createMailboxServer(store);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(config.mailbox_port, '127.0.0.1', resolve);
  });
  log.info(
    { port: config.mailbox_port, smtp_port: smtp.port, mails: store.list().length },
    'the mailbox serves',
  );

  const end = (why: string) => {
    log.info({ why }, 'the mailbox ends');
    process.exit(0);
  };
  process.on('SIGTERM', () => end('SIGTERM'));
  // Under a supervisor Ctrl-C reaches everybody at once, and it is the supervisor who says when.
  process.on('SIGINT', () => process.send || end('SIGINT'));
  process.on('disconnect', () => end('the supervisor is gone'));
  process.send?.('ready');
} catch (error) {
  console.error(error instanceof ConfigError ? error.message : error);
  process.exit(1);
}
