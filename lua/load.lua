-- load: makes the record of a new sale, with the recovery gate closed; the reconciler opens it with verify
-- once the ledger knows that the sale is loaded. So "no record" can be told from "lost its memory".
-- KEYS: record stream available held catalog
-- ARGV: epoch generation items fields...
-- RETURNS: { 'loaded' } or { 'exists' }, or { 'incomplete' } when the SKUs there are not those of the sale,
--       forgotten since load_items or left over from elsewhere: they are removed
--
-- items     how many SKUs the sale has
-- fields    name, value, ...: gate, times, limit, salt, route, currency

-- @include lib/clock
-- @include lib/entry

local record_key, stream_key, first_staged = KEYS[1], KEYS[2], 3
local epoch, generation, items, first_field = ARGV[1], ARGV[2], tonumber(ARGV[3]), 4
-- Nothing may fail once the entry is written.
if #ARGV <= first_field or #ARGV % 2 ~= 1 then
  return redis.error_reply('ERR load: fields are names and values')
end

if redis.call('EXISTS', record_key) == 1 then
  return { 'exists' }
end
local complete = true
for i = first_staged, #KEYS do
  complete = redis.call('HLEN', KEYS[i]) == items and complete
end
if not complete then
  redis.call('UNLINK', unpack(KEYS, first_staged))
  return { 'incomplete' }
end
local seq = append_entry(stream_key, { seq = '0' }, 'load', {
  at = now_ms(), n = 0, sku = {}, av = {}, he = {},
})
redis.call('HSET', record_key, 'epoch', epoch, 'generation', generation, 'identity', '', 'recovery', 'recovering',
  'seq', string.format('%.0f', seq), 'applied_n', '0', 'earliest_ms', '0', unpack(ARGV, first_field))
return { 'loaded' }
