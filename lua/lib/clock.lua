-- Redis TIME in whole milliseconds. Milliseconds have 13 digits: Lua writes up to 14 digits exactly.
local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
