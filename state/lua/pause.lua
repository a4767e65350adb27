-- Lets nobody take from a bucket for so many microseconds; a longer pause stays. Returns ok.
local bucket, lasts = KEYS[1], tonumber(ARGV[1])
local until_then = math.max(clock() + lasts, tonumber(redis.call('HGET', bucket, 'paused') or '0'))
redis.call('HSET', bucket, 'paused', int(until_then))
redis.call('PEXPIRE', bucket, int(math.ceil(lasts / 1000)) + 60000)
return {'ok'}
