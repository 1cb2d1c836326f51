-- What wrk sends: POSTs to one path, each with a token and an Idempotency-Key of its own, as a page of a shop would.
-- Arguments after `--`: file of tokens (one a line), file of bodies (one a line, in turn), prefix of the keys, `unique` or `replay`.
--   unique  every request a key of its own; tokens in turn
--   replay  key and token number i always together, from as many as there are tokens
local threads = 0

function setup(thread)
  thread:set('number', threads)
  threads = threads + 1
end

function init(args)
  prefix = args[3]
  replay = args[4] == 'replay'
  tokens = {}
  for token in io.lines(args[1]) do tokens[#tokens + 1] = token end
  tails = {}
  for body in io.lines(args[2]) do
    tails[#tails + 1] = '\r\nContent-Length: ' .. #body .. '\r\n\r\n' .. body
  end
  head = 'POST ' .. wrk.path .. ' HTTP/1.1\r\nHost: ' .. wrk.host .. '\r\nContent-Type: application/json\r\nAuthorization: Bearer '
  -- Threads begin apart, so that they do not send one buyer's requests at the same time.
  sent = 0
  offset = number * 7919
end

function request()
  sent = sent + 1
  local at = (sent + offset) % #tokens
  local key = replay and (prefix .. string.format('-%012d', at)) or (prefix .. string.format('-%d-%012d', number, sent))
  return head .. tokens[at + 1] .. '\r\nIdempotency-Key: ' .. key .. tails[(replay and at or sent) % #tails + 1]
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"duration_us":%d,"not_2xx":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d,'
      .. '"p50_us":%d,"p90_us":%d,"p99_us":%d,"p999_us":%d,"max_us":%d}\n',
    summary.requests, summary.duration, e.status, e.connect, e.read, e.write, e.timeout,
    latency:percentile(50), latency:percentile(90), latency:percentile(99), latency:percentile(99.9), latency.max))
end
