/** A certificate authority of a test's own, and a certificate that it gives to some hosts. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type Authority = { ca: string; key: string; cert: string };

export function createAuthority(hosts: readonly string[]): Authority {
  const dir = mkdtempSync(join(tmpdir(), 'stampede-ca-'));
  const path = (name: string) => join(dir, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
  try {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    openssl(
      ...[
        'req',
        '-x509',
        ...key,
        '-keyout',
        'ca.key',
        '-out',
        'ca.crt',
        '-days',
        '2',
        '-subj',
        '/CN=Test CA',
      ],
    );
    openssl(...['req', ...key, '-keyout', 'host.key', '-out', 'host.csr', '-subj', '/CN=receiver']);
    const names = hosts.map((host) => `${isIP(host) ? 'IP' : 'DNS'}:${host}`).join(',');
    writeFileSync(path('host.ext'), `subjectAltName=${names}\n`);
    const signing = [
      '-CA',
      'ca.crt',
      '-CAkey',
      'ca.key',
      '-CAcreateserial',
      '-extfile',
      'host.ext',
      '-days',
      '2',
    ];
    openssl(...['x509', '-req', '-in', 'host.csr', ...signing, '-out', 'host.crt']);
    const read = (name: string) => readFileSync(path(name), 'utf8');
    return { ca: read('ca.crt'), key: read('host.key'), cert: read('host.crt') };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
