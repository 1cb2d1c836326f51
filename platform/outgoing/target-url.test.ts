import { describe, expect, it } from 'vitest';
import { addressFault } from './public-address.ts';
import { parseTarget } from './target-url.ts';

const judged = (text: string, local = false) => {
  const target = parseTarget(text, { local });
  return 'fault' in target ? target.fault : 'fine';
};

describe('a URL to send to', () => {
  it.each([
    'https://hooks.example.com/stampede',
    'https://hooks.example.com:8443/a?b=c',
    'https://8.8.8.8/hook',
    'https://[2001:4860:4860::8888]/hook',
    'https://xn--bcher-kva.example/',
    'https://bücher.example/',
  ])('may be %s', (url) => {
    expect(judged(url)).toBe('fine');
  });

  it.each([
    // Not https.
    'http://hooks.example.com/',
    'http://8.8.8.8/',
    'ftp://hooks.example.com/',
    'file:///etc/passwd',
    'gopher://hooks.example.com/',
    'javascript:alert(1)',
    'data:text/plain,hello',
    '//hooks.example.com/',
    'hooks.example.com',
    '',
    // Loopback in every way in which it can be written.
    'https://127.0.0.1/',
    'https://127.1/',
    'https://127.000.000.001/',
    'https://2130706433/',
    'https://0x7f000001/',
    'https://0x7f.1/',
    'https://017700000001/',
    'https://0177.0.0.1/',
    'https://127.0.0.1.:443/',
    'https://[::1]/',
    'https://[::]/',
    'https://[0:0:0:0:0:0:0:1]/',
    'https://[::ffff:127.0.0.1]/',
    'https://[::ffff:7f00:1]/',
    'https://[::127.0.0.1]/',
    'https://localhost/',
    'https://LOCALHOST/',
    'https://localhost./',
    'https://hooks.localhost/',
    'https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/',
    'https://①②⑦.⓪.⓪.①/',
    'https://%6c%6f%63%61%6c%68%6f%73%74/',
    'https://127。0。0。1/',
    // Inside.
    'https://0.0.0.0/',
    'https://0/',
    'https://10.0.0.1/',
    'https://10.1/',
    'https://172.16.5.4/',
    'https://192.168.0.1/',
    'https://0xc0a80001/',
    'https://100.64.0.1/',
    'https://100.100.100.200/latest/meta-data',
    'https://169.254.169.254/latest/meta-data',
    'https://2852039166/latest/meta-data',
    'https://0xa9fea9fe/',
    'https://[::ffff:169.254.169.254]/',
    'https://[fd00:ec2::254]/latest/meta-data',
    'https://168.63.129.16/',
    'https://metadata.google.internal/computeMetadata/v1/',
    'https://metadata/',
    'https://intranet/',
    'https://printer.local/',
    'https://db.internal/',
    'https://router.home.arpa/',
    'https://[fe80::1]/',
    'https://[fc00::1]/',
    'https://[fec0::1]/',
    // IPv4 inside IPv6.
    'https://[64:ff9b::7f00:1]/',
    'https://[64:ff9b:1::7f00:1]/',
    'https://[2002:7f00:1::]/',
    'https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/',
    // Of no use to anybody honest.
    'https://224.0.0.1/',
    'https://[ff02::1]/',
    'https://255.255.255.255/',
    'https://240.0.0.1/',
    'https://192.0.2.1/',
    'https://198.18.0.1/',
    'https://[2001:db8::1]/',
    'https://[3fff::1]/',
    // Who reads it otherwise than we do.
    'https://user@hooks.example.com/',
    'https://user:password@hooks.example.com/',
    'https://hooks.example.com:pass@127.0.0.1/',
    'https://127.0.0.1#@hooks.example.com/',
    'https://hooks.example.com#fragment',
    'https://hooks.example.com\\@127.0.0.1/',
    'https://hooks.example.com /',
    'https://hooks.example.com/\tx',
    'https://hooks.example.com/\r\nHost: 127.0.0.1',
    ' https://hooks.example.com/',
    'https://hooks.example.com./',
    // Other protocols' ports, and none.
    'https://hooks.example.com:22/',
    'https://hooks.example.com:25/',
    'https://hooks.example.com:80/',
    'https://hooks.example.com:0/',
    'https://hooks.example.com:65536/',
    `https://hooks.example.com/${'a'.repeat(3_000)}`,
  ])('is not %j', (url) => {
    expect(judged(url)).not.toBe('fine');
  });

  it('may lead to this machine in development, with http as well, and to nothing else inside', () => {
    for (const url of [
      'http://127.0.0.1:4000/hook',
      'http://localhost:4000/hook',
      'http://[::1]:4000/',
      'https://127.0.0.1:4000/',
      'https://hooks.example.com/',
    ]) {
      expect([url, judged(url, true)]).toEqual([url, 'fine']);
    }
    for (const url of [
      'http://hooks.example.com/',
      'http://10.0.0.1/',
      'https://10.0.0.1/',
      'http://169.254.169.254/',
      'http://0.0.0.0:4000/',
      'http://user@127.0.0.1:4000/',
      'https://[::ffff:127.0.0.1]/',
    ]) {
      expect([url, judged(url, true)]).not.toEqual([url, 'fine']);
    }
  });
});

describe('an address to connect to', () => {
  it.each(['8.8.8.8', '1.1.1.1', '2606:4700:4700::1111'])('may be %s', (address) => {
    expect(addressFault(address, { loopback: false })).toBeUndefined();
  });

  it.each([
    '127.0.0.1',
    '::1',
    '0.0.0.0',
    '10.2.3.4',
    '169.254.169.254',
    '100.64.1.1',
    '192.0.0.192',
    '::ffff:8.8.8.8',
    '64:ff9b::808:808',
    '2002:808:808::1',
    'fe80::1%eth0',
    '::7f00:1',
    '5f00::1',
    'nonsense',
    '',
  ])('is not %j', (address) => {
    expect(addressFault(address, { loopback: false })).toBeDefined();
  });
});
