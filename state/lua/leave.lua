-- Takes a person out of the line for a place, or ends their turn there, and hands the place on. A request
-- that was carried out before gets the same answer. Returns left | passed | none.
local token, locks, fences, index = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local place, holder, memory = ARGV[1], ARGV[2], ARGV[3]
local line = line_of(5, locks, fences, index)
local now = clock()

local before = redis.call('GET', token)
if before then
  return {before}
end
settle(line, now)
local answer = 'none'
local turn = own_turn(line, place, holder, now)
if turn then
  redis.call('HDEL', locks, place)
  end_turn(line, turn, 'passed', now)
  answer = 'passed'
elseif redis.call('HDEL', line.queue, place .. ' ' .. holder) == 1 then
  answer = 'left'
end
redis.call('SET', token, answer, 'EX', memory)
hand_on(line, now)
return {answer}
