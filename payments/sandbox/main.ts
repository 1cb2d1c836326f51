/** The sandbox PSP as a process: SANDBOX_PORT, SANDBOX_DIR, PSP_SANDBOX_SECRET, PSP_SANDBOX_WEBHOOK_URL. */
import { ConfigError, loadConfig, required } from '../../platform/config.ts';
import { createLog } from '../../platform/log.ts';
import { startSandboxServer } from './server.ts';
import { openSandbox } from './service.ts';

try {
  const config = required(loadConfig(process.env), 'psp_sandbox_secret');
  const log = createLog({ level: config.log_level, service: 'sandbox' });
  const sandbox = await openSandbox({
    dir: config.sandbox_dir,
    secret: config.psp_sandbox_secret,
    webhook_url: config.psp_sandbox_webhook_url,
    public_url: config.psp_sandbox_public_url,
  });
  const server = await startSandboxServer(sandbox, {
    secret: config.psp_sandbox_secret,
    port: config.sandbox_port,
    host: config.host,
  });
  log.info({ port: config.sandbox_port, dir: config.sandbox_dir }, 'the sandbox PSP serves');

  let ending = false;
  const end = async (why: string): Promise<void> => {
    if (ending) return;
    ending = true;
    log.info({ why }, 'the sandbox PSP ends');
    server.close();
    await sandbox.close();
    process.exit(0);
  };
  process.on('SIGTERM', () => void end('SIGTERM'));
  // Under a supervisor Ctrl-C reaches everybody at once, and it is the supervisor who says when.
  process.on('SIGINT', () => process.send || void end('SIGINT'));
  process.on('disconnect', () => void end('the supervisor is gone'));
  process.send?.('ready');
} catch (error) {
  console.error(error instanceof ConfigError ? error.message : error);
  process.exit(1);
}
