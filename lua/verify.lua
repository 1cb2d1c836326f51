-- verify: reopens a sale whose memory the reconciler has checked against the ledger, under a new epoch.
-- KEYS: record
-- ARGV: old_epoch seq applied_n identity epoch
-- RETURNS: { 'opened' } or { 'changed' } when the sale is not what was checked, or { 'missing' }

-- @include lib/identity
-- @include lib/record

local record_key = KEYS[1]
local old_epoch, seq, applied_n, identity, epoch = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

local record = read_record(record_key)
if not record.epoch then
  return { 'missing' }
end
if record.epoch ~= old_epoch or record.seq ~= seq or record.applied_n ~= applied_n
  or identity_now() ~= identity or tonumber(epoch) <= tonumber(record.epoch) then
  return { 'changed' }
end
redis.call('HSET', record_key, 'epoch', epoch, 'identity', identity, 'recovery', 'open')
return { 'opened' }
