-- Stores a new rollout with its lock and first events, due at once.
-- Returns ok FENCE | exists ID | taken | locked RECORD.
local rollout, events, token, locks = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local active, due, cards, fences = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local id, schema, version, snapshot = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local place, holder, document = ARGV[5], ARGV[6], ARGV[7]
local retention, wakes = ARGV[8], ARGV[9]

local known = redis.call('GET', token)
if known then
  return {'exists', known}
end
if redis.call('EXISTS', rollout) == 1 then
  return {'taken'}
end
local now = clock()
local lock = blocking(locks, place, now)
if lock then
  return {'locked', lock.text}
end

local fence = next_fence(fences, now)
redis.call('HSET', locks, place, record(fence, 0, holder, document))
sweep(locks, now)
redis.call('SET', token, id, 'EX', retention)
redis.call('HSET', rollout, 'schema', schema, 'version', version, 'snapshot', snapshot, 'lock', fence)
keep(events, 10)
redis.call('ZADD', active, int(now), id)
redis.call('ZADD', due, int(now), id)
stale(cards, id, now)
redis.call('PUBLISH', wakes, id)
return {'ok', fence}
