-- Removes the lock with a fence. One that is gone already needs nothing; a rollout's own lock ends
-- with the rollout. Returns ok | locked RECORD.
local locks = KEYS[1]
local place, fence = ARGV[1], ARGV[2]

local text = redis.call('HGET', locks, place)
if not text then
  return {'ok'}
end
local lock = parse(text)
if lapsed(lock, clock()) then
  redis.call('HDEL', locks, place)
  return {'ok'}
end
if lock.fence ~= fence or of_rollout(lock) then
  return {'locked', text}
end
redis.call('HDEL', locks, place)
return {'ok'}
