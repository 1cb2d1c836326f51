-- verify: reopens a sale whose memory the reconciler has checked against the ledger, under a new epoch. A gate that the
-- ledger has and this memory does not (an older copy may have forgotten it) is set before anybody can buy.
-- KEYS: record stream
-- ARGV: old_epoch seq applied_n identity epoch gate_version gate
-- RETURNS: { 'opened' } or { 'changed' } when the sale is not what was checked, or { 'missing' }

-- @include lib/identity
-- @include lib/clock
-- @include lib/record
-- @include lib/entry
-- @include lib/gate

local record_key, stream_key = KEYS[1], KEYS[2]
local old_epoch, seq, applied_n, identity, epoch = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local version, gate = tonumber(ARGV[6]), ARGV[7]
-- Nothing may fail once the entry is written.
if not version or not gate then
  return redis.error_reply('ERR verify: arguments are missing')
end

local record = read_record(record_key)
if not record.epoch then
  return { 'missing' }
end
if record.epoch ~= old_epoch or record.seq ~= seq or record.applied_n ~= applied_n
  or identity_now() ~= identity or tonumber(epoch) <= tonumber(record.epoch) then
  return { 'changed' }
end
set_gate(record_key, stream_key, record, version, gate)
redis.call('HSET', record_key, 'epoch', epoch, 'identity', identity, 'recovery', 'open')
return { 'opened' }
