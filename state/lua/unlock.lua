-- Removes the lock with a fence, and gives the place to the first in line. A lock that is gone already
-- needs nothing; a rollout's own lock ends with the rollout. Returns ok | locked RECORD.
local locks, fences, index = KEYS[1], KEYS[2], KEYS[3]
local place, fence = ARGV[1], ARGV[2]
local line = line_of(4, locks, fences, index)
local now = clock()

lapse(line, now)
local text = redis.call('HGET', locks, place)
local lock = text and parse(text)
if lock and (lock.fence ~= fence or of_rollout(lock)) then
  return {'locked', text}
end
if lock then
  redis.call('HDEL', locks, place)
  end_turn(line, lock, 'unlocked', now)
end
hand_on(line, now)
return {'ok'}
