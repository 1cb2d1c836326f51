-- What wrk sends: POSTs to one path, each with a token and an Idempotency-Key of its own, as a page of a shop would.
-- Arguments after `--`: file of tokens (one a line), file of bodies (one a line, in turn), prefix of the keys, mode:
--   unique  every request a key of its own; tokens in turn
--   replay  key and token number i always together, from as many as there are tokens
--   mixed   of 20 requests 14 are new ones (4 of 5 want the first body, the fifth one of the others), 4 are the same as a new one
--           some time ago, 1 has the key of such a one and another body, 1 has a body of no units, which is invalid
local threads = {}
-- New requests between a request and what repeats it: it has been answered by then.
local BACK = 300
local MIX = { [3] = 'retry', [7] = 'altered', [8] = 'retry', [12] = 'retry', [14] = 'invalid', [18] = 'retry' }

function setup(thread)
  thread:set('number', #threads)
  threads[#threads + 1] = thread
end

function init(args)
  prefix = args[3]
  mode = args[4]
  tokens = {}
  for token in io.lines(args[1]) do tokens[#tokens + 1] = token end
  tails = {}
  invalid_tails = {}
  for body in io.lines(args[2]) do
    tails[#tails + 1] = tail_of(body)
    invalid_tails[#invalid_tails + 1] = tail_of((body:gsub('"qty":1', '"qty":0')))
  end
  head = 'POST ' .. wrk.path .. ' HTTP/1.1\r\nHost: ' .. wrk.host .. '\r\nContent-Type: application/json\r\nAuthorization: Bearer '
  -- Threads begin apart, so that they do not send one buyer's requests at the same time.
  sent = 0
  offset = number * 7919
  sent_new, sent_retry, sent_altered, sent_invalid = 0, 0, 0, 0
end

function tail_of(body)
  return '\r\nContent-Length: ' .. #body .. '\r\n\r\n' .. body
end

local function own_key(index)
  return prefix .. string.format('-%d-%012d', number, index)
end

local function text(index, key, tail)
  return head .. tokens[(index + offset) % #tokens + 1] .. '\r\nIdempotency-Key: ' .. key .. tail
end

-- New request number `index`: its body.
local function wanted(index)
  if index % 5 > 0 or #tails == 1 then return 1 end
  return 2 + math.floor(index / 5) % (#tails - 1)
end

local function mixed()
  local kind = sent_new > BACK and MIX[sent % 20] or 'new'
  if kind == 'new' then
    sent_new = sent_new + 1
    return text(sent_new, own_key(sent_new), tails[wanted(sent_new)])
  end
  local index = sent_new - BACK + (sent * 7) % 150
  if kind == 'retry' then
    sent_retry = sent_retry + 1
    return text(index, own_key(index), tails[wanted(index)])
  elseif kind == 'altered' then
    sent_altered = sent_altered + 1
    return text(index, own_key(index), tails[wanted(index) % #tails + 1])
  end
  sent_invalid = sent_invalid + 1
  return text(index, prefix .. string.format('-i%d-%012d', number, sent), invalid_tails[1])
end

function request()
  sent = sent + 1
  if mode == 'mixed' then return mixed() end
  local at = (sent + offset) % #tokens
  if mode == 'replay' then
    return text(sent, prefix .. string.format('-%012d', at), tails[at % #tails + 1])
  end
  return text(sent, own_key(sent), tails[sent % #tails + 1])
end

function done(summary, latency)
  local e = summary.errors
  local sums = {}
  for _, name in ipairs({ 'sent_new', 'sent_retry', 'sent_altered', 'sent_invalid' }) do
    local sum = 0
    for _, thread in ipairs(threads) do sum = sum + thread:get(name) end
    sums[#sums + 1] = string.format('"%s":%d', name, sum)
  end
  io.write(string.format(
    '\n{"requests":%d,"duration_us":%d,"not_2xx":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d,'
      .. '"p50_us":%d,"p90_us":%d,"p99_us":%d,"p999_us":%d,"max_us":%d,%s}\n',
    summary.requests, summary.duration, e.status, e.connect, e.read, e.write, e.timeout,
    latency:percentile(50), latency:percentile(90), latency:percentile(99), latency:percentile(99.9), latency.max,
    table.concat(sums, ',')))
end
