-- reduce: an operator takes units out of sale, of each SKU at most what is available.
-- KEYS: record available held stream buckets...
-- ARGV: epoch generation first_day id fingerprint request_id batch
-- RETURNS: { 'refused', reason, epoch, generation } or { 'unknown_sku' } or { 'mismatch' }
--       or { 'taken' | 'replay', qty... } in the order of the request's SKUs
--
-- id           16 bytes, the record of this request in today's bucket, as with a reservation
-- request_id   the operator's key, told to the ledger in the entry
-- batch        msgpack { skus, qtys }, each SKU once

-- @include lib/identity
-- @include lib/clock
-- @include lib/record
-- @include lib/guard
-- @include lib/entry
-- @include lib/stock

local record_key, available_key, held_key, stream_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local first_bucket = 5
local epoch, first_day, id, fingerprint, request_id = tonumber(ARGV[1]), tonumber(ARGV[3]), ARGV[4], ARGV[5], ARGV[6]
local batch = cmsgpack.unpack(ARGV[7])
local skus, qtys = batch[1], batch[2]

local record = read_record(record_key)
local refusal = guard(record_key, record, epoch)
if refusal then
  return refusal
end
local now = now_ms()
local today = math.floor(now / 86400000)
local bucket_today = KEYS[first_bucket + today - first_day]
if not bucket_today or not KEYS[first_bucket + today - first_day - 2] then
  return { 'refused', 'clock', record.epoch, record.generation, string.format('%.0f', now) }
end
for day = today, today - 2, -1 do
  local stored = redis.call('HGET', KEYS[first_bucket + day - first_day], id)
  if stored then
    if string.sub(stored, 1, 16) ~= fingerprint then
      return { 'mismatch' }
    end
    return { 'replay', unpack(cmsgpack.unpack(string.sub(stored, 17))) }
  end
end

local available = read_counters(available_key, skus)
local held = read_counters(held_key, skus)
local taken = {}
for i = 1, #skus do
  if not available[i] or not held[i] then
    return { 'unknown_sku' }
  end
  taken[i] = math.min(available[i], qtys[i])
  available[i] = available[i] - taken[i]
end

local seq = append_entry(stream_key, record, 'reduce', {
  at = now, n = tonumber(record.applied_n), sku = skus, av = available, he = held,
  request_id = request_id, taken = taken,
})
redis.call('HSET', bucket_today, id, fingerprint .. cmsgpack.pack(taken))
redis.call('PEXPIREAT', bucket_today, string.format('%.0f', (today + 4) * 86400000), 'NX')
write_counters(available_key, skus, available)
redis.call('HSET', record_key, 'seq', string.format('%.0f', seq))
return { 'taken', unpack(taken) }
