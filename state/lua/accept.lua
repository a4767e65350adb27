-- Stores an envelope unless it was seen before. Arrivals are numbered by time, and by their order
-- within one tick of the clock. Returns fresh | seen.
local seen, waiting, bodies = KEYS[1], KEYS[2], KEYS[3]
local id, body, memory = ARGV[1], ARGV[2], ARGV[3]

if redis.call('EXISTS', seen) == 1 or redis.call('HEXISTS', bodies, id) == 1 then
  return {'seen'}
end
local last = redis.call('ZREVRANGE', waiting, 0, 0, 'WITHSCORES')
local arrival = math.max(clock(), (tonumber(last[2] or '0')) + 1)
redis.call('HSET', bodies, id, body)
redis.call('ZADD', waiting, int(arrival), id)
redis.call('SET', seen, '1', 'EX', memory)
return {'fresh'}
