-- claim: closes the recovery gate for a rebuild, under an epoch that nobody else can open the sale with.
-- KEYS: record
-- ARGV: epoch route
-- RETURNS: { 'claimed', now_ms, identity, seq, generation } or { 'missing', now_ms, identity } without a record,
--       or { 'foreign' } when the record is a sale of another ledger, or { 'late' } when it has a higher epoch

-- @include lib/identity
-- @include lib/clock
-- @include lib/record

local record_key = KEYS[1]
local epoch, route = ARGV[1], ARGV[2]

local now, identity = string.format('%.0f', now_ms()), identity_now()
local record = read_record(record_key)
if not record.epoch then
  return { 'missing', now, identity }
end
if redis.call('HGET', record_key, 'route') ~= route then
  return { 'foreign' }
end
if tonumber(record.epoch) > tonumber(epoch) then
  return { 'late' }
end
redis.call('HSET', record_key, 'recovery', 'recovering', 'epoch', epoch)
return { 'claimed', now, identity, record.seq, record.generation }
