-- Replaces the book of incidents whose version is known; 0 is the one that is not there. With an OWNER the watch
-- has to be theirs. Versions grow by the clock, so that one from before Redis lost its data fits nothing that was
-- written since. A book of a newer schema is left alone.
-- Returns ok VERSION | conflict | fenced | newer SCHEMA.
local book, watch = KEYS[1], KEYS[2]
local owner, schema, version, document, retention = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

local stored = redis.call('HMGET', book, 'schema', 'version', 'replaced', 'book')
if (tonumber(stored[1]) or 0) > tonumber(schema) then
  return {'newer', stored[1]}
end
if stored[3] == version and stored[4] == document then
  return {'ok', stored[2]} -- done before; the reply was lost
end
if owner ~= '' and redis.call('GET', watch) ~= owner then
  return {'fenced'}
end
if (stored[2] or '0') ~= version then
  return {'conflict'}
end
local next = int(math.max(tonumber(version) + 1, clock()))
redis.call('HSET', book, 'schema', schema, 'version', next, 'replaced', version, 'book', document)
redis.call('EXPIRE', book, retention)
return {'ok', next}
