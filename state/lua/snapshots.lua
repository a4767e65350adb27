-- Reads the rollouts of a sorted set at one instant, from the lowest score up, or the newest LIMIT of
-- them from the highest down. Returns groups of ID, schema, lock fence and snapshot.
local set, rollouts = KEYS[1], KEYS[2]
local order, limit = ARGV[1], tonumber(ARGV[2])

local ids
if order == 'newest' then
  ids = redis.call('ZREVRANGE', set, 0, limit - 1)
else
  ids = redis.call('ZRANGE', set, 0, -1)
end
local found = {}
for _, id in ipairs(ids) do
  local r = redis.call('HMGET', rollouts .. id, 'schema', 'lock', 'snapshot')
  if r[1] then
    for _, value in ipairs({id, r[1], r[2], r[3]}) do
      found[#found + 1] = value
    end
  end
end
return found
