-- Puts a person in line for a place; whoever is there keeps the place, and what they want is replaced.
-- A request that was carried out before changes nothing.
-- Returns ok POSITION | turn RECORD | free | gone.
local token, locks, fences, index = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local place, holder, lasts, document, memory = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local line = line_of(5, locks, fences, index)
local now = clock()

settle(line, now)
local field = place .. ' ' .. holder
local known = redis.call('HGET', line.queue, field)
local repeated = redis.call('EXISTS', token) == 1
local turn = own_turn(line, place, holder, now)
if turn then
  return {'turn', turn.text}
end
if repeated and not known then
  return {'gone'}
end
local ticket
if known then
  ticket = string.match(known, '^%d+')
elseif behind(waiting(line.queue), place) == 0 and not blocking(locks, place, now) then
  return {'free'}
else
  ticket = next_fence(fences, now)
end
if not repeated then
  redis.call('HSET', line.queue, field, ticket .. ' ' .. lasts .. ' ' .. place .. ' ' .. holder .. ' ' .. document)
  redis.call('HSET', line.lines, line.queue, locks)
  redis.call('SET', token, field, 'EX', memory)
end
local before = {}
for _, wish in ipairs(waiting(line.queue)) do
  if wish.ticket < tonumber(ticket) then
    before[#before + 1] = wish
  end
end
return {'ok', int(behind(before, place) + 1)}
