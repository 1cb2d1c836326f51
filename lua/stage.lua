-- stage: writes fields of one key of a generation that is not in use yet. The same step again changes nothing.
-- KEYS: marker target
-- ARGV: epoch expire_ms fields...
-- RETURNS: { 'staged' } or { 'gone' } when the marker is not this epoch's: switched, lost, or given up
--
-- fields       name, value, ...
-- expire_ms    a generation that is never switched to goes away by itself

local marker_key, target = KEYS[1], KEYS[2]
local epoch, expire_ms, first_field = ARGV[1], tonumber(ARGV[2]), 3
-- Nothing may fail once something is written.
if not (epoch and expire_ms and expire_ms >= 1 and expire_ms <= 1e12) then
  return redis.error_reply('ERR stage: arguments are missing')
end
expire_ms = string.format('%.0f', expire_ms)

if redis.call('HGET', marker_key, 'epoch') ~= epoch then
  return { 'gone' }
end
redis.call('HSET', target, unpack(ARGV, first_field))
redis.call('PEXPIRE', target, expire_ms)
return { 'staged' }
