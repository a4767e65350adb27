-- Forgets an envelope that was worked on. Returns ok | fenced.
local taken, bodies, owners = KEYS[1], KEYS[2], KEYS[3]
local id, owner = ARGV[1], ARGV[2]

if redis.call('HEXISTS', bodies, id) == 0 then
  return {'ok'}
end
if redis.call('HGET', owners, id) ~= owner then
  return {'fenced'}
end
redis.call('ZREM', taken, id)
redis.call('HDEL', bodies, id)
redis.call('HDEL', owners, id)
return {'ok'}
