-- Gives an owner one envelope: those whose lease ran out first, they are the oldest, then the oldest
-- that waits. Returns ok ID BODY | none.
local waiting, taken, bodies, owners = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local owner, lease = ARGV[1], tonumber(ARGV[2])
local now = clock()

local id = redis.call('ZRANGEBYSCORE', taken, '-inf', int(now), 'LIMIT', 0, 1)[1]
if not id then
  id = redis.call('ZRANGE', waiting, 0, 0)[1]
end
if not id then
  return {'none'}
end
redis.call('ZADD', taken, int(now + lease), id)
redis.call('ZREM', waiting, id)
redis.call('HSET', owners, id, owner)
return {'ok', id, redis.call('HGET', bodies, id)}
