-- Gives the watch over a project up; one that is lost already needs nothing. Returns ok.
local watch, owner = KEYS[1], ARGV[1]

if redis.call('GET', watch) == owner then
  redis.call('DEL', watch)
end
return {'ok'}
