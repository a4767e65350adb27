-- Replaces a snapshot by the next version and says what becomes of the lease. At the end the
-- rollout's lock is released, and a person's takes its place if there is a document for one; else the
-- target goes to the first in line.
-- Returns ok | missing | conflict | fenced.
local rollout, events, card = KEYS[1], KEYS[2], KEYS[3]
local active, due, leases, cards = KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local locks, history, fences, index = KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local id, schema, version, snapshot = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local fence, next, delay = ARGV[5], ARGV[6], tonumber(ARGV[7])
local holder, retention, wakes = ARGV[8], tonumber(ARGV[9]), ARGV[10]
local place, person, document, lasts = ARGV[11], ARGV[12], ARGV[13], tonumber(ARGV[14])
local line = line_of(12, locks, fences, index)
local by_person = fence == '0'

local stored = redis.call('HMGET', rollout, 'version', 'snapshot', 'fence')
if not stored[1] then
  return {'missing'}
end
if stored[1] == version and stored[2] == snapshot then
  return {'ok'} -- done before; the reply was lost
end
if not by_person and stored[3] ~= fence then
  return {'fenced'}
end
if tonumber(stored[1]) ~= tonumber(version) - 1 then
  return {'conflict'}
end

local now = clock()
redis.call('HSET', rollout, 'schema', schema, 'version', version, 'snapshot', snapshot)
keep(events, 15)
stale(cards, id, now)

local function give_up_lease()
  redis.call('ZREM', leases, id)
  redis.call('HDEL', rollout, 'fence', 'owner', 'poked')
end

-- poke makes the rollout due at once, or notes for its holder's release that there is news.
local function poke()
  if redis.call('ZSCORE', leases, id) then
    redis.call('HSET', rollout, 'poked', '1')
  elseif redis.call('ZSCORE', active, id) then
    redis.call('ZADD', due, int(now), id)
  end
end

local function release_lock()
  local all = redis.call('HGETALL', locks)
  for i = 1, #all, 2 do
    if parse(all[i + 1]).holder == holder then
      redis.call('HDEL', locks, all[i])
    end
  end
end

-- leave_lock gives the person the place, unless somebody has it: Redis may have lost the rollout's
-- lock in a failover, and then it was free for others.
local function leave_lock()
  if document ~= '' and not blocking(locks, place, now) then
    grant(index, locks, place, record(next_fence(fences, now), until_end(now, lasts), person, document), now)
  end
end

local function finish()
  give_up_lease()
  redis.call('ZREM', due, id)
  redis.call('ZREM', active, id)
  release_lock()
  lapse(line, now)
  leave_lock()
  hand_on(line, now)
  redis.call('ZADD', history, int(now), id)
  redis.call('ZREMRANGEBYSCORE', history, '-inf', int(now - retention * 1000000))
  for _, key in ipairs({rollout, events, card}) do
    redis.call('EXPIRE', key, int(retention))
  end
  if delay >= 0 then -- its verdicts are provisional, and somebody has to look at them again
    redis.call('ZADD', due, int(now + delay), id)
  end
end

if next == 'over' then
  finish()
elseif by_person then
  poke()
elseif next == 'park' then
  give_up_lease()
  if delay >= 0 then
    redis.call('ZADD', due, int(now + delay), id)
  end
else
  redis.call('HDEL', rollout, 'poked') -- this version was made from the person's
end
if by_person or (next == 'park' and delay == 0) then
  redis.call('PUBLISH', wakes, id)
end
return {'ok'}
