-- Record buckets, one a day. A script looks into today's and the two before, and a bucket lives one day longer
-- than anybody looks into it. domain/limits.ts has the same two numbers; a test holds them together.
local DAY_MS = 86400000
local RECORD_WINDOW_DAYS = 3
local RECORD_TTL_DAYS = 4

-- The days to look into by Redis TIME, whatever the caller's clock: { now, today, oldest, bucket_of }, the last a
-- function from a day to its key. Nil and the refusal `clock` where the keys passed don't cover them.
local function bucket_days(record, first_bucket, first_day)
  local now = now_ms()
  local today = math.floor(now / DAY_MS)
  local oldest = today - RECORD_WINDOW_DAYS + 1
  local function bucket_of(day)
    return KEYS[first_bucket + day - first_day]
  end
  if not bucket_of(today) or not bucket_of(oldest) then
    return nil, { 'refused', 'clock', record.epoch, record.generation, string.format('%d', now) }
  end
  return { now = now, today = today, oldest = oldest, bucket_of = bucket_of }
end

-- Sets when a bucket written to for the first time goes away.
local function bound_bucket(bucket, today)
  redis.call('PEXPIREAT', bucket, string.format('%d', (today + RECORD_TTL_DAYS) * DAY_MS), 'NX')
end
