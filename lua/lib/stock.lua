-- Reads and writes the two counters of a list of SKUs. `available` is what may be taken now, `held`
-- what reservations hold that are neither confirmed nor released. An unknown SKU reads as false.
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
  for i, sku in ipairs(skus) do
    pairs_list[2 * i - 1] = sku
    pairs_list[2 * i] = string.format('%.0f', values[i])
  end
  if #skus > 0 then
    redis.call('HSET', key, unpack(pairs_list))
  end
end
