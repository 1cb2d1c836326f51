-- stage_begin: begins to write a sale's next generation: its keys emptied, and a marker that stage and switch ask for.
-- KEYS: record marker targets...
-- ARGV: epoch expire_ms
-- RETURNS: { 'begun', identity } or { 'late' } when the sale has this epoch or a higher one: it is in use

-- @include lib/identity
-- @include lib/record

local record_key, marker_key, first_target = KEYS[1], KEYS[2], 3
local epoch, expire_ms = ARGV[1], tonumber(ARGV[2])
-- Nothing may fail once something is written.
if not (epoch and expire_ms and expire_ms >= 1 and expire_ms <= 1e12) then
  return redis.error_reply('ERR stage_begin: arguments are missing')
end
expire_ms = string.format('%.0f', expire_ms)

local record = read_record(record_key)
local marked = redis.call('HGET', marker_key, 'epoch')
if record.epoch and tonumber(record.epoch) >= tonumber(epoch) or marked and tonumber(marked) > tonumber(epoch) then
  return { 'late' }
end
local identity = identity_now()
redis.call('UNLINK', marker_key, unpack(KEYS, first_target))
redis.call('HSET', marker_key, 'epoch', epoch, 'identity', identity)
redis.call('PEXPIRE', marker_key, expire_ms)
return { 'begun', identity }
