/** Who asks: what a verified token says. */
import { type Contact, isEmail, isPhone } from '../../domain/contact.ts';
import { NAME_PATTERN } from '../../domain/ids.ts';

/** Each role may do what those before it may. */
export const ROLES = ['buyer', 'merchant', 'admin'] as const;
export type Role = (typeof ROLES)[number];

export type Caller = {
  /** Buyer or operator id. */
  sub: string;
  role: Role;
  tenant: string;
  /** When the token ends, ms since 1970. */
  expires_at_ms: number;
  /** Whom a limit per buyer is about. */
  limit_key: string;
  /** Where the token says that its owner is reached (OpenID Connect: `email`, `phone_number`); null for nowhere. */
  contact: Contact | null;
};

export const AUDIENCE = 'stampede';
export const DEFAULT_TENANT = 'default';

/** Who sent no token, on routes that need none. No buyer has an empty id. */
export const ANYONE: Caller = {
  sub: '',
  role: 'buyer',
  tenant: DEFAULT_TENANT,
  expires_at_ms: Number.POSITIVE_INFINITY,
  limit_key: '',
  contact: null,
};

const TENANT = new RegExp(NAME_PATTERN);
/** Identity providers use more than names: "auth0|123", "a@b.example". */
const SUBJECT = /^[\x21-\x7e]{1,128}$/;

/** The caller that these claims make, or undefined if one of them is not as it must be. The audience is checked too. */
export function callerOf(claims: Readonly<Record<string, unknown>>): Caller | undefined {
  const { sub, role = 'buyer', tenant = DEFAULT_TENANT, exp, aud } = claims;
  if (typeof sub !== 'string' || !SUBJECT.test(sub)) return undefined;
  if (!isRole(role)) return undefined;
  if (typeof tenant !== 'string' || !TENANT.test(tenant)) return undefined;
  if (typeof exp !== 'number' || !Number.isFinite(exp)) return undefined;
  if (aud !== AUDIENCE && !(Array.isArray(aud) && aud.includes(AUDIENCE))) return undefined;
  return {
    sub,
    role,
    tenant,
    expires_at_ms: exp * 1000,
    limit_key: `${tenant}:${sub}`,
    contact: contactOf(claims),
  };
}

/** A claim that no notice could be sent to is none: the token counts all the same. */
function contactOf({ email, phone_number }: Readonly<Record<string, unknown>>): Contact | null {
  const contact: Contact = {};
  if (isEmail(email)) contact.email = email;
  if (isPhone(phone_number)) contact.phone = phone_number;
  return contact.email || contact.phone ? contact : null;
}

export function roleSuffices(role: Role, needed: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(needed);
}

function isRole(value: unknown): value is Role {
  return (ROLES as readonly unknown[]).includes(value);
}
