/**
 * Templates in plain files, rendered by mustache: `<notice>.subject.txt`, `<notice>.txt`, `<notice>.html`, inside
 * `layout.txt` and `layout.html`; `<notice>.sms.txt` for texts. A folder of the deployment's goes before ours, file by
 * file. A name that a template uses and that is not there is an error, never a blank.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import mustache from 'mustache';
import { oneLine } from './clean-text.ts';
import { isTexted, NOTICES, type Notice } from './notice-table.ts';
import type { NoticeView } from './view.ts';

export type RenderedMail = { subject: string; text: string; html: string };

export type Templates = {
  mail(view: NoticeView): RenderedMail;
  /** The text of an SMS. */
  text(view: NoticeView): string;
};

const OURS = fileURLToPath(new URL('./templates', import.meta.url));

/** Reads every file once. Throws an Error that names the file if one can't be read or parsed, or is not one of ours. */
export function loadTemplates(folder?: string): Templates {
  if (folder) refuseStrangers(folder);
  const files = new Map(templateNames().map((name) => [name, readTemplate(name, folder)]));
  const file = (name: string) => files.get(name) as string;
  /** `{{> body}}` is the notice itself; `{{> goods}}` and `{{> address}}` are shared pieces. */
  const partials = (name: string) => {
    const kind = name.slice(name.lastIndexOf('.'));
    return { body: file(name), goods: file(`goods${kind}`), address: file(`address${kind}`) };
  };
  const plain = (text: string) => String(text);
  const render = (name: string, view: object, escaped: (text: string) => string, partials = {}) => {
    try {
      return writer.render(file(name), new StrictContext(view), partials, { escape: escaped });
    } catch (error) {
      throw new Error(`template ${name}: ${(error as Error).message}`, { cause: error });
    }
  };
  return {
    mail(view) {
      const { notice } = view;
      // Also the preview line that mailboxes show beside the subject.
      const subject = oneLine(render(`${notice}.subject.txt`, view, plain));
      const whole = { ...view, subject };
      return {
        subject,
        text: `${render('layout.txt', whole, plain, partials(`${notice}.txt`)).trim()}\n`,
        html: render('layout.html', whole, escapeHtml, partials(`${notice}.html`)),
      };
    },
    text: (view) => render(`${view.notice}.sms.txt`, view, plain).trim(),
  };
}

/** For text and for attributes in quotes. */
function escapeHtml(text: string): string {
  return String(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

const writer = new mustache.Writer();

/** A name that nobody has given is an error: a mail with a hole in it tells its reader less than none. */
class StrictContext extends mustache.Context {
  override push(view: unknown): mustache.Context {
    return new StrictContext(view, this);
  }
  override lookup(name: string): unknown {
    const value: unknown = super.lookup(name);
    if (value === undefined) throw new Error(`there is no {{${name}}}`);
    return value;
  }
}

function filesOf(notice: Notice): string[] {
  const files = [`${notice}.subject.txt`, `${notice}.txt`, `${notice}.html`];
  return isTexted(notice) ? [...files, `${notice}.sms.txt`] : files;
}

/** Every file that there must be. */
export function templateNames(): string[] {
  const shared = ['layout', 'goods', 'address'].flatMap((name) => [`${name}.txt`, `${name}.html`]);
  return [...shared, ...NOTICES.flatMap(filesOf)];
}

function readTemplate(name: string, folder: string | undefined): string {
  const own = folder && join(folder, name);
  const path = own && existsSync(own) ? own : join(OURS, name);
  const text = readFileSync(path, 'utf8');
  try {
    mustache.parse(text);
  } catch (error) {
    throw new Error(`template ${path}: ${(error as Error).message}`, { cause: error });
  }
  return text;
}

/** A file with a name of its own would never be read: better said at the start than wondered about. */
function refuseStrangers(folder: string): void {
  if (!existsSync(folder)) throw new Error(`TEMPLATE_DIR: there is no folder ${folder}`);
  const known = new Set(templateNames());
  const strangers = readdirSync(folder).filter((name) => /\.(txt|html)$/.test(name) && !known.has(name));
  if (strangers.length > 0) {
    throw new Error(
      `TEMPLATE_DIR: no notice has a file ${strangers.join(', ')}; there are ${[...known].join(', ')}`,
    );
  }
}
