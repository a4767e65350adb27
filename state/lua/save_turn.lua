-- Stores what was posted of a turn, for whoever claimed it last. With RELEASE the claim ends: the turn
-- leaves the outbox if what was TOLD of it is how it stands, else it is due again after a pause.
-- Returns ok | fenced.
local turn, turns = KEYS[1], KEYS[2]
local fence, owner, message, told, release, pause = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5] == '1', tonumber(ARGV[6])

if redis.call('HGET', turn, 'owner') ~= owner then
  return {'fenced'}
end
redis.call('HSET', turn, 'message', message)
if not release then
  return {'ok'}
end
if (redis.call('HGET', turn, 'over') or 'open') == told then
  redis.call('ZREM', turns, fence)
else
  redis.call('ZADD', turns, int(clock() + pause), fence)
end
return {'ok'}
