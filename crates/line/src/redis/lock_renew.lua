-- Keeps a lock for ARGV[2] more milliseconds, unless it is another's than ARGV[1]'s by now. 1 if it is kept.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
    return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
