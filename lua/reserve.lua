-- reserve: decides who gets in, for a whole batch of requests at once. THE OVERSELL RULE IS HERE (take).
-- KEYS: record available held buyers stream buckets...
-- ARGV: epoch generation first_day not_after_ms hashes answers payloads batch
-- RETURNS: { 'refused', reason, epoch, generation }
--       or { 'done', now_ms, today, hold_ms, earliest_ms, limit, statuses, extras }
--
-- buckets   the record hashes of consecutive days, the first being first_day; this script picks
--           today and the two before by Redis TIME, never by an engine's clock
-- hashes    48 bytes a request: id, fingerprint, buyer, 16 bytes each
-- answers, payloads  one after another; their lengths are in the batch
-- batch     msgpack columns { skus, lines, answer_lengths, payload_lengths }: skus are the distinct SKUs of
--           the batch, lines is flat: count, (sku index, qty)* a request
--           (bytes travel outside of msgpack because cmsgpack knows text only)
-- statuses  one character a request, in order:
--           a accepted               r replay (extra: day, record)   m same key, other request
--           t past not_after         n not open yet                  c closed
--           p paused                 l limit (extra: units the buyer has)
--           s sold out, h held (extra: available per line, comma-separated)   u unknown SKU
-- extras    flat, in the order of the statuses that have one
--
-- A record is fingerprint (16 bytes), buyer (16), time of the first take in ms (6, big endian),
-- hold in ms (4), answer. Only its first writer ever writes it.

-- @include lib/identity
-- @include lib/clock
-- @include lib/record
-- @include lib/guard
-- @include lib/entry
-- @include lib/stock

local record_key, available_key, held_key, buyers_key, stream_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local first_bucket = 6
local epoch, first_day, not_after_ms = tonumber(ARGV[1]), tonumber(ARGV[3]), tonumber(ARGV[4])
local hashes, answers, payloads, batch = ARGV[5], ARGV[6], ARGV[7], cmsgpack.unpack(ARGV[8])
local skus, lines, answer_lengths, payload_lengths = batch[1], batch[2], batch[3], batch[4]

local ids, fingerprints, buyers = {}, {}, {}
for i = 1, #answer_lengths do
  local first = 48 * i - 47
  ids[i] = string.sub(hashes, first, first + 15)
  fingerprints[i] = string.sub(hashes, first + 16, first + 31)
  buyers[i] = string.sub(hashes, first + 32, first + 47)
end

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

-- Known orders, day by day. known[i] is the record of request i, known_day[i] the day it lies in.
local known, known_day = {}, {}
for day = today, today - 2, -1 do
  local bucket = KEYS[first_bucket + day - first_day]
  if day == today or redis.call('EXISTS', bucket) == 1 then
    local found = redis.call('HMGET', bucket, unpack(ids))
    for i = 1, #ids do
      if found[i] then
        known[i], known_day[i] = found[i], day
      end
    end
  end
end

local limit = tonumber(record.limit)
local owned = {}
if limit > 0 then
  local counts = redis.call('HMGET', buyers_key, unpack(buyers))
  for i = 1, #buyers do
    owned[buyers[i]] = tonumber(counts[i] or 0)
  end
end
local available = read_counters(available_key, skus)
local held = read_counters(held_key, skus)

-- What every new request of this batch meets before limit and stock; nil when the sale is open.
local function gate_status()
  local opens, closes = tonumber(record.opens_at_ms), tonumber(record.closes_at_ms)
  if now > not_after_ms then
    return 't'
  elseif record.gate == 'closed' or (closes > 0 and now >= closes) then
    return 'c'
  elseif record.gate == 'paused' then
    return 'p'
  elseif record.gate == 'scheduled' and now < opens then
    return 'n'
  end
  return nil
end

-- THE OVERSELL RULE: every line must be covered, or nothing is taken. Lines are subtracted as they
-- are read, so two lines of one SKU can't both count the same units; a short one puts them back.
-- Returns nil when taken, else the status.
local touched_skus = {}
local function take(at, count)
  local status
  local last = at + 2 * count - 2
  for k = at, last, 2 do
    if not available[lines[k]] or not held[lines[k]] then
      return 'u'
    end
  end
  for k = at, last, 2 do
    available[lines[k]] = available[lines[k]] - lines[k + 1]
  end
  for k = at, last, 2 do
    local sku = lines[k]
    if available[sku] < 0 then
      -- Held units may come back: it is sold out only if even they would not do.
      local may_return = available[sku] + held[sku] >= 0
      status = (status == 's' or not may_return) and 's' or 'h'
    end
  end
  for k = at, last, 2 do
    local sku, qty = lines[k], lines[k + 1]
    if status then
      available[sku] = available[sku] + qty
    else
      held[sku] = held[sku] + qty
      touched_skus[sku] = true
    end
  end
  return status
end

local function available_per_line(at, count)
  local values = {}
  for k = at, at + 2 * count - 2, 2 do
    values[#values + 1] = string.format('%.0f', available[lines[k]])
  end
  return table.concat(values, ',')
end

local stamp = struct.pack('>I6I4', now, tonumber(record.hold_ms))
local closed = gate_status()
local statuses, extras = {}, {}
local taken_records, taken_orders, touched_buyers = {}, {}, {}
local taken_here = {}
local at, answer_at, payload_at = 1, 1, 1
for i, id in ipairs(ids) do
  local count = lines[at]
  at = at + 1
  local stored = known[i] or taken_here[id]
  local status
  if stored then
    status = string.sub(stored, 1, 16) == fingerprints[i] and 'r' or 'm'
    if status == 'r' then
      extras[#extras + 1] = tostring(known_day[i] or today)
      extras[#extras + 1] = stored
    end
  elseif closed then
    status = closed
  else
    local buyer, units = buyers[i], 0
    for k = at, at + 2 * count - 2, 2 do
      units = units + lines[k + 1]
    end
    if limit > 0 and owned[buyer] + units > limit then
      status = 'l'
      extras[#extras + 1] = tostring(owned[buyer])
    else
      status = take(at, count)
      if not status then
        status = 'a'
        local value = fingerprints[i] .. buyer .. stamp .. string.sub(answers, answer_at, answer_at + answer_lengths[i] - 1)
        taken_here[id] = value
        taken_records[#taken_records + 1] = id
        taken_records[#taken_records + 1] = value
        taken_orders[#taken_orders + 1] = string.sub(payloads, payload_at, payload_at + payload_lengths[i] - 1)
        if limit > 0 then
          owned[buyer] = owned[buyer] + units
          touched_buyers[buyer] = true
        end
      elseif status ~= 'u' then
        extras[#extras + 1] = available_per_line(at, count)
      end
    end
  end
  statuses[i] = status
  at, answer_at, payload_at = at + 2 * count, answer_at + answer_lengths[i], payload_at + payload_lengths[i]
end

local earliest = tonumber(record.earliest_ms)
if #taken_orders > 0 then
  if earliest == 0 then
    earliest = now + tonumber(record.hold_ms)
  end
  local names, available_after, held_after = {}, {}, {}
  for sku in pairs(touched_skus) do
    names[#names + 1] = skus[sku]
    available_after[#names] = available[sku]
    held_after[#names] = held[sku]
  end
  -- Everything has been checked: from here on there are only writes, and the first is the entry.
  local seq = append_entry(stream_key, record, 'reserve', {
    at = now, n = tonumber(record.applied_n), day = today, hold = tonumber(record.hold_ms),
    sku = names, av = available_after, he = held_after,
  }, table.concat(taken_orders))
  redis.call('HSET', bucket_today, unpack(taken_records))
  redis.call('PEXPIREAT', bucket_today, string.format('%.0f', (today + 4) * 86400000), 'NX')
  write_counters(available_key, names, available_after)
  write_counters(held_key, names, held_after)
  local counters = {}
  for buyer in pairs(touched_buyers) do
    counters[#counters + 1] = buyer
    counters[#counters + 1] = tostring(owned[buyer])
  end
  if #counters > 0 then
    redis.call('HSET', buyers_key, unpack(counters))
  end
  redis.call('HSET', record_key, 'seq', string.format('%.0f', seq), 'earliest_ms', string.format('%.0f', earliest))
end

return {
  'done', string.format('%.0f', now), tostring(today), record.hold_ms, string.format('%.0f', earliest),
  record.limit, table.concat(statuses), extras,
}
