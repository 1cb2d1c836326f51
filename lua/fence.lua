-- fence: closes the recovery gate. Takes no sequence and appends nothing.
-- KEYS: record
-- RETURNS: { 'fenced' } or { 'missing' }

local record_key = KEYS[1]

if redis.call('EXISTS', record_key) == 0 then
  return { 'missing' }
end
redis.call('HSET', record_key, 'recovery', 'recovering')
return { 'fenced' }
