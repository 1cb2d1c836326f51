-- load_items: writes SKUs of a sale that is not loaded yet; called until all are there, then load.
-- KEYS: record available held catalog
-- ARGV: batch
-- RETURNS: { 'staged' } or { 'exists' } when the sale has a record already
--
-- batch     msgpack { skus, quantities, entries }, an entry being { position, name, unit_price }

local record_key, available_key, held_key, catalog_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local batch = cmsgpack.unpack(ARGV[1])
local skus, quantities, entries = batch[1], batch[2], batch[3]

if redis.call('EXISTS', record_key) == 1 then
  return { 'exists' }
end
local available, held, catalog = {}, {}, {}
for i, sku in ipairs(skus) do
  available[2 * i - 1], available[2 * i] = sku, string.format('%.0f', quantities[i])
  held[2 * i - 1], held[2 * i] = sku, '0'
  catalog[2 * i - 1], catalog[2 * i] = sku, cmsgpack.pack(entries[i])
end
-- Fails before anything is written if one of them is something else.
for i = 2, #KEYS do
  redis.call('HLEN', KEYS[i])
end
redis.call('HSET', available_key, unpack(available))
redis.call('HSET', held_key, unpack(held))
redis.call('HSET', catalog_key, unpack(catalog))
return { 'staged' }
