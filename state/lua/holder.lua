-- Tells which lock keeps a rollout of a place from starting. Returns locked RECORD | none.
local lock = blocking(KEYS[1], ARGV[1], clock())
if lock then
  return {'locked', lock.text}
end
return {'none'}
