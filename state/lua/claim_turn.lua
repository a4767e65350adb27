-- Does what time has brought about in every line, then gives an owner a turn of which people have to be
-- told something. Its score is the end of the claim, or the time of the next try.
-- Returns ok FENCE RECORD OVER MESSAGE | none.
local lines, turns, prefix, fences, index = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local owner, lease = ARGV[1], tonumber(ARGV[2])
local now = clock()

local function idle(line)
  if redis.call('EXISTS', line.queue) == 1 then
    return false
  end
  for _, text in ipairs(redis.call('HVALS', line.locks)) do
    if is_turn(parse(text)) then
      return false
    end
  end
  return true
end

local all = redis.call('HGETALL', lines)
for i = 1, #all, 2 do
  local line = {queue = all[i], locks = all[i + 1], lines = lines, turns = turns, turn = prefix, fences = fences, index = index}
  settle(line, now)
  if idle(line) then
    redis.call('HDEL', lines, line.queue)
  end
end
for _, fence in ipairs(redis.call('ZRANGEBYSCORE', turns, '-inf', int(now), 'LIMIT', 0, 64)) do
  local turn = redis.call('HMGET', prefix .. fence, 'lock', 'over', 'message')
  if turn[1] then
    redis.call('HSET', prefix .. fence, 'owner', owner)
    redis.call('ZADD', turns, int(now + lease), fence)
    return {'ok', fence, turn[1], turn[2] or '', turn[3] or ''}
  end
  redis.call('ZREM', turns, fence)
end
return {'none'}
