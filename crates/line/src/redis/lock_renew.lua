-- Renews the lock of instance ARGV[1] for ARGV[2] milliseconds, unless another instance has it by now. Answers 1 if it
-- is renewed.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
    return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
