/** The ACL file of a Redis of ours, made from ops/redis-users.acl and passwords. */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectFolder } from './project.ts';

export const REDIS_USERS = ['engine', 'reconciler', 'operator'] as const;
export type RedisUser = (typeof REDIS_USERS)[number];

export type RedisPasswords = Readonly<Record<RedisUser, string>>;

export type RedisUsers = {
  passwords: RedisPasswords;
  /** `all` (tests only): a connection without a name may do everything. Default `none`. */
  unnamed?: 'none' | 'all';
};

const UNNAMED = { none: 'reset off ~* &* +@all', all: 'on nopass ~* &* +@all' } as const;

/** One line a user, as Redis reads it. It holds no password, but what a password is compared with. */
export function redisUsersText({ passwords, unnamed = 'none' }: RedisUsers): string {
  const values: Record<string, string> = { default: UNNAMED[unnamed] };
  for (const user of REDIS_USERS) values[user] = `#${sha256(passwords[user])}`;
  return template()
    .replace(/^#.*\n/gm, '')
    .replace(/\n+ +/g, ' ')
    .replace(/\n\n+/g, '\n')
    .replace(/\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole)
    .trimStart();
}

export function writeRedisUsers(file: string, users: RedisUsers): void {
  writeFileSync(file, redisUsersText(users), { mode: 0o600 });
}

function template(): string {
  return readFileSync(join(projectFolder(), 'ops/redis-users.acl'), 'utf8');
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
