/**
 * What Spin looks at: settings of stampede.pml that must hold in every order of events, and what must be refuted once
 * one mitigation is taken out. `ci` settings are small enough for every run; the others are for `npm run model -- --all`.
 */

export type Holds = { id: string; says: string; define: Readonly<Record<string, number | ''>>; ci: boolean };

export const HOLDS: readonly Holds[] = [
  {
    id: 'plain',
    says: 'reserve, retry, expiry, release, lost replies; two units',
    define: { UNITS: 2, LOST_REPLIES: 1 },
    ci: true,
  },
  {
    id: 'restart',
    says: 'Redis restarts with its memory, verification opens the sale',
    define: { RESTARTS: 1, LOST_REPLIES: 1 },
    ci: true,
  },
  { id: 'older', says: 'an older copy of Redis comes back', define: { OLDER: 1 }, ci: true },
  { id: 'lost', says: 'Redis is empty, by a restart or while it runs', define: { LOST: 1 }, ci: true },
  { id: 'operator', says: 'an operator rebuilds a sale that is well', define: { OPERATOR: 1 }, ci: true },
  {
    id: 'restored',
    says: 'an older copy of the ledger comes back',
    define: { RESTORES: 1, TRIES0: 1 },
    ci: true,
  },
  {
    id: 'stopped',
    says: 'a reconciler dies, or is stopped and goes on beside the next one',
    define: { STOPS: 1, LOST_REPLIES: 1 },
    ci: true,
  },
  {
    id: 'money',
    says: 'payment, decline, lost answers, calls that arrive late, expiry in between',
    define: { PAY: '', TRIES0: 1 },
    ci: true,
  },
  {
    id: 'money-canceled',
    says: 'the same, and a buyer cancels',
    define: { PAY: '', CANCEL: '', TRIES0: 1 },
    ci: false,
  },
  {
    id: 'money-twice',
    says: 'the same job in two workers, and a webhook out of date; one buyer asks',
    define: { PAY: '', TWO_SAGAS: '', HOOKS: 1, TRIES0: 1, TRIES1: 0 },
    ci: false,
  },
  {
    id: 'restored-unequal',
    says: 'an older ledger, and orders of one and two units',
    define: { RESTORES: 1, UNITS: 3, Q1: 2, TRIES0: 1 },
    ci: false,
  },
  {
    id: 'older-two-units',
    says: 'an older copy of Redis, two units',
    define: { OLDER: 1, UNITS: 2, TRIES0: 1 },
    ci: false,
  },
  {
    id: 'stopped-lost',
    says: 'Redis is empty, and whoever rebuilds dies or is stopped at any step',
    define: { LOST: 1, STOPS: 1, TRIES0: 1 },
    ci: false,
  },
  {
    id: 'stopped-older',
    says: 'an older copy of Redis, and whoever verifies or rebuilds dies or is stopped at any step',
    define: { OLDER: 1, STOPS: 1, TRIES0: 1 },
    ci: false,
  },
];

export type Refuted = {
  id: string;
  says: string;
  define: Readonly<Record<string, number | ''>>;
};

export const REFUTED: readonly Refuted[] = [
  {
    id: 'no-fence',
    says: 'scripts do not ask which process they run in, nor for the epoch',
    define: { BAD_NO_FENCE: '', OLDER: 1 },
  },
  {
    id: 'no-record',
    says: 'a key is not remembered with what was taken',
    define: { BAD_NO_RECORD: '', UNITS: 2 },
  },
  {
    id: 'expiry-no-cas',
    says: 'expiry does not ask for the state again',
    define: { BAD_EXPIRY_NO_CAS: '', PAY: '', TRIES0: 1 },
  },
  {
    id: 'movement-no-number',
    says: 'a batch of movements has no number',
    define: { BAD_NO_NUMBER: '', LOST_REPLIES: 1 },
  },
  {
    id: 'cursor-no-cas',
    says: 'the cursor is moved without looking where it is',
    define: { BAD_CURSOR_NO_CAS: '', STOPS: 1 },
  },
  {
    id: 'verify-looks-away',
    says: 'whatever memory comes back is opened',
    define: { BAD_VERIFY_LOOKS_AWAY: '', OLDER: 1 },
  },
  {
    id: 'rebuild-no-gate',
    says: 'a rebuild does not close the sale first, nor compares the record as it switches',
    define: { BAD_REBUILD_NO_GATE: '', OPERATOR: 1 },
  },
  {
    id: 'no-drain',
    says: 'a rebuild leaves out what the ledger has not read yet',
    define: { BAD_NO_DRAIN: '', RESTORES: 1 },
  },
  {
    id: 'seal-apart',
    says: 'a rebuild reads the stock before it seals the movements, in two transactions',
    define: { BAD_SEAL_APART: '', LOST: 1 },
  },
  {
    id: 'no-replay',
    says: 'a rebuild does not bring back the keys of orders',
    define: { BAD_NO_REPLAY: '', LOST: 1 },
  },
  {
    id: 'ack-without-epoch',
    says: 'a batch applied to a memory that is gone is acknowledged',
    define: { BAD_ACK_WITHOUT_EPOCH: '', OLDER: 1 },
  },
  {
    id: 'issue-blind',
    says: 'an epoch is issued although a batch was acknowledged since the memory was looked at',
    define: { BAD_ISSUE_BLIND: '', OLDER: 1 },
  },
  {
    id: 'seal-blind',
    says: 'a batch gets a number that Redis, ahead of a restored ledger, has applied already',
    define: { BAD_SEAL_BLIND: '', RESTORES: 1, UNITS: 3, Q1: 2 },
  },
  {
    id: 'no-reversal',
    says: 'an order that ends does not want its money back',
    define: { BAD_NO_REVERSAL: '', PAY: '', TRIES0: 1 },
  },
  {
    id: 'new-key',
    says: 'an unknown outcome is asked for again under another key',
    define: { BAD_NEW_KEY: '', PAY: '', TRIES0: 1 },
  },
  {
    id: 'reversal-leaves-open',
    says: 'a payment the provider does not know yet counts as reversed',
    define: { BAD_REVERSAL_LEAVES_OPEN: '', PAY: '', TRIES0: 1 },
  },
  {
    id: 'late-confirm',
    says: 'money that comes after the hold confirms the order',
    define: { BAD_LATE_CONFIRM: '', PAY: '', TRIES0: 1 },
  },
];
