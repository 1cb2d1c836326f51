import { describe, expect, it } from 'vitest';
import { ConfigError, loadConfig, required } from './config.ts';

describe('the configuration', () => {
  it('has a default for everything but the stores and the secrets', () => {
    const config = loadConfig({});
    expect(config).toMatchObject({
      port: 3000,
      host: '0.0.0.0',
      data_dir: '.data',
      psp: 'sandbox',
      log_level: 'info',
      rate_limit_buyer: 10,
      rate_limit_ip: 200,
      trusted_proxies: [],
      local_stack: false,
    });
    expect(config.redis_url).toBeUndefined();
    expect(config.jwt_secret).toBeUndefined();
    expect(Object.isFrozen(config)).toBe(true);
  });

  it('listens on this machine only, without a limit per address, in the local stack', () => {
    expect(loadConfig({ LOCAL_STACK: '1' })).toMatchObject({ host: '127.0.0.1', rate_limit_ip: 0 });
  });

  it('takes an empty variable as absent', () => {
    expect(loadConfig({ PORT: '', REDIS_URL: '', LOG_LEVEL: '' })).toMatchObject({
      port: 3000,
      log_level: 'info',
    });
  });

  it('reads what is set', () => {
    const config = loadConfig({
      PORT: '8080',
      RATE_LIMIT_BUYER: '0.5',
      RATE_LIMIT_IP: 'off',
      TRUSTED_PROXIES: '10.0.0.0/8, 192.0.2.7,2001:db8::/32',
    });
    expect(config).toMatchObject({ port: 8080, rate_limit_buyer: 0.5, rate_limit_ip: 0 });
    expect(config.trusted_proxies).toEqual([
      { address: '10.0.0.0', prefix: 8, family: 'ipv4' },
      { address: '192.0.2.7', prefix: 32, family: 'ipv4' },
      { address: '2001:db8::', prefix: 32, family: 'ipv6' },
    ]);
  });

  it.each([
    ['PORT', 'banana'],
    ['PORT', '0'],
    ['PORT', '70000'],
    ['PORT', '3000.5'],
    ['PORT', '0x10'],
    ['HOST', 'two words'],
    ['REDIS_URL', 'localhost:6379'],
    ['REDIS_URL', 'http://localhost:6379'],
    ['DATABASE_URL', 'mysql://root@localhost/x'],
    ['JWT_JWKS_URL', 'file:///etc/keys'],
    ['PSP', 'stripy'],
    ['PSP_SANDBOX_URL', 'nonsense'],
    ['PSP_SANDBOX_WEBHOOK_URL', 'nonsense'],
    ['LOG_LEVEL', 'loud'],
    ['RATE_LIMIT_BUYER', '-1'],
    ['RATE_LIMIT_BUYER', 'ten'],
    ['RATE_LIMIT_IP', '1e9'],
    ['TRUSTED_PROXIES', '10.0.0.0/33'],
    ['TRUSTED_PROXIES', '10.0.0.1,proxy.local'],
    ['RECONCILER_PORT', 'x'],
    ['RECONCILER_NICE', '20'],
    ['RECONCILER_NICE', '-1'],
    ['SANDBOX_PORT', '-3'],
    ['DEMO_SALE', 'a sale'],
    ['LOCAL_STACK', 'yes'],
  ])('refuses %s=%s with one line that names it', (name, value) => {
    const message = refusal(() => loadConfig({ [name]: value }));
    expect(message).toMatch(new RegExp(`^${name} must be `));
    expect(message).not.toContain('\n');
  });

  it('does not repeat a password', () => {
    const message = refusal(() => loadConfig({ DATABASE_URL: 'mysql://root:hunter2@localhost/x' }));
    expect(message).not.toContain('hunter2');
  });

  it('says what a process cannot do without', () => {
    expect(refusal(() => required(loadConfig({}), 'redis_url'))).toMatch(/^REDIS_URL must be set/);
    expect(required(loadConfig({ REDIS_URL: 'redis://h:1' }), 'redis_url').redis_url).toBe('redis://h:1');
  });
});

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).message;
  }
  throw new Error('was not refused');
}
