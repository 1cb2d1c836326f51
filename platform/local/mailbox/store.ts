/**
 * Mails as files: `<received at, ms>-<random>.eml`, the newest so many, and no more than so many bytes. The oldest go
 * first. A mail is there whole or not at all, and its yes is given only when it is.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, unlinkSync } from 'node:fs';
import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import PostalMime, { type Email } from 'postal-mime';

export type Stored = {
  id: string;
  received_at: Date;
  size: number;
  subject: string;
  from: string;
  to: string;
  message_id: string;
  attachments: number;
};

export type MailStore = {
  /** Newest first. */
  list(): Stored[];
  /** Undefined: it is not there, or not any more. */
  read(id: string): Promise<{ stored: Stored; raw: Buffer; mail: Email } | undefined>;
  add(raw: Buffer): Promise<Stored>;
  clear(): void;
};

export const MAILS_MAX = 500;
export const BYTES_MAX = 64 * 1024 * 1024;

const NAME = /^(\d{13}-[0-9a-f]{8})\.eml$/;

/** Reads what is there already. */
export async function openMailStore(
  dir: string,
  bounds: { mails_max?: number; bytes_max?: number } = {},
): Promise<MailStore> {
  const { mails_max = MAILS_MAX, bytes_max = BYTES_MAX } = bounds;
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const file = (id: string) => join(dir, `${id}.eml`);
  /** Oldest first. */
  const mails = new Map<string, Stored>();
  for (const name of readdirSync(dir).sort()) {
    const id = NAME.exec(name)?.[1];
    if (id) mails.set(id, await describe(id, await readFile(file(id))));
    // The draft of a process that was killed.
    else if (name.endsWith('.draft')) unlinkSync(join(dir, name));
  }
  const drop = (id: string) => {
    mails.delete(id);
    unlinkSync(file(id));
  };
  const trim = () => {
    let bytes = [...mails.values()].reduce((sum, { size }) => sum + size, 0);
    for (const [id, { size }] of mails) {
      if (mails.size <= mails_max && bytes <= bytes_max) return;
      drop(id);
      bytes -= size;
    }
  };
  trim();
  return {
    list: () => [...mails.values()].reverse(),
    async read(id) {
      const stored = mails.get(id);
      if (!stored) return undefined;
      const raw = await readFile(file(id)).catch(() => undefined);
      return raw && { stored, raw, mail: await PostalMime.parse(raw) };
    },
    async add(raw) {
      const id = `${String(Date.now()).padStart(13, '0')}-${randomBytes(4).toString('hex')}`;
      const stored = await describe(id, raw);
      const draft = join(dir, `${id}.draft`);
      const handle = await open(draft, 'w', 0o600);
      await handle.writeFile(raw);
      await handle.close();
      await rename(draft, file(id));
      mails.set(id, stored);
      trim();
      return stored;
    },
    clear() {
      for (const id of [...mails.keys()]) drop(id);
    },
  };

  async function describe(id: string, raw: Buffer): Promise<Stored> {
    const mail = await PostalMime.parse(raw);
    return {
      id,
      received_at: new Date(Number(id.slice(0, 13))),
      size: raw.length,
      subject: mail.subject ?? '',
      from: mail.from?.name || mail.from?.address || '',
      to: (mail.to ?? []).map(({ address }) => address).join(', '),
      message_id: mail.messageId ?? '',
      attachments: mail.attachments.length,
    };
  }
}
