-- reserve: decides who gets in, for a whole batch of requests at once. THE OVERSELL RULE IS HERE (take).
-- KEYS: record available held buyers stream buckets...
-- ARGV: epoch generation first_day not_after_ms hashes answers payloads batch
-- RETURNS: { 'refused', reason, epoch, generation }
--       or { 'done', now_ms, today, hold_ms, earliest_ms, limit, statuses, extras }
--
-- buckets   the record hashes of consecutive days, the first being first_day; this script picks
--           today and the two before by Redis TIME, never by an engine's clock
-- A request whose answer is empty is a question: it is decided like any other and takes nothing. Engines ask where a
-- request is likely to be refused, and spare what only a success needs; it names no fingerprint.
--
-- hashes    48 bytes a request: id, fingerprint, buyer, 16 bytes each
-- answers, payloads  one after another; their lengths are in the batch
-- batch     msgpack columns { skus, lines, answer_lengths, payload_lengths }: skus are the distinct SKUs of
--           the batch, lines is flat: count, (sku index, qty)* a request
--           (bytes travel outside of msgpack because cmsgpack knows text only)
-- statuses  one character a request, in order:
--           a accepted               r replay (extra: day, record)   m same key, other request
--           k a question about a known request (extra: day, record)  w a question that would be accepted: ask whole
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
-- @include lib/buckets
-- @include lib/entry
-- @include lib/limit
-- @include lib/stock

local slice = string.sub
local record_key, available_key, held_key, buyers_key, stream_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local first_bucket = 6
local epoch, first_day, not_after_ms = tonumber(ARGV[1]), tonumber(ARGV[3]), tonumber(ARGV[4])
local hashes, answers, payloads, batch = ARGV[5], ARGV[6], ARGV[7], cmsgpack.unpack(ARGV[8])
local skus, lines, answer_lengths, payload_lengths = batch[1], batch[2], batch[3], batch[4]

-- A list made with as many elements as it will have: one that grows is searched through each time.
local requests = #answer_lengths
local ids, buyers = { unpack(answer_lengths) }, { unpack(answer_lengths) }
for i = 1, requests do
  local first = 48 * i - 47
  ids[i] = slice(hashes, first, first + 15)
  buyers[i] = slice(hashes, first + 32, first + 31 + LIMIT_COUNTER_BYTES)
end

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

-- Known orders, day by day. known[i] is the record of request i, known_day[i] the day it lies in if not today.
local known, known_day = redis.call('HMGET', bucket_today, unpack(ids)), {}
for day = today - 1, days.oldest, -1 do
  local bucket = days.bucket_of(day)
  if redis.call('EXISTS', bucket) == 1 then
    local found = redis.call('HMGET', bucket, unpack(ids))
    for i = 1, requests do
      if found[i] then
        known[i], known_day[i] = found[i], day
      end
    end
  end
end

local limit = tonumber(record.limit)
-- Units that the buyer of request i had before this batch, and what buyers have who got some in it.
local owned_before = limit > 0 and redis.call('HMGET', buyers_key, unpack(buyers))
local owned = {}
local available, available_before = read_counters(available_key, skus), {}
local held_before = read_counters(held_key, skus)
for sku = 1, #skus do
  -- Both counters or none: a SKU with one of them is not known.
  available[sku] = held_before[sku] and available[sku]
  available_before[sku] = available[sku]
end

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

-- What this batch has taken of a SKU so far is held.
local function held_now(sku)
  return held_before[sku] + available_before[sku] - available[sku]
end

-- Puts back the lines from `at` to `last` of a request that is refused.
local function put_back(at, last)
  for k = at, last, 2 do
    available[lines[k]] = available[lines[k]] + lines[k + 1]
  end
end

-- THE OVERSELL RULE: every line must be covered, or nothing is taken. Lines are subtracted as they
-- are read, so two lines of one SKU can't both count the same units; a refused request puts them back.
-- Returns 'a' when taken, with the units; else the status and its extra.
local function take(at, last, owned_units)
  local units, short = 0, false
  for k = at, last, 2 do
    local sku, qty = lines[k], lines[k + 1]
    local left = available[sku]
    if not left then
      put_back(at, k - 2)
      return 'u'
    end
    left = left - qty
    available[sku] = left
    units = units + qty
    short = short or left < 0
  end
  if limit > 0 and owned_units + units > limit then
    put_back(at, last)
    return 'l', integer_text(owned_units)
  end
  if not short then
    return 'a', units
  end
  put_back(at, last)
  local wanted, left, hopeless = {}, {}, false
  for k = at, last, 2 do
    local sku = lines[k]
    wanted[sku] = (wanted[sku] or 0) + lines[k + 1]
    left[#left + 1] = integer_text(available[sku])
    -- Held units may come back: it is sold out only if even they would not do.
    hopeless = hopeless or wanted[sku] > available[sku] + held_now(sku)
  end
  return hopeless and 's' or 'h', table.concat(left, ',')
end

local stamp = struct.pack('>I6I4', now, tonumber(record.hold_ms))
local closed = gate_status()
local statuses, extras = { unpack(answer_lengths) }, {}
-- taken counts the requests accepted: asking a table for its length searches it.
local taken, taken_records, taken_buyers, taken_here = 0, {}, {}, {}
-- Payloads of neighbours that are taken go into the entry in one piece.
local taken_payloads, run_from, run_to = {}, 1, 0
local at, answer_at, payload_at = 1, 1, 1
for i = 1, requests do
  local id, first, last = ids[i], at + 1, at + 2 * lines[at]
  local answer_next, payload_next = answer_at + answer_lengths[i], payload_at + payload_lengths[i]
  local stored = known[i] or taken_here[id]
  local status, extra
  if stored then
    if answer_lengths[i] == 0 then
      status = 'k'
    else
      local same = string.sub(stored, 1, 16) == string.sub(hashes, 48 * i - 31, 48 * i - 16)
      status = same and 'r' or 'm'
    end
    if status ~= 'm' then
      extras[#extras + 1] = tostring(known_day[i] or today)
      extra = stored
    end
  elseif closed then
    status = closed
  else
    local buyer = buyers[i]
    local units = limit > 0 and (owned[buyer] or tonumber(owned_before[i] or 0))
    status, extra = take(first, last, units)
    if status == 'a' and answer_lengths[i] == 0 then
      put_back(first, last)
      status, extra = 'w', nil
    elseif status == 'a' then
      -- Fingerprint and buyer stand next to each other in the record as in the batch.
      local value = slice(hashes, 48 * i - 31, 48 * i) .. stamp .. slice(answers, answer_at, answer_next - 1)
      taken = taken + 1
      taken_here[id] = value
      taken_records[2 * taken - 1], taken_records[2 * taken] = id, value
      if limit > 0 then
        owned[buyer] = units + extra
        taken_buyers[taken] = buyer
      end
      if run_to ~= payload_at - 1 then
        taken_payloads[#taken_payloads + 1] = slice(payloads, run_from, run_to)
        run_from = payload_at
      end
      run_to = payload_next - 1
      extra = nil
    end
  end
  statuses[i] = status
  if extra then
    extras[#extras + 1] = extra
  end
  at, answer_at, payload_at = last + 1, answer_next, payload_next
end

local earliest = tonumber(record.earliest_ms) or 0
if taken > 0 then
  if earliest == 0 then
    earliest = now + tonumber(record.hold_ms)
  end
  local names, available_after, held_after = {}, {}, {}
  for sku = 1, #skus do
    if available[sku] ~= available_before[sku] then
      names[#names + 1] = skus[sku]
      available_after[#names] = available[sku]
      held_after[#names] = held_now(sku)
    end
  end
  local counters = {}
  for i = 1, #taken_buyers do
    local buyer = taken_buyers[i]
    counters[2 * i - 1], counters[2 * i] = buyer, integer_text(owned[buyer])
  end
  -- All of them in one piece stay as they are: Lua hashes every byte of a string that it makes.
  local orders = payloads
  if #taken_payloads > 0 or run_to - run_from + 1 < #payloads then
    taken_payloads[#taken_payloads + 1] = slice(payloads, run_from, run_to)
    orders = table.concat(taken_payloads)
  end
  -- Everything has been checked: from here on there are only writes, and the first is the entry.
  local seq = append_entry(stream_key, record, 'reserve', {
    at = now, n = tonumber(record.applied_n), day = today, hold = tonumber(record.hold_ms),
    sku = names, av = available_after, he = held_after,
  }, orders)
  redis.call('HSET', bucket_today, unpack(taken_records))
  bound_bucket(bucket_today, today)
  write_counters(available_key, names, available_after)
  write_counters(held_key, names, held_after)
  if #counters > 0 then
    redis.call('HSET', buyers_key, unpack(counters))
  end
  redis.call('HSET', record_key, 'seq', string.format('%d', seq), 'earliest_ms', string.format('%d', earliest))
end

return {
  'done', string.format('%d', now), tostring(today), record.hold_ms, string.format('%d', earliest),
  record.limit, table.concat(statuses), extras,
}
