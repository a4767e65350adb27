-- Makes the claim of an owner, on an envelope or a card, last so much longer at least. Returns ok | fenced.
local claims, owners = KEYS[1], KEYS[2]
local id, field, owner, lease = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])

local ends = redis.call('ZSCORE', claims, id)
if not ends or redis.call('HGET', owners, field) ~= owner then
  return {'fenced'}
end
redis.call('ZADD', claims, int(math.max(tonumber(ends), clock() + lease)), id)
return {'ok'}
