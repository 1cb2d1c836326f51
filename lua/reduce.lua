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
-- @include lib/buckets
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
local days, off_clock = bucket_days(record, first_bucket, first_day)
if off_clock then
  return off_clock
end
local now, today, bucket_today = days.now, days.today, days.bucket_of(days.today)
for day = today, days.oldest, -1 do
  local stored = redis.call('HGET', days.bucket_of(day), id)
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
bound_bucket(bucket_today, today)
write_counters(available_key, skus, available)
redis.call('HSET', record_key, 'seq', string.format('%.0f', seq))
return { 'taken', unpack(taken) }
