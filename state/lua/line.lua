-- The line of those who wait for the targets of an environment, in front of every script that may end
-- a lock. A place in it is "TICKET LASTS PLACE HOLDER DOCUMENT"; tickets are fences, so the lowest came
-- first. What is granted from it is a turn: a lock whose holder begins with "turn:", and a hash by the
-- lock's fence of which people have to be told.

local kept_turn = 604800 -- seconds for which a turn that is over is remembered

-- line_of reads four keys, from KEYS[first] on: the line, the index of lines, the outbox of turns and
-- the prefix of their hashes.
local function line_of(first, locks, fences, index)
  return {
    queue = KEYS[first], lines = KEYS[first + 1], turns = KEYS[first + 2], turn = KEYS[first + 3],
    locks = locks, fences = fences, index = index,
  }
end

local function is_turn(lock)
  return string.sub(lock.holder, 1, 5) == 'turn:'
end

-- waiting returns who is in line, the first in front.
local function waiting(queue)
  local all = redis.call('HGETALL', queue)
  local list = {}
  for i = 1, #all, 2 do
    local ticket, lasts, place, holder, document = string.match(all[i + 1], '^(%d+) (%d+) (%S+) (%S+) (.*)$')
    list[#list + 1] = {
      field = all[i], text = all[i + 1], ticket = tonumber(ticket), lasts = tonumber(lasts),
      place = place, holder = holder, document = document,
    }
  end
  table.sort(list, function(a, b) return a.ticket < b.ticket end)
  return list
end

-- behind counts those in the list who want what excludes the place.
local function behind(list, place)
  local n = 0
  for _, other in ipairs(list) do
    if place == '*' or other.place == '*' or other.place == place then
      n = n + 1
    end
  end
  return n
end

local function end_turn(line, lock, how, now)
  if is_turn(lock) then
    local turn = line.turn .. lock.fence
    redis.call('HSET', turn, 'over', how)
    redis.call('EXPIRE', turn, kept_turn)
    redis.call('ZADD', line.turns, 'NX', int(now), lock.fence)
  end
end

-- give makes a wish a lock, and its owner be told.
local function give(line, wish, now)
  local fence = next_fence(line.fences, now)
  local text = record(fence, now + wish.lasts, wish.holder, wish.document)
  grant(line.index, line.locks, wish.place, text, now)
  redis.call('HSET', line.turn .. fence, 'lock', text, 'field', wish.field, 'wish', wish.text)
  redis.call('ZADD', line.turns, int(now), fence)
  redis.call('HDEL', line.queue, wish.field)
end

-- hand_on gives every target that is free to the first who waits for it. Nobody is passed over: who
-- wants a part of what someone in front waits for, waits too.
local function hand_on(line, now)
  local ahead = {}
  for _, wish in ipairs(waiting(line.queue)) do
    if behind(ahead, wish.place) == 0 and not blocking(line.locks, wish.place, now) then
      give(line, wish, now)
    else
      ahead[#ahead + 1] = wish
    end
  end
end

-- lapse removes the locks whose time is over, and notes it of turns.
local function lapse(line, now)
  local all = redis.call('HGETALL', line.locks)
  for i = 1, #all, 2 do
    local lock = parse(all[i + 1])
    if lapsed(lock, now) then
      end_turn(line, lock, 'lapsed', now)
      redis.call('HDEL', line.locks, all[i])
    end
  end
end

-- settle does what time has brought about, so that nobody is served before those in line.
local function settle(line, now)
  if redis.call('HEXISTS', line.lines, line.queue) == 1 then
    lapse(line, now)
    hand_on(line, now)
  end
end

-- put_back returns a turn to its place in the line, for what went before it is more urgent.
local function put_back(line, lock)
  local wish = redis.call('HMGET', line.turn .. lock.fence, 'field', 'wish')
  if wish[1] then
    redis.call('HSETNX', line.queue, wish[1], wish[2])
  end
end

-- own_turn returns the turn that a holder has on a place.
local function own_turn(line, place, holder, now)
  local text = redis.call('HGET', line.locks, place)
  local lock = text and parse(text)
  if lock and lock.holder == holder and not lapsed(lock, now) then
    return lock
  end
end
