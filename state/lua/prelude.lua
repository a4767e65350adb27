-- What every script starts with. Times are Redis' own, in microseconds; they and fences do not fit
-- tostring(), which gives 1.7953e+15, so int() writes them. Snapshots, lock documents, envelopes and
-- cards are opaque: cjson would turn [] into {} and round numbers.

local function int(n)
  return string.format('%.0f', n)
end

local function clock()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000000 + tonumber(t[2])
end

-- next_fence grows even after a failover that lost the last writes, because time did not stop.
local function next_fence(key, now)
  local last = tonumber(redis.call('GET', key) or '0')
  local fence = int(math.max(last + 1, now))
  redis.call('SET', key, fence)
  return fence
end

-- A lock record is "FENCE EXPIRES HOLDER DOCUMENT"; EXPIRES is 0 for a lock without an end.
local function record(fence, expires, holder, document)
  return fence .. ' ' .. int(expires) .. ' ' .. holder .. ' ' .. document
end

local function parse(text)
  local fence, expires, holder = string.match(text, '^(%d+) (%d+) (%S+) ')
  return {fence = fence, expires = tonumber(expires), holder = holder, text = text}
end

local function lapsed(lock, now)
  return lock.expires ~= 0 and lock.expires <= now
end

local function of_rollout(lock)
  return string.sub(lock.holder, 1, 8) == 'rollout:'
end

-- overlapping returns the locks of an environment that exclude a lock on place: a service's name, or
-- "*" for the whole environment.
local function overlapping(locks, place, now)
  local all = redis.call('HGETALL', locks)
  local found = {}
  for i = 1, #all, 2 do
    local at, lock = all[i], parse(all[i + 1])
    if (place == '*' or at == '*' or at == place) and not lapsed(lock, now) then
      lock.place = at
      found[#found + 1] = lock
    end
  end
  return found
end

local function oldest(list)
  local first
  for _, lock in ipairs(list) do
    if not first or tonumber(lock.fence) < tonumber(first.fence) then
      first = lock
    end
  end
  return first
end

-- blocking returns the oldest lock that excludes a lock on place.
local function blocking(locks, place, now)
  return oldest(overlapping(locks, place, now))
end

-- sweep removes the locks whose time is over, so that none is left beside the one that follows it.
local function sweep(locks, now)
  local all = redis.call('HGETALL', locks)
  for i = 1, #all, 2 do
    if lapsed(parse(all[i + 1]), now) then
      redis.call('HDEL', locks, all[i])
    end
  end
end

-- grant writes a lock, and notes in the index that its environment has had one.
local function grant(index, locks, place, text, now)
  redis.call('HSET', locks, place, text)
  redis.call('SADD', index, locks)
  sweep(locks, now)
end

-- until_end is when something that lasts so long ends; without an end, which is negative, it is 0.
local function until_end(now, lasts)
  if lasts < 0 then
    return 0
  end
  return now + lasts
end

-- stale puts a rollout's card into the outbox; one that waits there keeps its turn.
local function stale(cards, id, now)
  if not redis.call('ZSCORE', cards, id) then
    redis.call('ZADD', cards, int(now), id)
  end
end

-- keep adds events, given as pairs of sequence number and document from ARGV[first] on.
local function keep(events, first)
  for i = first, #ARGV, 2 do
    redis.call('ZADD', events, ARGV[i], ARGV[i + 1])
  end
end
