-- Gives an owner the watch over a project for so many microseconds, or prolongs it. Returns ok | held.
local watch = KEYS[1]
local owner, ttl = ARGV[1], tonumber(ARGV[2])

local holder = redis.call('GET', watch)
if holder and holder ~= owner then
  return {'held'}
end
redis.call('SET', watch, owner, 'PX', int(math.ceil(ttl / 1000)))
return {'ok'}
