-- Keeps what the holder of the watch over a project has counted. Returns ok | fenced.
local watches, watch = KEYS[1], KEYS[2]
local owner, document, retention = ARGV[1], ARGV[2], ARGV[3]

if redis.call('GET', watch) ~= owner then
  return {'fenced'}
end
redis.call('SET', watches, document, 'EX', retention)
return {'ok'}
