-- Reads and writes the two counters of a list of SKUs. `available` is what may be taken now, `held`
-- what reservations hold that are neither confirmed nor released. An unknown SKU reads as false.

-- An integer as text, by way of %d: %.0f writes floating point, which costs many times as much. Most counters of a batch are alike.
local texts = {}
local function integer_text(value)
  local text = texts[value]
  if not text then
    text = string.format('%d', value)
    texts[value] = text
  end
  return text
end

local function read_counters(key, skus)
  if #skus == 0 then
    return {}
  end
  local values = redis.call('HMGET', key, unpack(skus))
  for i = 1, #skus do
    values[i] = values[i] and tonumber(values[i])
  end
  return values
end

local function write_counters(key, skus, values)
  local pairs_list = {}
  for i = 1, #skus do
    pairs_list[2 * i - 1] = skus[i]
    pairs_list[2 * i] = integer_text(values[i])
  end
  if #skus > 0 then
    redis.call('HSET', key, unpack(pairs_list))
  end
end
