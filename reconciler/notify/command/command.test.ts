/** The operator's command, as a process. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NOTICES } from '../notice-table.ts';
import { readPdf } from '../testing/read-pdf.ts';
import { type NoticeRig, startNoticeRig } from '../testing/rig.ts';

let folder: string;
let rig: NoticeRig;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'notices-'));
  rig = await startNoticeRig();
});
afterAll(async () => {
  await rig.close();
  rmSync(folder, { recursive: true, force: true });
});

function notices(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const main = fileURLToPath(new URL('./main.ts', import.meta.url));
  const env = { ...process.env, DATABASE_URL: rig.url, TEMPLATE_DIR: '' };
  return new Promise((resolve) => {
    execFile(process.execPath, ['--import', 'tsx', main, ...args], { env }, (error, out, err) => {
      resolve({ code: error ? Number(error.code) : 0, out, err });
    });
  });
}

describe('npm run notices', { timeout: 120_000 }, () => {
  it('says how it is used', async () => {
    expect(await notices('--help')).toMatchObject({
      code: 0,
      out: expect.stringContaining('Usage: npm run notices'),
    });
    for (const wrong of [
      [],
      ['send'],
      ['preview', 'confirmd'],
      ['list', '--state', 'lost'],
      ['retry'],
      ['retry', '7'],
    ]) {
      expect(await notices(...wrong)).toMatchObject({ code: 2, err: expect.stringContaining('Usage') });
    }
  });

  it('previews every notice: HTML, text, subject, what is texted, the invoice', async () => {
    const { code, out } = await notices('preview', 'all', '--out', folder, '--json');
    expect(code).toBe(0);
    expect(JSON.parse(out).notices).toHaveLength(NOTICES.length);
    const files = readdirSync(folder);
    for (const notice of NOTICES) {
      expect(files).toEqual(
        expect.arrayContaining([`${notice}.html`, `${notice}.txt`, `${notice}.subject.txt`]),
      );
    }
    expect(files).toEqual(expect.arrayContaining(['confirmed.sms.txt', 'confirmed.pdf', 'index.html']));
    expect((await readPdf(readFileSync(join(folder, 'confirmed.pdf')))).pages).toBe(1);
  });

  it('lists what failed, tries it again, and writes an invoice; it shows no address', async () => {
    const order_id = await rig.order({ email: 'zoe@example.com' });
    await rig.tell({ SMTP_URL: 'smtp://127.0.0.1:9', MAIL_FROM: 'orders@shop.example' }, [
      rig.event(order_id, 'order.confirmed'),
    ]);
    await rig.db.query(`UPDATE notices SET state = 'failed', last_error = '550 no'`);
    const listed = await notices('list', '--state', 'failed');
    expect(listed.out).toContain(order_id);
    expect(listed.out).not.toContain('zoe@');
    expect(await notices('retry', '--order', order_id)).toMatchObject({
      code: 0,
      out: '1 will be tried again.\n',
    });
    expect((await rig.notices())[0]?.state).toBe('wanted');
    expect((await notices('retry', '--all')).code).toBe(1);
    const file = join(folder, 'invoice.pdf');
    expect((await notices('invoice', '--order', order_id, '--out', file)).code).toBe(0);
    expect((await readPdf(readFileSync(file))).lines).toContain('Invoice number INV-000001');
    expect((await notices('invoice', '--order', 'nobody')).err).toContain('there is no such order');
  });
});
