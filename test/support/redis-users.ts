/** Redis users of tests. Whoever connects without a name may do everything: a test flushes, kills and sets as it likes. */
import { REDIS_USERS, type RedisPasswords, type RedisUser } from '../../platform/local/redis-users.ts';

export const TEST_REDIS_PASSWORDS = Object.fromEntries(
  REDIS_USERS.map((user) => [user, `password-of-${user}-in-tests`]),
) as RedisPasswords;

/** The URL of a Redis of our tests, for one of its users. */
export function asRedisUser(url: string, user: RedisUser): string {
  const named = new URL(url);
  named.username = user;
  named.password = TEST_REDIS_PASSWORDS[user];
  return named.href;
}
