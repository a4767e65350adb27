-- Extends a lease that nobody else has taken. Returns ok | fenced.
local rollout, leases = KEYS[1], KEYS[2]
local id, fence, ttl = ARGV[1], ARGV[2], tonumber(ARGV[3])

if redis.call('HGET', rollout, 'fence') ~= fence then
  return {'fenced'}
end
redis.call('ZADD', leases, int(clock() + ttl), id)
return {'ok'}
