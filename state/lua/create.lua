-- Stores a new rollout with its lock and first events, due at once. With REPLACES its lock takes the
-- place of people's; a rollout's is always in the way. Whose turn it is ends it by starting; one that
-- something more urgent replaces goes back into the line.
-- Returns ok FENCE | exists ID | taken | locked RECORD.
local rollout, events, token, locks = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local active, due, cards = KEYS[5], KEYS[6], KEYS[7]
local fences, index = KEYS[8], KEYS[9]
local id, schema, version, snapshot = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local place, holder, document = ARGV[5], ARGV[6], ARGV[7]
local replaces, retention, wakes = ARGV[8] == '1', ARGV[9], ARGV[10]
local starter = ARGV[11]
local line = line_of(10, locks, fences, index)

local known = redis.call('GET', token)
if known then
  return {'exists', known}
end
if redis.call('EXISTS', rollout) == 1 then
  return {'taken'}
end
local now = clock()
settle(line, now)
local in_the_way, replaced = {}, {}
for _, lock in ipairs(overlapping(locks, place, now)) do
  local list = (lock.holder == starter or replaces and not of_rollout(lock)) and replaced or in_the_way
  list[#list + 1] = lock
end
local lock = oldest(in_the_way)
if lock then
  return {'locked', lock.text}
end
for _, gone in ipairs(replaced) do
  redis.call('HDEL', locks, gone.place)
  end_turn(line, gone, replaces and 'rollback' or 'started', now)
  if replaces then
    put_back(line, gone)
  end
end

local fence = next_fence(fences, now)
grant(index, locks, place, record(fence, 0, holder, document), now)
redis.call('SET', token, id, 'EX', retention)
redis.call('HSET', rollout, 'schema', schema, 'version', version, 'snapshot', snapshot, 'lock', fence)
keep(events, 12)
redis.call('ZADD', active, int(now), id)
redis.call('ZADD', due, int(now), id)
stale(cards, id, now)
hand_on(line, now)
redis.call('PUBLISH', wakes, id)
return {'ok', fence}
