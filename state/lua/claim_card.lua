-- Gives an owner the stale card that waits longest. While it is claimed its score is the end of the
-- claim, as it is the time of the next try while it waits for one. DOUBT is 1 if what the card shows has
-- to be shown again. Returns ok ID CARD DOUBT | none.
local cards, rollouts, prefix = KEYS[1], KEYS[2], KEYS[3]
local owner, lease, schema = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local now = clock()

for _, id in ipairs(redis.call('ZRANGEBYSCORE', cards, '-inf', int(now), 'LIMIT', 0, 64)) do
  local known = redis.call('HGET', rollouts .. id, 'schema')
  if not known then
    redis.call('ZREM', cards, id)
  elseif tonumber(known) <= schema then
    redis.call('HSET', prefix .. id, 'owner', owner)
    redis.call('ZADD', cards, int(now + lease), id)
    local doubt = redis.call('HDEL', prefix .. id, 'doubt')
    return {'ok', id, redis.call('HGET', prefix .. id, 'card') or '', int(doubt)}
  end
end
return {'none'}
