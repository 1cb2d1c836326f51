-- apply: gives stock, held units and purchase limits back, one numbered batch of the ledger's movements.
-- KEYS: record available held buyers stream
-- ARGV: epoch generation n earliest_ms buyers batch
-- RETURNS: { 'refused', reason, epoch, generation } or { 'applied' } or { 'already' }
--
-- n         takes effect only if the sale holds n - 1; n or less has been applied, so sending again is
--           harmless; a gap, or a result below zero, fences the sale (reason impossible)
-- buyers    their hashes, 16 bytes each
-- batch     msgpack columns { skus, to_available, from_held, units }, all quantities >= 0; units a buyer
-- earliest_ms  deadline of the oldest hold in the ledger, 0 if it has none

-- @include lib/identity
-- @include lib/clock
-- @include lib/record
-- @include lib/guard
-- @include lib/entry
-- @include lib/limit
-- @include lib/stock

local record_key, available_key, held_key, buyers_key, stream_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local epoch, n, earliest_ms = tonumber(ARGV[1]), tonumber(ARGV[3]), ARGV[4]
local buyer_hashes, batch = ARGV[5], cmsgpack.unpack(ARGV[6])
local skus, to_available, from_held, units = batch[1], batch[2], batch[3], batch[4]

local buyers = {}
for i = 1, #units do
  buyers[i] = string.sub(buyer_hashes, 16 * i - 15, 16 * i - 16 + LIMIT_COUNTER_BYTES)
end

local record = read_record(record_key)
local refusal = guard(record_key, record, epoch)
if refusal then
  return refusal
end
local applied_n = tonumber(record.applied_n)
if n <= applied_n then
  return { 'already' }
end

local possible = n == applied_n + 1
local available = read_counters(available_key, skus)
local held = read_counters(held_key, skus)
for i = 1, #skus do
  if available[i] and held[i] and to_available[i] >= 0 and from_held[i] >= 0 then
    available[i] = available[i] + to_available[i]
    held[i] = held[i] - from_held[i]
    possible = possible and held[i] >= 0
  else
    possible = false
  end
end
local counts = {}
if #buyers > 0 then
  counts = redis.call('HMGET', buyers_key, unpack(buyers))
  for i = 1, #buyers do
    counts[i] = tonumber(counts[i] or 0) - units[i]
    possible = possible and counts[i] >= 0 and units[i] >= 0
  end
end
if not possible then
  redis.call('HSET', record_key, 'recovery', 'recovering')
  return { 'refused', 'impossible', record.epoch, record.generation }
end

local seq = append_entry(stream_key, record, 'apply', {
  at = now_ms(), n = n, sku = skus, av = available, he = held,
})
write_counters(available_key, skus, available)
write_counters(held_key, skus, held)
local emptied, counters = {}, {}
for i, buyer in ipairs(buyers) do
  if counts[i] == 0 then
    emptied[#emptied + 1] = buyer
  else
    counters[#counters + 1] = buyer
    counters[#counters + 1] = string.format('%.0f', counts[i])
  end
end
if #emptied > 0 then
  redis.call('HDEL', buyers_key, unpack(emptied))
end
if #counters > 0 then
  redis.call('HSET', buyers_key, unpack(counters))
end
redis.call('HSET', record_key, 'seq', string.format('%.0f', seq),
  'applied_n', string.format('%.0f', n), 'earliest_ms', earliest_ms)
return { 'applied' }
