-- Gives one rollout to an owner: those whose lease ran out first, else takeovers starve behind new
-- work. Rollouts of a newer schema are left to replicas that know it.
-- Returns ok ID FENCE | none.
local due, leases, fences, rollouts = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local owner, ttl, schema = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local now = clock()

local function first(set)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', set, '-inf', int(now), 'LIMIT', 0, 64)) do
    local known = redis.call('HGET', rollouts .. id, 'schema')
    if not known then
      redis.call('ZREM', set, id)
    elseif tonumber(known) <= schema then
      return id
    end
  end
end

local id = first(leases) or first(due)
if not id then
  return {'none'}
end
local fence = next_fence(fences, now)
redis.call('HSET', rollouts .. id, 'fence', fence, 'owner', owner)
redis.call('HDEL', rollouts .. id, 'poked')
redis.call('ZADD', leases, int(now + ttl), id)
redis.call('ZREM', due, id)
return {'ok', id, fence}
