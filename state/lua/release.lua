-- Gives a lease up; the rollout is due after a delay, or never if that is negative. A lease that is
-- lost already needs nothing. An event that a person committed since the lease was claimed, and that
-- its holder may not have seen, makes the rollout due at once. Returns ok.
local rollout, leases, due = KEYS[1], KEYS[2], KEYS[3]
local id, fence, delay, wakes = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]

local stored = redis.call('HMGET', rollout, 'fence', 'poked')
if stored[1] ~= fence then
  return {'ok'}
end
if stored[2] then
  delay = 0
end
if delay >= 0 then
  redis.call('ZADD', due, int(clock() + delay), id)
end
redis.call('ZREM', leases, id)
redis.call('HDEL', rollout, 'fence', 'owner', 'poked')
if delay == 0 then
  redis.call('PUBLISH', wakes, id)
end
return {'ok'}
