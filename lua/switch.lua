-- switch: makes a staged generation the sale, in one step, with the recovery gate closed; verify opens it once the
-- ledger still knows of nothing newer. Until here the old memory is what it was.
-- KEYS: record marker available held catalog buyers stream buckets...
-- ARGV: epoch generation identity old_seq start_seq applied_n first_day counts fields...
-- RETURNS: { 'switched' } or { 'already' }, or what stands against it: { 'late' } the record has this epoch or a higher
--       one, { 'changed' } the record is not what was drained, { 'gone' } what was staged is not all there
--
-- identity   of the process that was claimed and staged into
-- old_seq    of the record that was drained, empty if there was none
-- counts     msgpack: how many fields were staged, in the order of KEYS: available, held, catalog, buyers, buckets
-- fields     name, value, ...: gate, times, limit, salt, route, currency, earliest_ms

-- @include lib/identity
-- @include lib/clock
-- @include lib/record
-- @include lib/buckets
-- @include lib/entry

local record_key, marker_key, stream_key = KEYS[1], KEYS[2], KEYS[7]
local first_staged, first_bucket = 3, 8
local epoch, generation, identity, old_seq, start_seq = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local applied_n, first_day, counts, first_field = ARGV[6], tonumber(ARGV[7]), cmsgpack.unpack(ARGV[8]), 9

local record = read_record(record_key)
if record.epoch then
  if record.epoch == epoch and record.generation == generation then
    return { 'already' }
  end
  if tonumber(record.epoch) >= tonumber(epoch) then
    return { 'late' }
  end
  if record.seq ~= old_seq or record.recovery == 'open' and record.identity == identity_now() then
    return { 'changed' }
  end
end
local marker = redis.call('HMGET', marker_key, 'epoch', 'identity')
if marker[1] ~= epoch or marker[2] ~= identity or identity ~= identity_now() then
  return { 'gone' }
end
-- The stream stands between the hashes that are counted: nothing was staged there.
local staged = {}
for i = first_staged, #KEYS do
  if KEYS[i] ~= stream_key then
    staged[#staged + 1] = KEYS[i]
  end
end
for i, key in ipairs(staged) do
  if redis.call('HLEN', key) ~= counts[i] then
    return { 'gone' }
  end
end
local values = { unpack(ARGV, first_field) }
local named = {}
for i = 1, #values, 2 do
  named[values[i]] = values[i + 1]
end

local seq = append_entry(stream_key, { seq = start_seq }, 'rebuild', {
  at = now_ms(), n = tonumber(applied_n), sku = {}, av = {}, he = {},
  gate = named.gate, version = tonumber(named.gate_version),
  epoch = tonumber(epoch), generation = tonumber(generation),
})
redis.call('DEL', record_key)
redis.call('HSET', record_key, 'epoch', epoch, 'generation', generation, 'identity', identity,
  'recovery', 'recovering', 'seq', string.format('%.0f', seq), 'applied_n', applied_n, unpack(values))
for _, key in ipairs(staged) do
  redis.call('PERSIST', key)
end
for i = first_bucket, #KEYS do
  bound_bucket(KEYS[i], first_day + i - first_bucket)
end
redis.call('DEL', marker_key)
return { 'switched' }
