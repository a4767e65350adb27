-- Takes one token out of a bucket that fills by one every EVERY microseconds up to BURST, unless fewer
-- than RESERVE would be left or the bucket is paused. Returns ok | wait MICROSECONDS.
local bucket = KEYS[1]
local every, burst, reserve = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local now = clock()

local stored = redis.call('HMGET', bucket, 'tokens', 'at', 'paused')
local at = tonumber(stored[2] or now)
local tokens = math.min(burst, tonumber(stored[1] or burst) + math.max(now - at, 0) / every)
local wait = math.max((1 + reserve - tokens) * every, tonumber(stored[3] or 0) - now)
if wait > 0 then
  return {'wait', int(math.ceil(wait))}
end
redis.call('HSET', bucket, 'tokens', string.format('%.6f', tokens - 1), 'at', int(now))
redis.call('PEXPIRE', bucket, int(math.ceil(every * burst / 1000)) + 60000)
return {'ok'}
