/** Writes what buyers would get, for sample orders, into a folder: to look at before a template goes out. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Compose } from '../compose.ts';
import { isTexted, type Notice } from '../notice-table.ts';
import { sampleFacts } from '../samples.ts';

export type Previewed = { notice: Notice; subject: string; files: string[] };

/** `files`: all that belong to the notice, HTML first. */
export async function preview(
  compose: Compose,
  notices: readonly Notice[],
  out: string,
): Promise<{ index: string; notices: Previewed[] }> {
  mkdirSync(out, { recursive: true });
  const written: Previewed[] = [];
  for (const notice of notices) {
    const facts = sampleFacts(notice);
    const { subject, text, html, attachments } = await compose.mail(facts);
    const files: [string, string | Buffer][] = [
      [`${notice}.html`, html],
      [`${notice}.txt`, text],
      [`${notice}.subject.txt`, `${subject}\n`],
      ...(isTexted(notice) ? [[`${notice}.sms.txt`, `${compose.text(facts)}\n`] as [string, string]] : []),
      ...attachments.map(({ content }) => [`${notice}.pdf`, content] as [string, Buffer]),
    ];
    for (const [name, content] of files) writeFileSync(join(out, name), content);
    written.push({ notice, subject, files: files.map(([name]) => join(out, name)) });
  }
  const index = join(out, 'index.html');
  writeFileSync(index, indexPage(written));
  return { index, notices: written };
}

function indexPage(notices: readonly Previewed[]): string {
  const rows = notices.map(({ notice, files }) => {
    const links = files.map((file) => file.slice(file.lastIndexOf('/') + 1));
    return `<section><h2>${notice}</h2><p>${links.map((name) => `<a href="${name}">${name}</a>`).join(' ')}</p><iframe title="${notice}" src="${notice}.html"></iframe></section>`;
  });
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Notices</title>
<style>body{font:15px/1.5 Helvetica,Arial,sans-serif;margin:24px;background:#efeadb;color:#17130a}
main{display:grid;grid-template-columns:repeat(auto-fill,minmax(640px,1fr));gap:24px}
h2{margin:0}p{margin:0 0 8px}a{color:inherit;margin-right:8px}iframe{width:100%;height:860px;border:1px solid #c9c1aa;background:#fff}</style>
<main>${rows.join('')}</main></html>\n`;
}
